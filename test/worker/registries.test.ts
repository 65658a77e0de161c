import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { manifestsOf } from "../../worker/manifests.ts";
import { readRegistries, readRegistryFiles, registryQuestion } from "../../worker/registries.ts";
import { testRepository } from "../sandbox/support.ts";
import { dataFolder } from "./support.ts";

/**
 * Asks the named package managers with the real script. The programs are recordings: they say what the real ones were
 * heard to say, with other hosts.
 */
function ask(
  names: string[],
  {
    programs,
    files = {},
    env = {},
  }: { programs: Record<string, string>; files?: Record<string, string>; env?: Record<string, string> },
): string[] {
  using folder = dataFolder();
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), text);
    chmodSync(join(folder.path, path), 0o755);
  };
  for (const [name, text] of Object.entries(programs)) write(`tool/bin/${name}`, `#!/bin/sh\n${text}\n`);
  for (const [path, text] of Object.entries(files)) write(path, text);
  mkdirSync(join(folder.path, "repo"), { recursive: true });
  const [shell = "", ...args] = registryQuestion(names);
  const answer = execFileSync(shell, args, {
    cwd: join(folder.path, "repo"),
    encoding: "utf8",
    env: { PATH: `${join(folder.path, "tool/bin")}:/usr/bin:/bin`, HOME: join(folder.path, "home"), ...env },
  });
  return [...new Set(answer.split("\n").filter(Boolean))];
}

describe("registryQuestion", () => {
  it.each([
    {
      what: "npm, with scopes, and without what a project overrides",
      name: "npm",
      programs: {
        npm: `cat <<'.'
; "project" config from /workspace/repo/.npmrc
@a:registry = "https://scope.example:8443/"
//scope.example:8443/:_authToken = (protected)
; registry = "https://default.example/" ; overridden by project
omit-lockfile-registry-resolved = false
registry = "https://user:***@npm.example/x/"
replace-registry-host = "other.example"
.`,
      },
      expected: ["npm https://npm.example", "npm https://scope.example:8443"],
    },
    {
      what: "pnpm, which writes tokens too",
      name: "pnpm",
      programs: {
        pnpm: `[ "$2" = get ] && exit 1; cat <<'.'
//a.example:8443/:_authToken=s3cret
@a:registry=https://a.example:8443/
registry=https://u:s3cret@npm.example/x/
user-agent=pnpm/10.34.9 npm/? node/v24.21.0 linux x64
.`,
      },
      expected: ["pnpm https://a.example:8443", "pnpm https://npm.example"],
    },
    {
      what: "Yarn 1",
      name: "yarn",
      programs: { yarn: '[ "$3" = registry ] && echo https://u:s3cret@yarn.example/ || echo undefined' },
      expected: ["yarn https://yarn.example"],
    },
    {
      what: "Yarn 4, past its error",
      name: "yarn",
      programs: {
        yarn: `[ "$3" = npmRegistryServer ] && echo https://yarn.example || {
echo "Usage Error: Couldn't find a configuration settings named, see https://docs.example"; exit 1; }`,
      },
      expected: ["yarn https://yarn.example"],
    },
    {
      what: "uv, by its help and its variables",
      name: "uv",
      programs: {
        uv: `cat <<'.'
      --default-index <DEFAULT_INDEX>
          The URL of the default package index (by default:
          <https://uv.example/simple>) [env: UV_DEFAULT_INDEX=]
      See https://docs.example
.`,
      },
      env: { UV_INDEX: "x=https://u:s3cret@more.example/simple" },
      expected: ["uv https://more.example", "uv https://uv.example"],
    },
    {
      what: "Go",
      name: "go",
      programs: {
        go: '[ "$*" = "env GOSUMDB" ] || echo "https://go.example,https://u:s3cret@two.example|direct"; echo sum.example+key',
      },
      expected: ["go https://go.example", "go https://sum.example", "go https://two.example"],
    },
    {
      what: "Go that checks no sums and asks each module's host",
      name: "go",
      programs: { go: '[ "$*" = "env GOSUMDB" ] || echo direct; echo off' },
      expected: [],
    },
    {
      what: "gem and Bundler's mirrors",
      name: "gem",
      programs: {
        gem: "printf '*** CURRENT SOURCES ***\\n\\nhttps://gems.example/\\n'",
        bundle: "printf 'gems.private.example=u:s3cret\\nmirror.https://gems.example/=https://mirror.example\\n'",
      },
      expected: ["gem https://gems.example", "gem https://mirror.example"],
    },
    {
      what: "Maven, by its super-POM and its settings without their comments",
      name: "maven",
      programs: {
        mvn: "",
        unzip:
          "echo '<!-- see http://licence.example --><repository><id>central</id><url>https://central.example/maven2</url></repository>'",
      },
      files: {
        "tool/lib/maven-model-builder-3.9.9.jar": "",
        "tool/conf/settings.xml":
          "<!-- one\n<url>http://no.example</url> --> <mirror><url>https://mirror.example/x</url></mirror> <!-- <url>http://no.example</url> -->\n",
      },
      expected: ["maven https://central.example", "maven https://mirror.example"],
    },
  ])("asks $what", ({ name, programs, files = {}, env = {}, expected }) => {
    expect(ask([name], { programs, files, env }).toSorted()).toEqual(expected);
  });

  const cargo = `mkdir -p "$CARGO_HOME/registry/index/x"
[ -n "$REACHED" ] && echo '{"dl": "https://crates.example:8443/{crate}", "api": "https://no.example"}' >"$CARGO_HOME/registry/index/x/config.json"
[ -n "$REACHED" ] && { echo 'error: no matching package named b found, see https://no.example' >&2; exit 101; }
echo 'failed to download from \`https://index.example/config.json\`' >&2; exit 101`;

  it("asks Cargo for its index, and the index for the host of the crates once it is reached", () => {
    const files = { "home/.cargo/config.toml": '[registries.x]\nindex = "sparse+https://x.example/"\n' };
    const at = { programs: { cargo }, files };

    expect(ask(["cargo"], at)).toEqual(["cargo-named https://x.example", "cargo-index https://index.example"]);
    expect(ask(["cargo"], { ...at, env: { REACHED: "1" } })).toEqual([
      "cargo-named https://x.example",
      "cargo https://crates.example:8443",
    ]);
  });

  it("says nothing of programs that are missing, fail or hang up, and ends well", () => {
    expect(
      ask(["npm", "pnpm", "gem", "go"], { programs: { npm: "exit 1", go: "kill $$", pnpm: "echo x >&2" } }),
    ).toEqual([]);
  });
});

