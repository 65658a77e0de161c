import type { Reply } from "../../../src/feedback.ts";
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { readScripts } from "../../../src/demo/model/script.ts";
import type { Script } from "../../../src/demo/model/script.ts";
import { startModel } from "../../../src/demo/model/model.ts";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { AgentEvent, AgentTask } from "../../../worker/agent/loop.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { maintenanceMessages } from "../../../worker/prompts/maintenance.ts";
import { issueMessages, reviewMessages } from "../../../worker/prompts/messages.ts";
import type { Replies } from "../../../worker/tools/reply.ts";
import { createTools } from "../../../worker/tools/tools.ts";
import { createDemoRepository, createLocalSandbox } from "../../support/local-sandbox.ts";
import { pointOf } from "../support.ts";
import type { LocalSandbox } from "../../support/local-sandbox.ts";

const limits = { steps: 50, tokens: 1_000_000, minutes: 10 };
const issueTitle = "Only the first gap of a title becomes a dash";
const repository = {
  repo: "acme/slugify-title",
  checks: [{ name: "npm test", run: "npm test", required: true }],
  baseline: "npm test: exited",
  hosts: [],
  instructions: [],
  contextTokens: 262_144,
  nonce: "5f0c",
};

test("the agent fixes the demo's issue with a test that failed before, submits it, and only adds to its requests", async () => {
  await using sandbox = createDemoRepository();
  await using model = await startModel({ scripts: readScripts() });
  const plans: string[][] = [];
  const messages = issueMessages({ ...repository, root: sandbox.root, title: issueTitle, body: "See the README." });
  const agent = agentIn(sandbox, { url: model.url, messages, plans });

  const end = await runAgent(agent.task);

  expect(end).toMatchObject({ end: "submitted", submission: { title: "Replace every run of separators in slugs" } });
  expect(execFileSync("node", ["--test"], { cwd: sandbox.root, encoding: "utf8" })).toMatch(/pass 3/);
  expect(agent.failuresWithoutFix()).toBe(1);
  expect(plans[0]).toHaveLength(4);
  expect(agent.events.map(({ type }) => type).slice(0, 6)).toEqual([
    "model.intent",
    "model.result",
    "tool.intent",
    "tool.result",
    "tool.intent",
    "tool.result",
  ]);
  expect(agent.events.filter((event) => event.type === "tool.result").every((event) => event.ok)).toBe(true);
  const sent = model.requests.map((request) => ({
    tools: JSON.stringify(request.tools),
    messages: request.messages.map((message) => JSON.stringify(message)),
  }));
  expect(sent.length).toBeGreaterThan(5);
  for (const [index, request] of sent.slice(1).entries()) {
    expect(request.tools).toBe(sent[index]?.tools);
    expect(request.messages.slice(0, sent[index]?.messages.length)).toEqual(sent[index]?.messages);
  }
  const shares = agent.events.flatMap((event) => (event.type === "model.result" ? [event.usage.cachedTokens] : []));
  expect(shares[0]).toBe(0);
  expect(shares.slice(1).every((cached) => cached > 0)).toBe(true);
});

test("the agent answers the demo's review on top of its own fix", async () => {
  await using sandbox = createDemoRepository();
  execFileSync("sed", ["-i", 's#+/, "-")#+/g, "-")#', `${sandbox.root}/src/slug.js`]);
  await using model = await startModel({ scripts: readScripts() });
  const messages = reviewMessages({
    ...repository,
    root: sandbox.root,
    title: "Replace every run of separators in slugs",
    diff: "+ .replace(/[^a-z0-9]+/g)",
    points: [pointOf("t1", "Please trim leading and trailing dashes as well.", { path: "src/slug.js", line: 8 })],
    applied: [],
    round: 1,
  });

  const given: Reply[] = [];
  const replies = { points: ["t1"], given: () => given, record: async (reply: Reply) => void given.push(reply) };
  const end = await runAgent(agentIn(sandbox, { url: model.url, messages, replies }).task);

  expect(given).toEqual([{ point: "t1", disposition: "fixed", text: expect.stringContaining("both ends") as string }]);
  expect(end).toMatchObject({ end: "submitted", submission: { title: "Trim dashes at the ends of slugs" } });
  expect(execFileSync("node", ["--test"], { cwd: sandbox.root, encoding: "utf8" })).toMatch(/pass 3/);
});

test("the agent does the demo's maintenance task", async () => {
  await using sandbox = createDemoRepository();
  await using model = await startModel({ scripts: readScripts() });
  const task = { task: "Remove unused exports", paths: [], measure: undefined };
  const messages = maintenanceMessages({ ...repository, ...task, root: sandbox.root });

  const end = await runAgent(agentIn(sandbox, { url: model.url, messages }).task);

  expect(end).toMatchObject({ end: "submitted", submission: { title: "Remove the unused export oldSlugify" } });
  expect(execFileSync("git", ["diff", "--stat"], { cwd: sandbox.root, encoding: "utf8" })).toMatch(/5 deletions/);
});

test("messages that arrive are read before the next answer", async () => {
  await using sandbox = createLocalSandbox();
  const steps = [say("", "echo one"), { ...say("", "echo two"), after: "use tabs" }, asks("Which?")];
  await using model = await startModel({ scripts: [scriptOf(steps)] });
  const arrived = [[], ["Please use tabs."], []];
  const agent = agentIn(sandbox, { url: model.url });

  const end = await runAgent({ ...agent.task, inbox: async () => arrived.shift() ?? [] });

  expect(end).toMatchObject({ end: "asked", questions: [{ question: "Which?", fallback: "the first" }] });
  expect(agent.task.messages.filter(({ role }) => role === "user").map(({ text }) => text)).toContain(
    "Please use tabs.",
  );
});

