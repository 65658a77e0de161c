import { expect, test } from "vitest";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { AgentTask } from "../../../worker/agent/loop.ts";
import type { Message, ModelErrorKind } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { createTally } from "../../../worker/agent/tally.ts";
import { dialects } from "../../support/model-dialects.ts";
import type { DialectName } from "../../support/model-dialects.ts";
import type { Fault } from "../../support/model-faults.ts";
import type { Turn } from "../../support/model-stream.ts";
import { startModelServer } from "../../support/model-server.ts";
import { createMemoryTools } from "./memory-model.ts";

const limits = { steps: 40, tokens: 10_000_000, minutes: 5 };
/** For a server that hangs: of nothing but what is added, so that a stall is short. */
const impatient = { firstMs: 100, idleMs: 100, readsPerSecond: 1e9, writesPerSecond: 1e9 };
const submission = { title: "Mend it", cause: "It was broken.", change: "Mended it." };
type Call = NonNullable<Turn["calls"]>[number];
const run = (command: string): Call => ({ name: "bash", arguments: { command } });

/** The turns of a run that went well. */
const recorded: { text: string; calls: Call[] }[] = [
  { text: "I look around.", calls: [run("git ls-files")] },
  { text: "I read both.", calls: [run("cat src/slug.js"), run("cat test/slug.test.js")] },
  { text: "I mend it.", calls: [run("sed -i 's/a/b/' src/slug.js")] },
  { text: "Now the tests.", calls: [run("npm test")] },
  { text: "It is done.", calls: [{ name: "submit", arguments: submission }] },
  { text: "All is in order.", calls: [{ name: "submit", arguments: submission }] },
];
const commands = [
  "git ls-files",
  "cat src/slug.js",
  "cat test/slug.test.js",
  "sed -i 's/a/b/' src/slug.js",
  "npm test",
];
const turns = recorded.map((_, turn) => turn);

interface Trouble {
  turn: number;
  faults: Fault[];
  dialect?: DialectName;
  said?: typeof recorded;
}

/** The recorded run at a server where something goes wrong at one turn. */
async function runWith({ turn, faults, dialect = "vllm", said = recorded }: Trouble, more: Partial<AgentTask> = {}) {
  await using server = await startModelServer({ dialect, turns: said, faults: { [turn]: faults } });
  const ran: string[] = [];
  const messages: Message[] = [
    { role: "system", text: "You work." },
    { role: "user", text: "Task" },
  ];
  const tally = createTally();
  const end = await runAgent({
    model: createModelClient({
      baseUrl: server.url,
      apiKey: "EMPTY",
      limits: faults.some(({ kind }) => kind === "hang") ? impatient : {},
      delay: async () => {},
    }),
    tools: createMemoryTools((command) => {
      ran.push(command);
      return `ran ${command.slice(0, 40)}`;
    }),
    messages,
    limits,
    tally,
    signal: new AbortController().signal,
    record: async () => {},
    ...more,
  });
  return { end, ran, messages, tally };
}

function expectWhole(messages: readonly Message[]) {
  const calls = messages.flatMap((message) => (message.role === "assistant" ? message.calls : []));
  const results = messages.flatMap((message) => (message.role === "tool" ? [message.callId] : []));
  expect(results).toEqual(calls.map(({ id }) => id));
  for (const call of calls) expect(JSON.parse(call.arguments)).toBeTypeOf("object");
}

const passing: { what: string; faults: Fault[] }[] = [
  { what: "429 without a time", faults: [{ kind: "status", status: 429 }] },
  { what: "429 with a time", faults: [{ kind: "status", status: 429, headers: { "retry-after": "3" } }] },
  { what: "500", faults: [{ kind: "status", status: 500 }] },
  { what: "503 while loading", faults: [{ kind: "status", status: 503, message: "Loading model" }] },
  { what: "529", faults: [{ kind: "status", status: 529 }] },
  { what: "a refused connection", faults: [{ kind: "refuse" }] },
  { what: "a hang before the first piece", faults: [{ kind: "hang", after: 0 }] },
  { what: "a hang in the middle", faults: [{ kind: "hang", after: 2 }] },
  { what: "a stream that is cut", faults: [{ kind: "cut", after: 2 }] },
  { what: "a stream that ends early", faults: [{ kind: "early-end", after: 2 }] },
  { what: "an error within the stream", faults: [{ kind: "error-event", after: 1, message: "died" }] },
  { what: "garbage", faults: [{ kind: "garbage" }] },
  { what: "no choices", faults: [{ kind: "empty-choices" }] },
  { what: "three failures in a row", faults: [500, 503, 429].map((status) => ({ kind: "status", status })) },
];

