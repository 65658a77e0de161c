import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { egressEnvironment } from "../../sandbox/network.ts";
import { parseDevcontainer, readDevcontainer } from "../../worker/devcontainer.ts";
import type { CommitFiles } from "../../worker/checkout.ts";

const path = ".devcontainer/devcontainer.json";
const read = (config: object) => parseDevcontainer(path, JSON.stringify(config));

function filesOf(files: Record<string, string>): CommitFiles {
  const paths = Object.keys(files);
  return {
    top: [],
    read: async (path) => files[path],
    has: async (path) => path in files,
    list: async (folder) => {
      const below = paths.filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1));
      return [...new Set(below.map((path) => path.replace(/\/.*$/, "/")))];
    },
  };
}

describe("readDevcontainer", () => {
  it.each([
    ["its own folder", [".devcontainer/devcontainer.json", ".devcontainer.json"], ".devcontainer/devcontainer.json"],
    ["the top folder", [".devcontainer.json", ".devcontainer/a/devcontainer.json"], ".devcontainer.json"],
    [
      "the only folder that has one",
      [".devcontainer/a/devcontainer.json", ".devcontainer/b/x"],
      ".devcontainer/a/devcontainer.json",
    ],
  ])("finds the file in %s", async (_name, paths, expected) => {
    const files = Object.fromEntries(paths.map((path) => [path, JSON.stringify({ image: path })]));

    expect(await readDevcontainer(filesOf(files))).toMatchObject({ path: expected, image: expected });
  });

  it.each([
    ["there is none", []],
    ["several folders have one", [".devcontainer/a/devcontainer.json", ".devcontainer/b/devcontainer.json"]],
    ["it lies too deep", [".devcontainer/a/b/devcontainer.json"]],
  ])("reads nothing where %s", async (_name, paths) => {
    expect(await readDevcontainer(filesOf(Object.fromEntries(paths.map((path) => [path, "{}"]))))).toBeUndefined();
  });
});

