import { describe, expect, it } from "vitest";
import { defaultSettings, parseSettings } from "../../src/settings.ts";
import type { CommitFiles } from "../../worker/checkout.ts";
import { detectEnvironment } from "../../worker/detect.ts";

function filesOf(files: Record<string, string>): CommitFiles {
  const top = [...new Set(Object.keys(files).map((path) => (path.includes("/") ? `${path.split("/")[0]}/` : path)))];
  const list = async (folder: string) => {
    const below = Object.keys(files).filter((path) => path.startsWith(`${folder}/`));
    return [...new Set(below.map((path) => path.slice(folder.length + 1).replace(/\/.*$/, "/")))];
  };
  return { top, read: async (path) => files[path], has: async (path) => path in files, list };
}
const manifest = (change: object) => JSON.stringify({ scripts: { test: "node --test" }, ...change });

describe("the checks of a repository with workspaces", () => {
  const packages = {
    "packages/a/package.json": manifest({}),
    "packages/b/package.json": manifest({}),
    "packages/untested/package.json": "{}",
    "packages/README.md": "",
    "tools/lint/package.json": manifest({}),
    "tools/other/package.json": manifest({}),
  };
  const about = (run: string, folder: string) => ({ name: run, run, required: true, paths: [folder] });

  it.each([
    ["npm", { workspaces: ["packages/*", "./tools/lint/"] }, {}, (folder: string) => `npm test --workspace ${folder}`],
    [
      "yarn",
      { workspaces: { packages: ["packages/*", "tools/lint"] } },
      { "yarn.lock": "" },
      (folder: string) => `npx yarn --cwd ${folder} test`,
    ],
    [
      "pnpm",
      {},
      { "pnpm-workspace.yaml": "packages: [packages/*, tools/lint]" },
      (folder: string) => `npx pnpm --dir ${folder} test`,
    ],
  ])("are those of each tested workspace, about its folder: %s", async (_name, root, more, run) => {
    const files = filesOf({ "package.json": JSON.stringify(root), ...packages, ...more });

    const { checks } = await detectEnvironment(files, defaultSettings);

    expect(checks).toEqual(["packages/a", "packages/b", "tools/lint"].map((folder) => about(run(folder), folder)));
  });

  it("are the root's own where it has some", async () => {
    const files = filesOf({ "package.json": manifest({ workspaces: ["packages/*"] }), ...packages });

    expect((await detectEnvironment(files, defaultSettings)).checks).toMatchObject([{ run: "npm test" }]);
  });

  it.each(["packages/*/deep", "pack*", "../*", "$(touch x)/*", "/packages/*"])(
    "are none of workspaces that are named by %j",
    async (pattern) => {
      const files = filesOf({ "package.json": JSON.stringify({ workspaces: [pattern, 7] }), ...packages });

      expect((await detectEnvironment(files, defaultSettings)).checks).toEqual([]);
    },
  );
});