describe("readRegistries", () => {
  it("says so where the files take too long, and takes the answers alone", () => {
    const files = [{ path: ".yarnrc.yml", text: "? ".repeat(500) }];

    const { hosts, notes } = readRegistries("npm https://a.example\n", { files, manifests: [], limitMs: 50 });

    expect(hosts).toEqual(["a.example"]);
    expect(notes).toEqual([expect.stringContaining("take too long to read. Name the hosts in")]);
  });

  const nothing = { files: [], manifests: [] };

  it("takes hosts once, in lower case, with the port where it is not the usual one", () => {
    const answer =
      "npm https://A.example\nnpm https://a.example:443\nnpm http://b.example:80\ngo https://c.example:8443\ngo https://d.example.\n";

    expect(readRegistries(answer, nothing).hosts).toEqual(["a.example", "b.example", "c.example:8443", "d.example"]);
  });

  it("takes neither addresses nor what is no host", () => {
    const files = [".npmrc", "a/.npmrc", "b/.npmrc", "c/.npmrc", "d/.npmrc"];
    const values = ["https://10.0.0.1/", "https://[::1]/", "https://${HOST}/", "file:///etc", "https://"];

    const registries = readRegistries("maven http://0.0.0.0\nnonsense\nnpm ftp://x.example\n", {
      files: files.map((path, index) => ({ path, text: `registry=${values[index]}\n` })),
      manifests: [],
    });

    expect(registries.hosts).toEqual([]);
  });

  it("leaves pip's own index out where another one takes its place, and in where one is added", () => {
    const more = "pip-default https://default.example\npip-more https://more.example\n";

    expect(readRegistries(more, nothing).hosts).toEqual(["default.example", "more.example"]);
    expect(readRegistries(`${more}pip https://own.example\n`, nothing).hosts).toEqual(["more.example", "own.example"]);
  });

  it("adds what the repository's files name", () => {
    const files = [
      { path: "web/.npmrc", text: "registry=https://u:s3cret@files.example/\n//files.example/:_authToken=s3cret\n" },
    ];

    const registries = readRegistries("npm https://npm.example\n", { files, manifests: [] });

    expect(registries.hosts).toEqual(["files.example", "npm.example"]);
    expect(JSON.stringify(registries)).not.toContain("s3cret");
  });

  it("names each package manager of the repository that gave no answer, and the remedy", () => {
    const manifests = ["build.gradle", "go.mod", "package.json", "sub/pom.xml", "src/Cargo.toml"].map((path) => ({
      path,
    }));

    const { notes } = readRegistries("npm https://npm.example\n", { files: [], manifests });

    expect(notes).toEqual([
      "Go could not be asked in this image where it fetches packages from. Name the hosts in `.github/agent-fix.yml`: `network: {setup: [auto, HOST]}`.",
      expect.stringMatching(/^Gradle could not be asked/),
    ]);
  });

  it("has Cargo asked again until the host of its crates is known", () => {
    const manifests = [{ path: "Cargo.toml" }];
    const first = "cargo-index https://index.example\n";

    expect(readRegistries(first, { files: [], manifests })).toMatchObject({
      hosts: ["index.example"],
      askAgain: ["cargo"],
    });
    expect(readRegistries(first, nothing).askAgain).toEqual([]);
    expect(readRegistries(`${first}cargo https://crates.example\n`, { files: [], manifests })).toEqual({
      hosts: ["crates.example", "index.example"],
      askAgain: [],
      notes: [],
    });
  });
});

describe("readRegistryFiles", () => {
  it("reads those manifests that may name registries, at one commit", async () => {
    const npmrc = "registry=https://é.example/\n";
    using repository = testRepository(
      { ".npmrc": npmrc, "package.json": "{}", "a/requirements.txt": "", "b/uv.lock": "x\n\ny" },
      { ".npmrc": "registry=https://later.example/\n" },
    );
    const { mirror, commits } = repository;

    expect(await readRegistryFiles(mirror, await manifestsOf(mirror, commits[0] ?? ""))).toEqual([
      { path: ".npmrc", text: npmrc },
      { path: "a/requirements.txt", text: "" },
      { path: "b/uv.lock", text: "x\n\ny" },
    ]);
    expect(await readRegistryFiles(mirror, [])).toEqual([]);
  });
});
