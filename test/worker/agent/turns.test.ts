import { expect, test } from "vitest";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { AgentEvent, AgentTask } from "../../../worker/agent/loop.ts";
import { ModelError } from "../../../worker/agent/model.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createTally } from "../../../worker/agent/tally.ts";
import { bash, createMemoryModel, createMemoryTools, submits } from "./memory-model.ts";
import type { Said } from "./memory-model.ts";

/** An agent whose model says these one after another. */
function agentThat(says: readonly (Said | ModelError)[], more: Partial<AgentTask> = {}) {
  const model = createMemoryModel(({ number }) => says[number] ?? new ModelError("server-error", "the script is over"));
  const events: AgentEvent[] = [];
  const task: AgentTask = {
    model,
    tools: createMemoryTools(),
    messages: [
      { role: "system", text: "You work." },
      { role: "user", text: "Task" },
    ],
    limits: { steps: 50, tokens: 1_000_000, minutes: 10 },
    signal: new AbortController().signal,
    record: async (event) => void events.push(event),
    ...more,
  };
  const told = () => task.messages.flatMap(({ role, text }) => (role === "user" ? [text] : [])).slice(1);
  const results = () => task.messages.flatMap(({ role, text }) => (role === "tool" ? [text] : []));
  return { task, model, events, told, results, run: () => runAgent(task) };
}

const asks: Said = { calls: [{ name: "ask", args: { question: "Q", default: "D" } }] };
const done = [submits, submits];

test("answers without a call are told so three times, each in words that fit, and then are the end", async () => {
  const says = ["I will look now:", "<function=bash>ls", "All is done.", "Really."].map((text) => ({ text }));
  const agent = agentThat(says);

  expect(await agent.run()).toEqual({ end: "no-answer", text: "Really." });
  expect(agent.told()).toEqual([
    expect.stringContaining("You announced an action but made no call"),
    expect.stringContaining("<tool_call>\n<function=bash>"),
    expect.stringContaining("Your last message made no tool call"),
  ]);
});

test("an empty answer is asked for again without a trace and without a step, then with a word", async () => {
  const agent = agentThat([{}, {}, {}, bash("ls"), ...done]);

  expect(await agent.run()).toMatchObject({ end: "submitted" });
  expect(agent.model.requests.map((messages) => messages.length).slice(0, 5)).toEqual([2, 2, 2, 3, 5]);
  const steps = agent.events.flatMap((event) => (event.type === "model.intent" ? [event.step] : []));
  expect(steps).toEqual([1, 1, 1, 1, 2, 3]);
});

test("four empty answers in a row are the end", async () => {
  expect(await agentThat([{}, {}, {}, {}]).run()).toEqual({ end: "no-answer", text: "" });
});

test("the calls of one answer run in order, an error in one stops none, and the results stand in their order", async () => {
  const calls = [
    { name: "bash", args: { command: "one" } },
    { name: "bash", args: {} },
    { name: "nothing" },
    { name: "bash", args: { command: "two" }, broken: "cut" as const },
    { name: "bash", args: { command: "three" } },
  ];
  const agent = agentThat([{ calls }, ...done]);

  await agent.run();

  expect(agent.results().slice(0, 5)).toEqual([
    "ran one",
    expect.stringContaining('"command" is missing'),
    expect.stringContaining('no tool "nothing"'),
    expect.stringContaining("cut before its end"),
    "ran three",
  ]);
  const ids = agent.task.messages.flatMap((message) => (message.role === "tool" ? [message.callId] : []));
  expect(ids.slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((n) => `call_0_${n}`));
});

test("calls that can't be understood bring the form of one after five in a row, and after ten the end", async () => {
  const broken = { calls: [{ name: "bash", broken: "not-an-object" as const }] };
  const agent = agentThat(Array.from({ length: 10 }, () => broken));

  expect(await agent.run()).toMatchObject({ end: "format-errors", text: expect.stringContaining("could not be read") });
  expect(agent.told()).toEqual([expect.stringContaining("<tool_call>\n<function=bash>")]);
  expect(agent.results()).toHaveLength(10);
});

test("a call that goes round in circles gets a note, is then not run, and at last is the end", async () => {
  const agent = agentThat(Array.from({ length: 8 }, () => bash("make")));

  expect(await agent.run()).toMatchObject({
    end: "stuck",
    fact: expect.stringContaining("7 times"),
    call: "bash make",
  });
  expect(agent.results()).toEqual([
    "ran make",
    "ran make",
    ...[3, 4, 5].map((n) => expect.stringMatching(new RegExp(`^ran make\\n\\n\\[.*${n} times`))),
    expect.stringContaining("Not run: This call gave the same result 5 times in a row."),
    expect.stringContaining("Not run: This call gave the same result 6 times in a row."),
    expect.stringContaining("Not run"),
  ]);
  expect(agent.events.filter(({ type }) => type === "tool.intent")).toHaveLength(5);
});

test("what had come of an answer when the run was stopped is recorded, and the conversation stays whole", async () => {
  const stop = new AbortController();
  const agent = agentThat([], { signal: stop.signal });
  agent.model.reply = async ({ signal, onCut }) => {
    stop.abort(new Error("stopped"));
    onCut?.("I was about to");
    throw signal.reason;
  };

  expect(await agent.run()).toEqual({ end: "cancelled" });
  expect(agent.events).toEqual([
    { type: "model.intent", step: 1 },
    { type: "model.cut", step: 1, text: "I was about to" },
  ]);
  expect(agent.task.messages).toHaveLength(2);
});

