import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sandbox } from "../../sandbox/engine.ts";
import { createWorkspace, repoDir } from "../../sandbox/workspace.ts";
import type { Workspace } from "../../sandbox/workspace.ts";
import { callTool } from "../../worker/agent/tool.ts";
import { createTools } from "../../worker/tools/tools.ts";
import { specOf, testEngine, testRepository } from "../sandbox/support.ts";

const signal = new AbortController().signal;
const source = testRepository({ "a.txt": "one\n" });
let workspace: Workspace;
let sandbox: Sandbox;

beforeAll(async () => {
  const engine = testEngine();
  const [commit = ""] = source.commits;
  workspace = await createWorkspace(engine, { run: "run-1", sources: { mirror: source.mirror }, commit });
  sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
});

afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
  source[Symbol.dispose]();
});

test("a command's long output is whole in a file of the sandbox, which is no part of the change", async () => {
  const { text } = await use("bash", { command: "seq 150000" });
  const [path = ""] = /\/\S+\.txt/.exec(text) ?? [];
  const found = await use("bash", { command: `wc -l <${path}; sed -n 77777p ${path}; git status --short` });

  expect(text).toMatch(/^1\n2\n[^]*bytes left out\. The whole output is in [^]*\n150000\n\n\[The command succeeded/);
  expect(path).toMatch(/^\/workspace\/home\/outputs\/\w+\.txt$/);
  expect(found.text).toBe("150000\n77777\n\n[The command succeeded: exit code 0.]");
});

test("a flood is told by its size, with its beginning and end in the file", async () => {
  const { text } = await use("bash", {
    command: "echo begin; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo end",
  });
  const [path = ""] = /\/\S+\.txt/.exec(text) ?? [];
  const found = await use("bash", { command: `head -n 1 ${path}; tail -n 1 ${path}` });

  expect(text).toMatch(/^begin\nx+\n\n\[\.\.\. 299\d{5} bytes left out\. The first and last 500000 bytes/);
  expect(text.length).toBeLessThan(10_500);
  expect(found.text).toMatch(/^begin\nend\n/);
});

test("a command that runs out of time ends with its children, and what it printed is told", async () => {
  const { text } = await use("bash", { command: "echo begun; sleep 4321 & sleep 4321", timeout_seconds: 1 });
  const left = await use("bash", { command: "grep -l '432[1]' /proc/[0-9]*/cmdline | wc -l" });

  expect(text).toMatch(/^begun\n\n\[The command was stopped after 1 seconds/);
  expect(left.text).toMatch(/^0\n/);
});

test("a command has no input, a shell of its own, and the folder of the one before", async () => {
  await use("bash", { command: "mkdir -p sub && cd sub && export A=1 && alias b=c" });
  const { text } = await use("bash", { command: 'cat; pwd; echo "[$A]"; cd ..' });

  expect(text).toMatch(/^\/workspace\/repo\/sub\n\[\]\n/);
});

const tools = createTools({
  sandbox: {
    exec: (command, options) => sandbox.exec(command, options),
    readFile: (path, maxBytes) => sandbox.readFile(path, maxBytes),
    writeFile: (path, bytes) => sandbox.writeFile(path, bytes),
  },
  root: repoDir,
  outputs: "/workspace/home/outputs",
  contextTokens: 262_144,
  diff: async () => "",
  onPlan: async () => {},
});

function use(name: string, args: object) {
  return callTool(tools, { id: "1", name, arguments: JSON.stringify(args) }, signal);
}