describe("detectEnvironment", () => {
  it.each([
    [
      "npm with a lock",
      { "package.json": manifest({ dependencies: { a: "1" } }), "package-lock.json": "" },
      ["npm ci --no-audit --no-fund"],
      ["npm test"],
    ],
    ["npm without dependencies", { "package.json": manifest({}) }, [], ["npm test"]],
    [
      "npm without a lock",
      { "package.json": manifest({ devDependencies: { a: "1" } }) },
      ["npm install --no-package-lock --no-audit --no-fund"],
      ["npm test"],
    ],
    [
      "pnpm",
      { "package.json": manifest({ dependencies: { a: "1" } }), "pnpm-lock.yaml": "" },
      ["npx --yes pnpm install --frozen-lockfile"],
      ["npx pnpm test"],
    ],
    [
      "yarn",
      { "package.json": manifest({ dependencies: { a: "1" } }), "yarn.lock": "" },
      ["npx --yes yarn install --frozen-lockfile"],
      ["npx yarn test"],
    ],
    ["pytest", { "pyproject.toml": "[tool.pytest.ini_options]" }, [], ["python3 -m pytest -q"]],
    ["go", { "go.mod": "module x" }, [], ["go test ./..."]],
    ["cargo", { "Cargo.toml": "" }, ["cargo fetch"], ["cargo test --offline"]],
    ["maven", { "pom.xml": "" }, ["mvn -q -B dependency:go-offline"], ["mvn -q -B -o test"]],
    [
      "gradle with its wrapper",
      { "build.gradle.kts": "", gradlew: "" },
      ["sh ./gradlew -q testClasses"],
      ["sh ./gradlew -q --offline test"],
    ],
    [
      "npm with a shrinkwrap",
      { "package.json": manifest({ dependencies: { a: "1" } }), "npm-shrinkwrap.json": "" },
      ["npm ci --no-audit --no-fund"],
      ["npm test"],
    ],
    [
      "pytest with requirements",
      { "requirements.txt": "pytest", "tests/test_a.py": "" },
      ["python3 -m pip install --quiet --user --break-system-packages -r requirements.txt"],
      ["python3 -m pytest -q"],
    ],
    [
      "pytest in a project",
      { "pyproject.toml": "[project]\nname = 'x'\n", "test_x.py": "" },
      ["python3 -m pip install --quiet --user --break-system-packages -e ."],
      ["python3 -m pytest -q"],
    ],
    ["pytest by its own file", { "conftest.py": "" }, [], ["python3 -m pytest -q"]],
    ["go with modules", { "go.mod": "module x", "go.sum": "" }, ["go mod download"], ["go test ./..."]],
    [
      "maven with its wrapper",
      { "pom.xml": "", mvnw: "" },
      ["sh ./mvnw -q -B dependency:go-offline"],
      ["sh ./mvnw -q -B -o test"],
    ],
    ["gradle", { "build.gradle": "" }, ["gradle -q testClasses"], ["gradle -q --offline test"]],
    ["make by its other names", { GNUmakefile: "check:\n\ttrue\n" }, [], ["make check"]],
    [
      "two languages together, and make not beside them",
      { "package.json": manifest({}), "go.mod": "", Makefile: "test:\n" },
      [],
      ["npm test", "go test ./..."],
    ],
    ["make where a manifest has no tests", { "package.json": "{}", Makefile: "test:\n" }, [], ["make test"]],
    ["make", { Makefile: "all:\n\ttrue\ntest: all\n\ttrue\n" }, [], ["make test"]],
  ])("finds set-up and checks of %s", async (_name, files, setup, checks) => {
    const environment = await detectEnvironment(filesOf(files), defaultSettings);

    expect(environment.setup).toEqual(setup);
    expect(environment.checks.map((check) => check.run)).toEqual(checks);
  });

  it("finds no check in a repository without tests", async () => {
    const files = filesOf({
      "package.json": JSON.stringify({ scripts: { test: 'echo "Error: no test specified" && exit 1' } }),
      "README.md": "",
    });

    expect((await detectEnvironment(files, defaultSettings)).checks).toEqual([]);
  });

  it.each([
    ["broken manifests", { "package.json": "{" }],
    ["manifests of another shape", { "package.json": '[1, "x"]' }],
    ["a test script that is no text", { "package.json": '{"scripts": {"test": {"a": 1}}}' }],
    ["python without tests", { "setup.py": "", "requirements.txt": "x" }],
    ["a make variable named test", { Makefile: "test := 1\ntests: a\n" }],
    ["a tests folder of no known language", { "tests/a": "" }],
    ["manifests below the top", { "sub/package.json": manifest({}), "sub/go.mod": "" }],
    ["nothing", {}],
  ])("finds no check in %s", async (_name, files) => {
    const environment = await detectEnvironment(filesOf(files), defaultSettings);

    expect(environment.checks).toEqual([]);
  });

  it("says where the commands come from", async () => {
    const both = filesOf({ "package.json": manifest({}), "go.mod": "" });

    expect((await detectEnvironment(both, defaultSettings)).from).toBe("npm, go");
    expect((await detectEnvironment(filesOf({}), defaultSettings)).from).toBe("nothing");
    expect((await detectEnvironment(both, { ...defaultSettings, checks: [] })).from).toBe("settings");
  });

  it("takes no check for one where the settings say that there is none", async () => {
    const environment = await detectEnvironment(filesOf({ "go.mod": "" }), {
      ...defaultSettings,
      checks: [],
      setup: [],
    });

    expect(environment).toMatchObject({ checks: [], setup: [] });
  });

  it("lets the settings win over what is detected", async () => {
    const parsed = parseSettings(
      "image: python:3.12\nsetup: [make deps]\nchecks:\n  - {name: unit, run: make unit}\n  - {name: slow, run: make slow, required: false}\n",
    );
    const settings = parsed.ok ? parsed.settings : defaultSettings;

    const environment = await detectEnvironment(filesOf({ "package.json": manifest({}) }), settings);

    expect(environment).toMatchObject({
      image: "python:3.12",
      setup: ["make deps"],
      from: "settings",
      checks: [
        { name: "unit", run: "make unit", required: true },
        { name: "slow", run: "make slow", required: false },
      ],
    });
  });

  const devcontainer = { image: "node:22", containerEnv: { MODE: "test" }, postCreateCommand: "make deps" };
  const withDevcontainer = filesOf({
    "package.json": manifest({ dependencies: { a: "1" } }),
    ".devcontainer.json": JSON.stringify(devcontainer),
  });

  it("takes image, variables and set-up of a devcontainer before what is detected, and says so", async () => {
    expect(await detectEnvironment(withDevcontainer, defaultSettings)).toMatchObject({
      image: "node:22",
      env: { MODE: "test" },
      setup: ["make deps"],
      prepare: [],
      checks: [{ run: "npm test" }],
      from: "npm, .devcontainer.json",
      notes: [],
    });
  });

  it("lets the settings win over a devcontainer", async () => {
    const settings = { ...defaultSettings, image: "python:3.12", setup: [], checks: ["make test"] };

    expect(await detectEnvironment(withDevcontainer, settings)).toMatchObject({
      image: "python:3.12",
      env: { MODE: "test" },
      setup: [],
      from: "settings, .devcontainer.json",
    });
  });

  it("does not name a devcontainer of which nothing is used, and still says why", async () => {
    const files = filesOf({
      "go.mod": "",
      "go.sum": "",
      ".devcontainer.json": '{"name": "x", "build": {"dockerfile": "Dockerfile"}}',
    });

    const environment = await detectEnvironment(files, defaultSettings);

    expect(environment).toMatchObject({ image: undefined, env: {}, setup: ["go mod download"], from: "go" });
    expect(environment.notes).toEqual([expect.stringContaining("`build` of `.devcontainer.json` is not used")]);
  });
});
