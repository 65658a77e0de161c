import { expect, test } from "vitest";
import { callTool } from "../../../worker/agent/tool.ts";
import type { ToolResult } from "../../../worker/agent/tool.ts";
import { wireTools } from "../../../worker/agent/schema.ts";
import { createTools } from "../../../worker/tools/tools.ts";
import type { TaskKind, ToolDeps } from "../../../worker/tools/tools.ts";
import { createLocalSandbox } from "../../support/local-sandbox.ts";
import type { LocalSandbox } from "../../support/local-sandbox.ts";

const signal = new AbortController().signal;

test("the tools and their parameters are the fixed set, each of a plain type", async () => {
  await using sandbox = createLocalSandbox();
  const shapes = (kind: TaskKind) =>
    wireTools(toolsIn(sandbox, { kind }).tools).map(({ function: { name, parameters } }) => {
      const properties = parameters["properties"] as Record<string, { type: string }>;
      const required = parameters["required"] as string[];
      const shown = Object.entries(properties).map(
        ([key, { type }]) => `${key}${required.includes(key) ? "" : "?"}: ${type}`,
      );
      return `${name} {${shown.join(", ")}}`;
    });

  expect(shapes("issue")).toEqual([
    "bash {command: string, timeout_seconds?: integer}",
    "str_replace_editor {command: string, path: string, view_range?: string, insert_line?: integer, old_str?: string, new_str?: string, file_text?: string}",
    "update_plan {items: string}",
    "ask {question: string, default: string}",
    "submit {title: string, cause: string, change: string}",
  ]);
  expect(shapes("maintenance")).toEqual(shapes("issue"));
  expect(shapes("review")).toEqual(shapes("issue").filter((shape) => !shape.startsWith("ask")));
});

test("each command has a fresh shell, and only the working directory persists", async () => {
  await using sandbox = createLocalSandbox();
  const { call } = toolsIn(sandbox);

  const first = await call("bash", { command: "export A=1; mkdir -p 'a b' && cd 'a b' && pwd" });
  const second = await call("bash", { command: 'echo "[$A]" && pwd' });

  expect(first.text).toContain(`[The working directory is now ${sandbox.root}/a b.]`);
  expect(second.text).toBe(`[]\n${sandbox.root}/a b\n\n[The command succeeded: exit code 0.]`);
});

test("a working directory that was removed is left for the root", async () => {
  await using sandbox = createLocalSandbox();
  const { call } = toolsIn(sandbox);
  await call("bash", { command: "mkdir gone && cd gone" });
  await call("bash", { command: "rmdir ../gone" });

  const lost = await call("bash", { command: "pwd" });
  const found = await call("bash", { command: "pwd" });

  expect(lost.text).toContain(`[The working directory is now ${sandbox.root}.]`);
  expect(found.text).toContain(sandbox.root);
});

test("a command that does not end is stopped with what it printed", async () => {
  await using sandbox = createLocalSandbox();
  const { call } = toolsIn(sandbox);

  const result = await call("bash", { command: "echo begun; sleep 30", timeout_seconds: 1 });

  expect(result.text).toMatch(/^begun\n\n\[The command was stopped after 1 seconds/);
});

test("a command cannot ask for more time than ten minutes", async () => {
  await using sandbox = createLocalSandbox();
  const asked: number[] = [];
  const exec: LocalSandbox["exec"] = async (_command, options) => {
    asked.push(options.timeoutMs);
    return { end: "exited", code: 0, output: { text: "", bytes: 0, truncated: false }, durationMs: 1 };
  };
  const { call } = toolsIn({ ...sandbox, exec });

  await call("bash", { command: "make", timeout_seconds: 100_000 });
  await call("bash", { command: "make", timeout_seconds: 0 });
  await call("bash", { command: "make" });

  expect(asked).toEqual([600_000, 1000, 120_000]);
});

test("an empty command is not run", async () => {
  await using sandbox = createLocalSandbox();

  const result = await toolsIn(sandbox).call("bash", { command: " " });

  expect(result).toMatchObject({ failed: true, text: expect.stringContaining('"command" is wrong: it is empty') });
});

test("the plan is passed on line by line, without list marks", async () => {
  await using sandbox = createLocalSandbox();
  const { call, plans } = toolsIn(sandbox);

  await call("update_plan", { items: "- [x] Read\n\n2. [ ] Fix it" });
  const long = await call("update_plan", { items: "a\n".repeat(9) });
  const empty = await call("update_plan", { items: "\n" });

  expect(plans).toEqual([["[x] Read", "[ ] Fix it"]]);
  expect([long, empty]).toMatchObject([{ failed: true }, { failed: true }]);
});

test("the first submit shows the change and a check list, the second one ends, and then it begins anew", async () => {
  await using sandbox = createLocalSandbox();
  const { call } = toolsIn(sandbox, { diff: async () => "+++ b/a.js\n+```\n" });
  const submission = { title: "Fix it", cause: "It was wrong.", change: "It is right." };

  const first = await call("submit", submission);
  const second = await call("submit", submission);
  const third = await call("submit", submission);

  expect(first.text).toContain("````diff\n+++ b/a.js\n+```\n````");
  expect(first.text).toContain("go through this list");
  expect(second).toEqual({ text: "Submitted.", end: { end: "submitted", submission } });
  expect(third).toEqual(first);
});

test("a submit without a change asks whether that is meant", async () => {
  await using sandbox = createLocalSandbox();

  const first = await toolsIn(sandbox).call("submit", { title: "None", cause: "Fine as it is.", change: "Nothing." });

  expect(first.text).toContain("no change yet");
});

test.each([
  { title: " ", cause: "b", change: "c" },
  { title: "a\nb", cause: "b", change: "c" },
  { title: "a".repeat(121), cause: "b", change: "c" },
  { title: "a", cause: "", change: "c" },
])("a submission that cannot become a pull request is not counted: %o", async (submission) => {
  await using sandbox = createLocalSandbox();
  const { call } = toolsIn(sandbox);

  const result = await call("submit", submission);
  const next = await call("submit", { title: "a", cause: "b", change: "c" });

  expect(result).toMatchObject({ failed: true });
  expect(next).not.toHaveProperty("end");
});

test("a question ends the attempt with what would be done without an answer", async () => {
  await using sandbox = createLocalSandbox();

  const result = await toolsIn(sandbox).call("ask", { question: "Which?", default: "The first." });

  expect(result).toMatchObject({ end: { end: "asked", question: "Which?", fallback: "The first." } });
});

function toolsIn(sandbox: LocalSandbox, deps: Partial<ToolDeps> = {}) {
  const plans: string[][] = [];
  const tools = createTools({
    sandbox,
    root: sandbox.root,
    kind: "issue",
    diff: async () => "",
    onPlan: async (items) => void plans.push(items),
    ...deps,
  });
  const call = (name: string, args: object): Promise<ToolResult> =>
    callTool(tools, { id: "1", name, arguments: JSON.stringify(args) }, signal);
  return { tools, call, plans };
}
