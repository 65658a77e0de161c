import { expect, test } from "vitest";
import { createHistory } from "../../../worker/agent/history.ts";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { AgentEvent, AgentTask } from "../../../worker/agent/loop.ts";
import { ModelError } from "../../../worker/agent/model.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createMemoryModel, createMemoryTools, isSummaryRequest, overflow, submits, tokensOf } from "./memory-model.ts";
import type { MemoryModel, Said } from "./memory-model.ts";

const window = 32_768;

function agentWith(model: MemoryModel, more: Partial<AgentTask> = {}) {
  const events: AgentEvent[] = [];
  const task: AgentTask = {
    model,
    // As long as outputs are in a window of this size.
    tools: createMemoryTools((command) => `${command}\n${"All work and no play. ".repeat(180)}`),
    messages: [
      { role: "system", text: `You work. ${"rule ".repeat(600)}` },
      { role: "user", text: `Task. ${"It is broken. ".repeat(400)}` },
    ],
    limits: { steps: 400, tokens: 40_000_000, minutes: 100 },
    signal: new AbortController().signal,
    record: async (event) => void events.push(event),
    ...more,
  };
  const compacted = () => events.filter((event) => event.type === "compacted");
  return { task, events, compacted, run: () => runAgent(task) };
}

function command(number: number): Said {
  return { text: "I look.", calls: [{ name: "bash", args: { command: `step ${number}` } }] };
}

/** Steps that are all different, and then a submission; `summary` is what it answers to the request for one. */
function worker(steps: number, summary: Said | ModelError, contextTokens = window): MemoryModel {
  let step = 0;
  return createMemoryModel(({ messages }) => {
    if (isSummaryRequest(messages)) return summary;
    return step++ < steps ? command(step) : submits;
  }, contextTokens);
}

test("a run of 300 steps in a window of 32,768 tokens ends well", async () => {
  const model = worker(300, { text: "Steps were taken." });
  const agent = agentWith(model);

  expect(await agent.run()).toMatchObject({ end: "submitted" });

  expect(agent.events.filter(({ type }) => type === "tool.result")).toHaveLength(302);
  expect(agent.compacted().length).toBeGreaterThan(10);
  expect(agent.compacted().length).toBeLessThanOrEqual(30);
  expect(Math.max(...model.requests.map(tokensOf))).toBeLessThan(0.85 * window);
});

test("a compaction keeps system and task, puts a summary behind them, and keeps the last turns whole", async () => {
  const model = worker(40, { text: "The cause is in slug.js." });

  await agentWith(model).run();

  const [before, summarizing, after] = aroundCompaction(model);
  expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
  expect(after[2]).toMatchObject({ role: "user", text: expect.stringContaining("The cause is in slug.js.") });
  const tail = after.slice(3);
  expect(tail[0]?.role).toBe("assistant");
  expect(tail.length).toBeGreaterThanOrEqual(4);
  expect(before.concat(tail.slice(-2)).slice(-tail.length)).toEqual(tail);
  // The request for it is itself the beginning of what was sent before.
  expect(summarizing.slice(0, -1)).toEqual(before.slice(0, summarizing.length - 1));
});

test("every result stands behind its call, before and after compactions", async () => {
  const model = worker(120, { text: "Steps were taken." });

  await agentWith(model).run();

  for (const messages of model.requests) {
    const calls = messages.flatMap((message) =>
      message.role === "assistant" ? message.calls.map(({ id }) => id) : [],
    );
    const results = messages.flatMap((message) => (message.role === "tool" ? [message.callId] : []));
    expect(results).toEqual(calls);
  }
});

test("what a person wrote stays word for word through every compaction", async () => {
  const model = worker(120, { text: "Steps were taken." });
  const arrived = [[], ["Use tabs."]];
  const agent = agentWith(model, { inbox: async () => arrived.shift() ?? [] });

  await agent.run();

  expect(agent.compacted().length).toBeGreaterThan(3);
  const last = model.requests.at(-1) ?? [];
  expect(last.filter(({ text }) => text === "Use tabs.")).toHaveLength(1);
  expect(last[2]?.text).toBe("Use tabs.");
});

test.each<{ what: string; summary: Said | ModelError }>([
  { what: "fails", summary: new ModelError("server-error", "500") },
  { what: "is empty", summary: {} },
  { what: "is a call", summary: { text: "I look first.", calls: [{ name: "bash", args: { command: "ls" } }] } },
])("when the model's summary $what, the facts are listed instead", async ({ summary }) => {
  let step = 0;
  const model = createMemoryModel(({ messages }) => {
    if (isSummaryRequest(messages)) return summary;
    step++;
    if (step === 1) return { calls: [{ name: "update_plan", args: { items: "[x] look\n[ ] mend" } }] };
    if (step === 2) return { calls: [{ name: "str_replace_editor", args: { command: "create", path: "/w/a.js" } }] };
    return step < 60 ? command(step) : submits;
  }, window);
  const agent = agentWith(model);

  expect(await agent.run()).toMatchObject({ end: "submitted" });

  expect(agent.compacted()[0]).toMatchObject({ by: "rule" });
  const [, , after] = aroundCompaction(model);
  expect(after[2]?.text).toContain("The plan:\n[x] look\n[ ] mend");
  expect(after[2]?.text).toContain("- /w/a.js");
  expect(after[2]?.text).toMatch(/- step \d+/);
  const again = model.requests.at(-1)?.[2]?.text ?? "";
  expect(again).toContain("- /w/a.js");
});