test.each(passing.flatMap((row) => turns.map((turn) => ({ ...row, turn }))))(
  "$what at turn $turn leaves the run as it was recorded",
  async (fault) => {
    const { end, ran, messages, tally } = await runWith(fault);

    expect(end).toEqual({ end: "submitted", submission });
    expect(ran).toEqual(commands);
    expect(tally.steps).toBe(recorded.length);
    expectWhole(messages);
  },
);

const damaging: { what: string; fault: Fault; says: RegExp }[] = [
  {
    what: "arguments that are no JSON",
    fault: { kind: "bad-arguments" },
    says: /was not run: (?:its arguments|the call was cut)/,
  },
  {
    what: "the name of no tool",
    fault: { kind: "wrong-tool" },
    says: /There is no tool "no_such_tool"\. The tools are: /,
  },
];

test.each(damaging.flatMap((row) => turns.map((turn) => ({ ...row, turn }))))(
  "a call with $what at turn $turn is answered with the remedy, and the run goes on",
  async ({ fault, turn, says }) => {
    const { end, ran, messages } = await runWith({ turn, faults: [fault] });

    expect(end).toEqual({ end: "submitted", submission });
    expect(ran.filter((command) => command.length < 100)).toEqual(commands);
    expect(messages.some(({ text }) => says.test(text))).toBe(true);
    expectWhole(messages);
  },
);

test.each(turns)(
  "an argument of 5 MB at turn %i is taken out again when it fills the window, and the run goes on",
  async (turn) => {
    const lines = Array.from({ length: 250_000 }, (_, n) => `echo line ${n} of many`);
    const huge = { text: "I write it all.", calls: [run(lines.join("\n").slice(0, 5_000_000))] };
    const said = [...recorded.slice(0, turn), huge, { text: "Steps were taken.", calls: [] }, ...recorded.slice(turn)];

    const { end, ran, messages } = await runWith({ turn: 0, faults: [], said });

    expect(end).toEqual({ end: "submitted", submission });
    expect(ran.filter((command) => command.length < 100)).toEqual(commands);
    expect(messages.filter(({ text }) => text.startsWith("To save room"))).toHaveLength(1);
    expectWhole(messages);
  },
);

const ending: { what: string; fault: Fault; kind: ModelErrorKind }[] = [
  { what: "a model that is gone", fault: { kind: "status", status: 404 }, kind: "unknown-model" },
  { what: "a key that is refused", fault: { kind: "status", status: 401 }, kind: "refused" },
  { what: "a request that is refused", fault: { kind: "status", status: 400, message: "no" }, kind: "bad-request" },
  { what: "a server that fails for good", fault: { kind: "status", status: 500 }, kind: "server-error" },
  { what: "a server that stays away", fault: { kind: "status", status: 503 }, kind: "away" },
];

test.each(ending.flatMap((row) => turns.map((turn) => ({ ...row, turn }))))(
  "$what at turn $turn ends the run by that name, with all that came before",
  async ({ fault, kind, turn }) => {
    const { end, ran, messages } = await runWith({ turn, faults: Array.from({ length: 2000 }, () => fault) });

    expect(end).toMatchObject({ end: "model-failed", error: { kind } });
    const before = recorded.slice(0, turn).flatMap(({ calls }) => calls).length;
    expect(ran).toEqual(commands.slice(0, before));
    expectWhole(messages);
  },
);

test.each((Object.keys(dialects) as DialectName[]).flatMap((dialect) => turns.map((turn) => ({ dialect, turn }))))(
  "a conversation that is too long for good, in the words of $dialect at turn $turn, ends by that name",
  async ({ dialect, turn }) => {
    const faults = Array.from({ length: 50 }, () => ({ kind: "overflow" as const }));
    const { end, messages } = await runWith({ turn, faults, dialect });

    expect(end).toMatchObject({ end: "context-overflow", error: { kind: "overflow" } });
    expectWhole(messages);
  },
);
