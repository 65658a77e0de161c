import { describe, expect, it } from "vitest";
import { namesRegistries, registriesIn } from "../../worker/registry-files.ts";

const urls = (path: string, text: string) => registriesIn({ path, text }).map(({ url }) => url);

describe("registriesIn", () => {
  it.each([
    {
      path: ".npmrc",
      text: "registry=https://a.example/npm/\n@s:registry = https://b.example\n//a.example/:_authToken=secret\n;registry=https://no.example\nproxy=http://no.example\n",
      expected: ["https://a.example/npm/", "https://b.example"],
    },
    {
      path: "web/.yarnrc",
      text: 'registry "https://a.example"\n"@s:registry" https://b.example\n# registry "https://no.example"\nlastUpdateCheck 1\n',
      expected: ["https://a.example", "https://b.example"],
    },
    {
      path: ".yarnrc.yml",
      text: 'npmRegistryServer: "https://a.example"\nnpmScopes:\n  s: {npmRegistryServer: "https://b.example", npmAuthToken: secret}\nhttpProxy: "http://no.example"\n',
      expected: ["https://a.example", "https://b.example"],
    },
    {
      path: "yarn.lock",
      text: 'a@^1:\n  version "1.0.0"\n  resolved "https://a.example/a/-/a-1.0.0.tgz#abc"\nb@git+ssh://x:\n  resolved "git+ssh://git@no.example/b"\n',
      expected: ["https://a.example/a/-/a-1.0.0.tgz"],
    },
    {
      path: "pnpm-workspace.yaml",
      text: 'packages: ["a"]\nregistries:\n  default: https://a.example\n  "@s": https://b.example\n',
      expected: ["https://a.example", "https://b.example"],
    },
    {
      path: "requirements/dev.txt",
      text: "-i https://a.example/simple\n--extra-index-url=https://b.example\n--find-links https://c.example\n# -i https://no.example\nx @ https://no.example/x.whl\n-r base.txt\n",
      expected: ["https://a.example/simple", "https://b.example", "https://c.example"],
    },
    {
      path: "pyproject.toml",
      text: `[project]
urls = {Home = "https://no.example"}
[project.urls]
Docs = "https://no.example"
[tool.uv]
index-url = "https://a.example/simple" # https://no.example
find-links = [
  "https://b.example",
  "https://c.example"
]
[tool.uv.sources]
x = { git = "https://no.example/x" }
[[tool.uv.index]]
name = "d"
url = "https://d.example"
[[ tool.poetry.source ]]
url = "https://e.example"
[[tool.pdm.source]]
url = 'https://f.example'
[tool.black]
x = "https://no.example"
`,
      expected: ["a.example/simple", "b.example", "c.example", "d.example", "e.example", "f.example"].map(
        (at) => `https://${at}`,
      ),
    },
    {
      path: "uv.toml",
      text: 'index-url = "https://a.example"\n[[index]]\nurl = "https://b.example"\n[other]\nurl = "https://no.example"\n',
      expected: ["https://a.example", "https://b.example"],
    },
    {
      path: "Pipfile",
      text: '[[source]]\nurl = "https://a.example"\n[packages]\nx = {file = "https://no.example/x"}\n',
      expected: ["https://a.example"],
    },
    {
      path: "uv.lock",
      text: '[[package]]\nname = "x"\nsource = { registry = "https://a.example/simple" }\nsdist = { url = "https://b.example/x.tar.gz", hash = "1" }\nwheels = [\n    { url = "https://c.example/x.whl" },\n]\n[[package]]\nsource = { url = "https://no.example/y.whl" }\n',
      expected: ["https://a.example/simple", "https://b.example/x.tar.gz", "https://c.example/x.whl"],
    },
    {
      path: ".cargo/config.toml",
      text: '[source.m]\nregistry = "sparse+https://a.example/index/"\n[registries]\nb = { index = "https://b.example" }\n# index = "https://no.example"\n[source.x]\ngit = "https://no.example"\n',
      expected: ["https://a.example/index/", "https://b.example"],
    },
    {
      path: "Gemfile",
      text: 'source "https://a.example"\nsource(\'https://b.example\') do\nend\ngem "x", source: "https://c.example"\ngem "y", git: "https://no.example"\n# source "https://no.example"\n',
      expected: ["https://a.example", "https://b.example", "https://c.example"],
    },
    {
      path: "Gemfile.lock",
      text: "GIT\n  remote: https://no.example/x\n\nGEM\n  remote: https://a.example/\n  remote: https://b.example/\n  specs:\n    x (1)\n\nPLATFORMS\n  ruby\n",
      expected: ["https://a.example/", "https://b.example/"],
    },
    {
      path: "api/pom.xml",
      text: `<project><url>https://no.example</url><distributionManagement><repository><url>https://no.example</url></repository></distributionManagement>
<!-- <repository><url>https://no.example</url></repository> -->
<repositories><repository><id>x</id><url> https://a.example/maven </url></repository></repositories>
<pluginRepositories><pluginRepository><url>https://b.example</url></pluginRepository></pluginRepositories></project>`,
      expected: ["https://a.example/maven", "https://b.example"],
    },
    {
      path: "gradle/wrapper/gradle-wrapper.properties",
      text: "distributionBase=GRADLE_USER_HOME\ndistributionUrl=https\\://a.example/gradle-8.zip\n",
      expected: ["https://a.example/gradle-8.zip"],
    },
    {
      path: "build.gradle",
      text: "repositories {\n  mavenCentral()\n  maven { url 'https://a.example' }\n  maven { url = uri(\"https://b.example\") }\n  // maven { url 'https://no.example' }\n}\n",
      expected: ["https://a.example", "https://b.example"],
    },
    {
      path: "settings.gradle.kts",
      text: 'maven("https://a.example")\nmaven { setUrl("https://b.example") }\nmaven { url = uri("https://c.example") }\n',
      expected: ["https://a.example", "https://b.example", "https://c.example"],
    },
  ])("reads $path", ({ path, text, expected }) => {
    expect(namesRegistries(path)).toBe(true);
    expect(urls(path, text)).toEqual(expected);
  });

  it.each([
    [".yarnrc.yml", "npmScopes: ["],
    [".yarnrc.yml", "npmScopes: {s: 1}\nnpmRegistryServer: [x]\n"],
    [".yarnrc.yml", "just words"],
    ["pnpm-workspace.yaml", "registries: 3"],
    ["pom.xml", "<repository><url>"],
    ["pyproject.toml", "[[[[\n]"],
    ["yarn.lock", "\0\0\0"],
  ])("finds none in a %s of another shape: %j", (path, text) => {
    expect(urls(path, text)).toEqual([]);
  });

  it.each([
    [".npmrc", "\n", "\nregistry=https://a.example"],
    [".npmrc", "\u2028", "\nregistry=https://a.example"],
    [".yarnrc", "\n", '\nregistry "https://a.example"'],
    ["requirements.txt", "\n", "\n-i https://a.example"],
    ["gradle-wrapper.properties", "\n", "\ndistributionUrl=https://a.example"],
    ["build.gradle", "url   ", "\nurl 'https://a.example'"],
    ["build.gradle", " ", "\nurl 'https://a.example'"],
    ["pyproject.toml", "\t#", "\r\n[tool.uv]\nindex-url = 'https://a.example'"],
    ["pyproject.toml", "[", "\n[tool.uv]\nindex-url = 'https://a.example'"],
    ["pyproject.toml", " ", "\n[tool.uv]\nindex-url = 'https://a.example'"],
    ["pom.xml", "<!--", "<mirror><url>https://a.example</url></mirror>"],
    ["pom.xml", "<repository>", "<mirror><url>https://a.example</url></mirror>"],
    ["pom.xml", "<distributionManagement>", "<mirror><url>https://a.example</url></mirror>"],
  ])("reads a %s that begins with 400 KB of %j", (name, part, end) => {
    const path = name.startsWith("gradle") ? `gradle/wrapper/${name}` : name;
    const begin = { "build.gradle": "url", "pyproject.toml": "[" }[name] ?? "";

    expect(urls(path, begin + part.repeat(400_000 / part.length) + end)).toEqual(["https://a.example"]);
  });

  it("leaves other files alone", () => {
    for (const path of ["package.json", "README.md", "src/a.gradle.ts", "npmrc", "a.npmrc"])
      expect([path, namesRegistries(path)]).toEqual([path, false]);
  });
});