test("a server that finds the conversation too long gets it shortened, and the run goes on", async () => {
  let refused = false;
  const model = createMemoryModel(({ messages, number }) => {
    if (isSummaryRequest(messages)) return { text: "Steps were taken." };
    if (number === 12 && !refused) {
      refused = true;
      return overflow(tokensOf(messages), 20_000);
    }
    return number < 30 ? command(number) : submits;
  });
  const agent = agentWith(model, { tools: createMemoryTools((line) => line.repeat(2000)) });

  expect(await agent.run()).toMatchObject({ end: "submitted" });
  expect(agent.compacted()).toHaveLength(1);
});

test("a server that finds it too long also when it is short ends the run by that name", async () => {
  const model = createMemoryModel(({ messages, number }) => {
    if (isSummaryRequest(messages)) return { text: "Steps were taken." };
    return number < 12 ? command(number) : overflow(tokensOf(messages), 100);
  });
  const agent = agentWith(model, { tools: createMemoryTools((line) => line.repeat(5000)) });

  expect(await agent.run()).toMatchObject({ end: "context-overflow", error: { kind: "overflow" } });
  expect(agent.compacted()).toHaveLength(1);
});

test("a task that is too long for the window from the start ends by that name", async () => {
  const messages: Message[] = [
    { role: "system", text: "You work." },
    { role: "user", text: "x".repeat(200_000) },
  ];

  expect(await agentWith(worker(5, {}), { messages }).run()).toMatchObject({ end: "context-overflow" });
});

test("a window in which ten calls find no room ends the run by that name", async () => {
  const model = worker(300, { text: "Steps were taken." }, 8192);
  const agent = agentWith(model, { tools: createMemoryTools((line) => line.repeat(500)) });

  expect(await agent.run()).toEqual({ end: "context-exhausted", contextTokens: 8192 });
});

test("a server that drops the oldest messages without a word gets a shorter conversation", async () => {
  // As Ollama does with a window of its own that is smaller than what it tells.
  const seen = 6000;
  const model = worker(60, { text: "Steps were taken." }, 262_144);
  const cutting: MemoryModel = {
    ...model,
    async reply(request) {
      const reply = await model.reply(request);
      const { promptTokens } = reply.usage;
      if (promptTokens <= seen) return reply;
      return { ...reply, usage: { ...reply.usage, promptTokens: seen }, shortened: true };
    },
  };
  const agent = agentWith(cutting, { tools: createMemoryTools((line) => line.repeat(60)) });

  expect(await agent.run()).toMatchObject({ end: "submitted" });
  expect(agent.compacted().length).toBeGreaterThan(1);
});

test("a last turn that does not fit is taken out with its results, and none stays without its call", async () => {
  const messages: Message[] = [
    { role: "system", text: "You work." },
    { role: "user", text: "Task" },
    {
      role: "assistant",
      text: "",
      calls: [{ id: "a", name: "bash", arguments: `{"command":"${"x".repeat(5_000_000)}"}` }],
    },
    { role: "tool", callId: "a", text: "ran" },
  ];
  const done = await createHistory(messages).compact(window, async () => undefined);

  expect(done).toEqual({ messages: 2, by: "rule" });
  expect(messages.map(({ role }) => role)).toEqual(["system", "user", "user"]);
  expect(messages[2]?.text.length).toBeLessThan(7000);
});

test("results that the model has not seen yet are kept, also where they take more than the last turns should", async () => {
  const turn = (id: string, output: string): Message[] => [
    { role: "assistant", text: "", calls: [{ id, name: "bash", arguments: '{"command":"ls"}' }] },
    { role: "tool", callId: id, text: output },
  ];
  const messages: Message[] = [
    { role: "system", text: "You work." },
    { role: "user", text: "Task" },
    ...turn("a", "x".repeat(40_000)),
    ...turn("b", "y".repeat(24_000)),
  ];
  await createHistory(messages).compact(window, async () => "A summary.");

  expect(messages.map(({ role }) => role)).toEqual(["system", "user", "user", "assistant", "tool"]);
  expect(messages[4]?.text).toMatch(/^y+$/);
});

test("what was looked at before a compaction may be looked at again", async () => {
  const looks = Array.from({ length: 7 }, () => ({ calls: [{ name: "bash", args: { command: "cat big" } }] }));
  const said = [...looks, submits, submits];
  const model = createMemoryModel(
    ({ messages }) => (isSummaryRequest(messages) ? { text: "It is big." } : (said.shift() ?? {})),
    window,
  );
  const agent = agentWith(model, { tools: createMemoryTools(() => "x".repeat(16_000)) });

  expect(await agent.run()).toMatchObject({ end: "submitted" });
  expect(agent.compacted()).toHaveLength(1);
  expect(agent.events.filter(({ type }) => type === "tool.result")).toHaveLength(9);
});

/** The last request before the first compaction, the one for the summary, and the first one after it. */
function aroundCompaction({ requests }: MemoryModel): [readonly Message[], readonly Message[], readonly Message[]] {
  const at = requests.findIndex(isSummaryRequest);
  const [before, summarizing, after] = requests.slice(at - 1, at + 2);
  if (before === undefined || summarizing === undefined || after === undefined)
    throw new Error("nothing was shortened");
  return [before, summarizing, after];
}