test("what a person wrote stands before the next answer", async () => {
  const arrived = [[], ["Use tabs.", "And fix the typo."]];
  const agent = agentThat([bash("ls"), ...done], { inbox: async () => arrived.shift() ?? [] });

  await agent.run();

  expect(agent.model.requests[0]).toHaveLength(2);
  expect(agent.model.requests[1]?.slice(-2).map(({ text }) => text)).toEqual(["Use tabs.", "And fix the typo."]);
});

test.each([
  { what: "steps", limits: { steps: 10 }, near: "8 of 10 steps", end: "out-of-steps" },
  { what: "tokens", limits: { tokens: 2000 }, near: /1[6-9]\d\d of 2000 tokens/, end: "out-of-tokens" },
  { what: "minutes", limits: { minutes: 10 }, near: /[89] of 10 minutes/, end: "out-of-time" },
])("the model is told once that $what run out, then has two turns to submit, and no other call runs", async (limit) => {
  let clock = 0;
  const says = Array.from({ length: 60 }, (_, n) => bash(`echo ${n}`));
  const agent = agentThat(says, {
    limits: { steps: 50, tokens: 1_000_000, minutes: 100, ...limit.limits },
    now: () => (clock += 5000),
  });

  expect(await agent.run()).toEqual({ end: limit.end });
  expect(agent.told()).toEqual([
    expect.stringMatching(limit.near),
    expect.stringMatching(new RegExp(`The limit of \\d+ ${limit.what} for this task is reached`)),
  ]);
  const runs = agent.results();
  expect(runs.slice(0, -2).every((text) => text.startsWith("ran"))).toBe(true);
  expect(runs.slice(-2)).toEqual(Array.from({ length: 2 }, () => expect.stringContaining("only `submit` runs")));
});

test("a change that is submitted in the last turns counts", async () => {
  const agent = agentThat([bash("a"), bash("b"), ...done], { limits: { steps: 2, tokens: 1_000_000, minutes: 10 } });

  expect(await agent.run()).toMatchObject({ end: "submitted", submission: { title: "Mend it" } });
});

test("the limits count over all rounds, are told once in all, and leave the last turns once", async () => {
  const tally = createTally();
  const limits = { steps: 5, tokens: 1_000_000, minutes: 10 };
  const first = agentThat([bash("a"), bash("b"), ...done], { tally, limits });
  await first.run();
  const second = agentThat([bash("c"), ...done, ...done], { tally, limits });
  await second.run();
  const third = agentThat([bash("d")], { tally, limits });

  expect(first.told()).toEqual([]);
  expect(second.told().map((text) => text.slice(0, 20))).toEqual(["You have used 4 of 5", "The limit of 5 steps"]);
  expect(await third.run()).toEqual({ end: "out-of-steps" });
  expect(third.model.requests).toEqual([]);
});

test("waiting for a server that is away costs no minutes", async () => {
  let clock = 0;
  const tally = createTally();
  const agent = agentThat(
    [bash("a"), bash("b"), bash("c"), ...done].map((said) => ({ ...said, waitedMs: 8 * 60_000 })),
    {
      tally,
      now: () => clock,
    },
  );
  const { model } = agent;
  const slow = {
    describe: async (signal: AbortSignal) => {
      clock += 60_000;
      return model.describe(signal);
    },
    reply: async (request: Parameters<typeof model.reply>[0]) => {
      clock += 9 * 60_000;
      return model.reply(request);
    },
  };

  expect(await runAgent({ ...agent.task, model: slow })).toMatchObject({ end: "submitted" });
  expect(tally.ms).toBe(5 * 60_000);
});

test("a conversation that was left with open calls is mended before the next request", async () => {
  const messages: Message[] = [
    { role: "system", text: "You work." },
    { role: "user", text: "Task" },
    { role: "assistant", text: "", calls: ["a", "b"].map((id) => ({ id, name: "bash", arguments: "{}" })) },
    { role: "tool", callId: "a", text: "ran" },
    { role: "user", text: "Go on." },
  ];
  const agent = agentThat(done, { messages });

  await agent.run();

  expect(agent.model.requests[0]?.slice(2, 6)).toMatchObject([
    { role: "assistant" },
    { role: "tool", callId: "a" },
    { role: "tool", callId: "b", text: expect.stringContaining("Not run") },
    { role: "user", text: "Go on." },
  ]);
});

test("a run that is stopped within a command leaves no call without a result", async () => {
  const abort = new AbortController();
  const tools = createMemoryTools(() => {
    abort.abort();
    throw new Error("killed");
  });
  const calls = ["one", "two"].map((command) => ({ name: "bash", args: { command } }));
  const agent = agentThat([{ calls }], { tools, signal: abort.signal });

  expect(await agent.run()).toEqual({ end: "cancelled" });
  expect(agent.results()).toHaveLength(2);
});

test("a tool that is not there is no end of a run", async () => {
  const agent = agentThat([asks, ...done]);

  expect(await agent.run()).toMatchObject({ end: "submitted" });
});
