import { expect, test } from "vitest";
import { defaultSettings } from "../../../src/settings.ts";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { AgentEnd } from "../../../worker/agent/loop.ts";
import type { ModelLimits } from "../../../worker/agent/limits.ts";
import type { Message, ModelErrorKind } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { createTally } from "../../../worker/agent/tally.ts";
import { endingOutcome } from "../../../worker/endings.ts";
import { dialects } from "../../support/model-dialects.ts";
import type { DialectName } from "../../support/model-dialects.ts";
import type { Fault } from "../../support/model-faults.ts";
import type { Turn } from "../../support/model-stream.ts";
import { startModelServer } from "../../support/model-server.ts";
import { createMemoryTools } from "./memory-model.ts";

const limits = { steps: 40, tokens: 10_000_000, minutes: 5 };
/** Waits cost no time here, but each costs a request. */
const patient = { maxAwayMs: 15 * 60_000 };
/** For a server that hangs: of nothing but what is added, so that a stall is short. */
const impatient = { firstMs: 300, idleMs: 300, readsPerSecond: 1e9, writesPerSecond: 1e9 };
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
  patience?: Partial<ModelLimits>;
}

/** The recorded run at a server where something goes wrong at one turn. */
async function runWith({ turn, faults, dialect = "vllm", said = recorded, patience = patient }: Trouble) {
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
      limits: faults.some(({ kind }) => kind === "hang") ? impatient : patience,
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

test("a server that is away for hours after the first turns costs the run nothing but time", async () => {
  const faults = Array.from({ length: 150 }, (): Fault => ({ kind: "refuse" }));

  const { end, ran, messages, tally } = await runWith({ turn: 3, faults, patience: {} });

  expect(end).toEqual({ end: "submitted", submission });
  expect({ ran, steps: tally.steps }).toEqual({ ran: commands, steps: recorded.length });
  expectWhole(messages);
});

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

const manyLines = Array.from({ length: 250_000 }, (_, n) => `echo line ${n} of many`)
  .join("\n")
  .slice(0, 5_000_000);

test.each(turns)(
  "an argument of 5 MB at turn %i is taken out again when it fills the window, and the run goes on",
  async (turn) => {
    const huge = { text: "I write it all.", calls: [run(manyLines)] };
    const said = [...recorded.slice(0, turn), huge, { text: "Steps were taken.", calls: [] }, ...recorded.slice(turn)];

    const { end, ran, messages } = await runWith({ turn: 0, faults: [], said });

    expect(end).toEqual({ end: "submitted", submission });
    expect(ran.filter((command) => command.length < 100)).toEqual(commands);
    expect(messages.filter(({ text }) => text.startsWith("To save room"))).toHaveLength(1);
    expectWhole(messages);
  },
);

const noAnswer = /^The model endpoint did not answer.*MODEL_BASE_URL http/s;
const ending: { what: string; fault: Fault; kind: ModelErrorKind; says: RegExp }[] = [
  {
    what: "a model that is gone",
    fault: { kind: "status", status: 404 },
    kind: "unknown-model",
    says: /^The model endpoint does not serve the model.*an admin must.*MODEL_BASE_URL/s,
  },
  {
    what: "a key that is refused",
    fault: { kind: "status", status: 401 },
    kind: "refused",
    says: /^The model endpoint refused the key.*an admin must.*MODEL_API_KEY/s,
  },
  {
    what: "a request that is refused",
    fault: { kind: "status", status: 400, message: "no" },
    kind: "bad-request",
    says: /^The model endpoint did not accept the request.*an admin must.*: no\n```$/s,
  },
  {
    what: "a server that fails for good",
    fault: { kind: "status", status: 500 },
    kind: "server-error",
    says: noAnswer,
  },
  { what: "a server that stays away", fault: { kind: "status", status: 503 }, kind: "away", says: noAnswer },
  { what: "a server that refuses connections", fault: { kind: "refuse" }, kind: "away", says: noAnswer },
  {
    what: "a model that repeats itself",
    fault: { kind: "endless" },
    kind: "repetition",
    says: /^The model repeated the same text/,
  },
];

test.each(ending.flatMap((row) => turns.map((turn) => ({ ...row, turn }))))(
  "$what at turn $turn ends the run by that name and in those words, with all that came before",
  async ({ fault, kind, turn, says }) => {
    const { end, ran, messages } = await runWith({ turn, faults: Array.from({ length: 2000 }, () => fault) });

    expect(end).toMatchObject({ end: "model-failed", error: { kind } });
    expect(outcomeOf(end)).toMatchObject({ cause: `model ${kind}`, detail: expect.stringMatching(says) });
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
    expect(outcomeOf(end)).toMatchObject({
      cause: "context overflow",
      detail: expect.stringMatching(/longer context/),
    });
    expectWhole(messages);
  },
);

function outcomeOf(end: AgentEnd) {
  if (end.end === "submitted") throw new Error("The run ended well");
  return endingOutcome(end, defaultSettings.limits);
}