test("a call after a reminder makes the model heard again", async () => {
  await using sandbox = createLocalSandbox();
  const steps = [say("a"), say("b"), say("", "true"), say("c"), say("d"), asks("Which?")];
  await using model = await startModel({ scripts: [scriptOf(steps)] });

  const end = await runAgent(agentIn(sandbox, { url: model.url }).task);

  expect(end).toMatchObject({ end: "asked" });
});

test("every limit is an ending of its own", async () => {
  await using sandbox = createLocalSandbox();
  await using model = await startModel({ scripts: [scriptOf([1, 2, 3, 4, 5].map((n) => say("", `echo ${n}`)))] });
  const run = (changed: Partial<AgentTask["limits"]>, now?: () => number) => {
    const { task } = agentIn(sandbox, { url: model.url });
    return runAgent({ ...task, limits: { ...limits, ...changed }, ...(now === undefined ? {} : { now }) });
  };
  let minute = 0;

  expect(await run({ steps: 2 })).toEqual({ end: "out-of-steps" });
  expect(await run({ tokens: 100 })).toEqual({ end: "out-of-tokens" });
  expect(await run({ minutes: 5 }, () => 60_000 * minute++)).toEqual({ end: "out-of-time" });
});

test("every call has its result, also those after the one that ended the attempt", async () => {
  await using sandbox = createLocalSandbox();
  const last = asks("Which?");
  const step = { ...last, calls: [...last.calls, { name: "bash", arguments: { command: "touch late" } }] };
  await using model = await startModel({ scripts: [scriptOf([step])] });
  const { task } = agentIn(sandbox, { url: model.url });

  const end = await runAgent(task);

  expect(end).toMatchObject({ end: "asked" });
  expect(task.messages.slice(-2)).toMatchObject([
    { role: "tool", callId: "call-0-0" },
    { role: "tool", callId: "call-0-1", text: expect.stringContaining("Not run") },
  ]);
  expect((await sandbox.readFile(`${sandbox.root}/late`, 10)).kind).toBe("missing");
});

test("a run that is stopped during a command ends at once as cancelled", async () => {
  await using sandbox = createLocalSandbox();
  await using model = await startModel({ scripts: [scriptOf([say("", "echo begun; sleep 60")])] });
  const abort = new AbortController();
  const { task } = agentIn(sandbox, { url: model.url });
  const record = async (event: AgentEvent) => {
    if (event.type === "tool.intent") setImmediate(() => abort.abort());
  };

  const end = await runAgent({ ...task, record, signal: abort.signal });

  expect(end).toEqual({ end: "cancelled" });
});

test("a model that refuses is an ending with its error", async () => {
  await using sandbox = createLocalSandbox();
  await using model = await startModel({ scripts: [] });

  const end = await runAgent(agentIn(sandbox, { url: model.url }).task);

  expect(end).toMatchObject({ end: "model-failed", error: { kind: "bad-request" } });
});

test("a lost sandbox ends the run as an outage, since the model cannot repair it", async () => {
  await using sandbox = createLocalSandbox();
  await using model = await startModel({ scripts: [scriptOf([say("", "true")])] });
  const output = { text: "", bytes: 0, truncated: false };
  const lost = { ...sandbox, exec: async () => ({ end: "sandbox-lost" as const, output, durationMs: 0 }) };

  await expect(runAgent(agentIn(lost, { url: model.url }).task)).rejects.toThrow("The sandbox was lost");
});

function agentIn(
  sandbox: LocalSandbox,
  { url, plans = [], messages, replies }: { url: string; messages?: Message[]; plans?: string[][]; replies?: Replies },
) {
  const events: AgentEvent[] = [];
  const git = (...args: string[]) => execFileSync("git", args, { cwd: sandbox.root, encoding: "utf8" });
  const task: AgentTask = {
    model: createModelClient({ baseUrl: url, apiKey: "EMPTY" }),
    tools: createTools({
      sandbox,
      root: sandbox.root,
      outputs: `${sandbox.root}-outputs`,
      contextTokens: 262_144,
      replies,
      diff: async () => git("diff"),
      onPlan: async (items) => void plans.push(items),
    }),
    messages: messages ?? [
      { role: "system", text: "You work." },
      { role: "user", text: "Task: test" },
    ],
    limits,
    signal: new AbortController().signal,
    record: async (event) => void events.push(event),
  };
  /** How many tests fail with the new tests and the old code. */
  const failuresWithoutFix = () => {
    git("stash", "push", "--quiet", "--", "src");
    try {
      execFileSync("node", ["--test"], { cwd: sandbox.root });
      return 0;
    } catch (error) {
      return Number(/fail (\d+)/.exec(String((error as { stdout: Buffer }).stdout))?.[1]);
    } finally {
      git("stash", "pop", "--quiet");
    }
  };
  return { task, events, failuresWithoutFix };
}

function scriptOf(steps: Omit<Script["steps"][number], "id">[]): Script {
  return { name: "test", when: "Task: test", holes: {}, steps: steps.map((step, id) => ({ id: String(id), ...step })) };
}

function say(text: string, command?: string) {
  return { say: text, calls: command === undefined ? [] : [{ name: "bash", arguments: { command } }] };
}

function asks(question: string) {
  return { say: "", calls: [{ name: "ask", arguments: { question, default: "the first" } }] };
}