describe("parseDevcontainer", () => {
  it("reads comments, trailing commas, tabs and a byte-order mark", () => {
    const text =
      '\uFEFF{\n\t// the image\n\t"image": "node:22", /* used */\n\t"containerEnv": {"A": "//no comment",},\n}';

    expect(parseDevcontainer(path, text)).toEqual({
      path,
      image: "node:22",
      env: { A: "//no comment" },
      setup: [],
      unused: [],
      notes: [],
    });
  });

  it.each([
    ["a broken object", '{\n"image": "x"\n"b": 1}', "it is not JSON with comments (line 3)"],
    ["an empty file", "", "it is not JSON with comments (line 1)"],
    ["a list", "[]", "it holds no object"],
    ["a word", "null", "it holds no object"],
    ["a very deep list", "[".repeat(60_000), "it is nested too deeply"],
    ["a very long file", `"${"a".repeat(70_000)}"`, "it is longer than 65536 characters"],
  ])("says that it can't use %s", (_name, text, problem) => {
    expect(parseDevcontainer(path, text)).toMatchObject({
      image: undefined,
      env: {},
      setup: [],
      notes: [`\`${path}\` is not used: ${problem}.`],
    });
  });

  it("makes set-up commands of texts, lists and named commands, in the order in which they would run", () => {
    const { setup, notes } = read({
      postCreateCommand: { one: "npm ci", two: ["npm", "run", "it's all"], three: " " },
      updateContentCommand: ["pip", "install", "-r", "requirements.txt"],
      onCreateCommand: "git config --global user.name x && make",
    });

    expect(setup).toEqual([
      "git config --global user.name x && make",
      "pip install -r requirements.txt",
      "npm ci",
      "npm run 'it'\\''s all'",
    ]);
    expect(notes).toEqual([]);
  });

  it("gives the shell each word of a list as it was", () => {
    const words = ["a b", "it's", "$HOME", "`id`", "", "-n", "é\n\\", "a=b", "*"];
    const [command = ""] = read({ postCreateCommand: ["printf", "%s|", ...words] }).setup;

    expect(execFileSync("sh", ["-c", command], { encoding: "utf8" })).toBe(words.map((word) => `${word}|`).join(""));
  });

  it.each([[12], [["a", 1]], [{ a: { b: "c" } }], ["a\0b"]])("says that the command %j is not used", (command) => {
    const { setup, notes } = read({ onCreateCommand: command });

    expect(setup).toEqual([]);
    expect(notes).toEqual([
      `\`${path}\`: a command of \`onCreateCommand\` is not used: it is neither a text nor a list of texts.`,
    ]);
  });

  it("leaves a command of nothing but beginnings of variables as it is", () => {
    const command = "${0:A:".repeat(10_000);

    expect(read({ onCreateCommand: command }).setup).toEqual([command]);
  });

  it("reads no variable of the host", () => {
    const { env, setup, notes } = read({
      containerEnv: {
        TOKEN: "${localEnv:HOME}",
        WITH: "x${localEnv:HOME:default:1}y",
        OTHER: "${env:PATH}",
        AGAIN: "${containerEnv:WITH}!",
        ROOT: "${containerWorkspaceFolder}/${localWorkspaceFolderBasename}",
      },
      postCreateCommand: 'echo "${localEnv:HOME}" ${HOME} ${env:-x} ${X:-y} ${containerEnv:PATH} ${containerEnv:WITH}',
      onCreateCommand: ["echo", "${containerEnv:PATH}"],
    });

    expect(env).toEqual({ WITH: "xdefault:1y", AGAIN: "xdefault:1y!", ROOT: "/workspace/repo/repo" });
    expect(setup).toEqual(["echo ''", 'echo "" ${HOME} ${env:-x} ${X:-y} ${PATH} xdefault:1y']);
    expect(notes).toEqual([
      `\`${path}\`: \`containerEnv.TOKEN\` is not used: \`\${localEnv:HOME}\` is not known in the sandbox.`,
      `\`${path}\`: \`containerEnv.OTHER\` is not used: \`\${env:PATH}\` is not known in the sandbox.`,
      `\`${path}\`: \`\${containerEnv:PATH}\` in \`onCreateCommand\` is empty: nothing of the host is read.`,
      `\`${path}\`: \`\${localEnv:HOME}\` in \`postCreateCommand\` is empty: nothing of the host is read.`,
    ]);
  });

  it.each([
    ["a name with a space", { "A B": "x" }],
    ["a name with mark-up", { "`<img src=x>`": "x" }],
    ["an empty name", { "": "x" }],
    ["a number", { A: 1 }],
    ["a nothing", { A: null }],
    ["a NUL", { A: "a\0b" }],
    ["a very long value", { A: "a".repeat(40_000) }],
    ["HOME", { HOME: "/root" }],
    ["a proxy", { Https_Proxy: "http://example.com" }],
  ])("does not set %s, and says so", (_name, containerEnv) => {
    const { env, notes } = read({ containerEnv: { ...containerEnv, GOOD: "1", PATH: "/opt/bin:/bin" } });

    expect(env).toEqual({ GOOD: "1", PATH: "/opt/bin:/bin" });
    expect(notes).toEqual([
      expect.stringMatching(/^`\.devcontainer\/devcontainer\.json`: `containerEnv\.[\w ?-]*` is not used: .+\.$/),
    ]);
  });

  it("lets nothing change that the set-up network sets", () => {
    const names = Object.keys(egressEnvironment({ caBundle: "/etc/ca" }));

    const { env, notes } = read({ containerEnv: Object.fromEntries(names.map((name) => [name, "x"])) });

    expect(names.length).toBeGreaterThan(10);
    expect(env).toEqual({});
    expect(notes).toHaveLength(names.length);
  });

  it("uses nothing that would act on the host or its engine, and says why", () => {
    const { unused, notes, setup, image } = read({
      name: "x",
      image: "node:22",
      build: { dockerfile: "Dockerfile" },
      features: { "example.com/features/go:1": {} },
      initializeCommand: "touch /pwn",
      runArgs: ["--privileged"],
      mounts: ["source=/,target=/host,type=bind"],
      workspaceMount: "x",
      privileged: true,
      capAdd: ["SYS_ADMIN"],
      securityOpt: ["seccomp=unconfined"],
      dockerComposeFile: "compose.yml",
      remoteUser: "root",
      remoteEnv: { A: "b" },
      postStartCommand: "serve",
      customizations: { vscode: {} },
      forwardPorts: [3000],
    });

    expect(unused.toSorted().join(" ")).toBe(
      "build capAdd dockerComposeFile features initializeCommand mounts postStartCommand " +
        "privileged remoteEnv remoteUser runArgs securityOpt workspaceMount",
    );
    expect({ setup, image }).toEqual({ setup: [], image: "node:22" });
    expect(notes).toContain(
      `\`build\`, \`features\` of \`${path}\` are not used: that would build on the host's engine. Build the image elsewhere and name it in \`image\`.`,
    );
    expect(notes).toContain(`\`initializeCommand\` of \`${path}\` is not used: that would run on the host.`);
    for (const key of unused) expect(notes.filter((note) => note.includes(`\`${key}\``))).toHaveLength(1);
  });

  it("says nothing about keys that ask for nothing, or for what a run has anyhow", () => {
    const config = {
      init: true,
      privileged: false,
      capAdd: [],
      features: {},
      mounts: [],
      remoteUser: "node",
      containerUser: "1000",
      initializeCommand: "",
    };

    expect(read(config)).toMatchObject({ unused: [], notes: [] });
  });

  it.each([[1], [""], ["a b"], ["x:${localEnv:TAG}"], [{}]])("takes %j for no image", (image) => {
    const parsed = read({ image });

    expect(parsed.image).toBeUndefined();
    expect(parsed.notes).toEqual([`\`${path}\`: \`image\` is not used: it is not the name of an image.`]);
  });

  it("gives an image the default of a variable", () => {
    expect(read({ image: "node:${localEnv:NODE_VERSION:22}" })).toMatchObject({ image: "node:22", notes: [] });
  });
});
