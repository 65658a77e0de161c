import { expect, test, vi } from "vitest";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import type { ModelClientOptions } from "../../../worker/agent/openai.ts";
import type { Fault } from "../../support/model-faults.ts";
import { startModelServer } from "../../support/model-server.ts";

const signal = new AbortController().signal;
const turns = ["one", "two", "three"].map((text) => ({ text }));
/** Of nothing but what is added, so that a stall is short. */
const patience = { firstMs: 100, idleMs: 100, readsPerSecond: 1e9, writesPerSecond: 1e9 };

const passing: { what: string; faults: Fault[]; waits: number[] }[] = [
  { what: "is busy", faults: [{ kind: "status", status: 429 }], waits: [1000] },
  {
    what: "is busy for so many seconds",
    faults: [{ kind: "status", status: 429, headers: { "retry-after": "7" } }],
    waits: [7000],
  },
  {
    what: "is busy for so many milliseconds",
    faults: [{ kind: "status", status: 529, headers: { "retry-after-ms": "2500", "retry-after": "7" } }],
    waits: [2500],
  },
  {
    what: "asks for an hour",
    faults: [{ kind: "status", status: 429, headers: { "retry-after": "3600" } }],
    waits: [600_000],
  },
  { what: "fails", faults: [{ kind: "status", status: 500 }], waits: [1000] },
  {
    what: "is loading",
    faults: [503, 503, 503].map((status) => ({ kind: "status", status, message: "Loading model" })),
    waits: [1000, 2000, 4000],
  },
  { what: "is overloaded", faults: [{ kind: "status", status: 529 }], waits: [1000] },
  { what: "breaks the connection at once", faults: [{ kind: "refuse" }, { kind: "refuse" }], waits: [1000, 2000] },
  { what: "hangs before a status", faults: [{ kind: "silent" }], waits: [1000] },
  { what: "hangs before the first piece", faults: [{ kind: "hang", after: 0 }], waits: [1000] },
  { what: "hangs in the middle", faults: [{ kind: "hang", after: 2 }], waits: [1000] },
  { what: "breaks the stream", faults: [{ kind: "cut", after: 2 }], waits: [1000] },
  { what: "ends the stream without a word", faults: [{ kind: "early-end", after: 2 }], waits: [1000] },
  {
    what: "reports an error in the stream",
    faults: [{ kind: "error-event", after: 1, message: "died" }],
    waits: [1000],
  },
  {
    what: "is away in the stream",
    faults: [{ kind: "error-event", after: 1, message: "no engine", code: 503 }],
    waits: [1000],
  },
  { what: "sends garbage", faults: [{ kind: "garbage" }], waits: [1000] },
  { what: "sends no choices", faults: [{ kind: "empty-choices" }], waits: [1000] },
  { what: "does not know the model for a moment", faults: [{ kind: "status", status: 404 }], waits: [] },
  { what: "has no room for so long an answer", faults: [{ kind: "overflow" }], waits: [] },
  {
    what: "is a router that has no server up",
    faults: [
      {
        kind: "status",
        status: 404,
        body: '{"error": "Model \'x\' not found. Available models can be listed at /v1/models."}',
      },
    ],
    waits: [1000],
  },
];

test.each(passing.flatMap((row) => [0, 1, 2].map((turn) => ({ ...row, turn }))))(
  "at turn $turn a server that $what costs nothing but time",
  async ({ faults, waits, turn }) => {
    await using server = await startModelServer({ dialect: "vllm", turns, faults: { [turn]: faults } });
    const waited: number[] = [];

    const texts = await converse(server.url, { delay: async (ms) => void waited.push(ms) });

    expect(texts).toEqual(["one", "two", "three"]);
    expect(waited).toEqual(waits);
    // The SDK asks for nothing again by itself.
    expect(server.requests).toHaveLength(3 + faults.length);
  },
);

const statuses = (status: number, times: number) =>
  Array.from({ length: times }, (): Fault => ({ kind: "status", status }));

/** `later`: faults at a server that has answered before. */
const ending: { what: string; faults: Fault[]; later?: Fault[]; kind: string; says: RegExp }[] = [
  {
    what: "refuses the key",
    faults: statuses(401, 1),
    later: statuses(401, 4),
    kind: "refused",
    says: /MODEL_API_KEY/,
  },
  {
    what: "has lost the model",
    faults: statuses(404, 2),
    later: statuses(404, 5),
    kind: "unknown-model",
    says: /404: planted/,
  },
  {
    what: "has no room for it",
    faults: [{ kind: "overflow" }, { kind: "overflow" }],
    kind: "overflow",
    says: /too long/,
  },
  { what: "can't read it", faults: [{ kind: "status", status: 400 }], kind: "bad-request", says: /planted/ },
  {
    what: "has no grammar for the tools",
    faults: [{ kind: "status", status: 500, message: "Failed to initialize samplers: failed to parse grammar" }],
    kind: "bad-request",
    says: /grammar/,
  },
  {
    what: "fails again and again",
    faults: statuses(500, 10),
    kind: "server-error",
    says: /planted/,
  },
  {
    what: "hangs again and again",
    faults: Array.from({ length: 3 }, () => ({ kind: "hang", after: 1 })),
    kind: "stalled",
    says: /did not answer in time/,
  },
];

test.each(ending.flatMap((row) => [0, 2].map((turn) => ({ ...row, turn }))))(
  "at turn $turn a server that $what ends the conversation as $kind",
  async ({ faults: first, later = first, kind, says, turn }) => {
    const faults = turn === 0 ? first : later;
    await using server = await startModelServer({ dialect: "vllm", turns, faults: { [turn]: faults } });

    const conversation = converse(server.url);

    await expect(conversation).rejects.toMatchObject({ kind, message: expect.stringMatching(says) });
    expect(server.requests).toHaveLength(turn + faults.length);
  },
);

test("a server that goes away comes back to all runs, which were told", async () => {
  await using server = await startModelServer({ dialect: "vllm" });
  let waits = 0;
  const client = clientOf(server.url, {
    delay: async () => {
      if (++waits === 4) await server.comeBack();
    },
  });
  await client.describe(signal);
  await server.goAway();

  const told: (string | undefined)[][] = [];
  const replies = await Promise.all(
    Array.from({ length: 5 }, (_, run) => {
      const heard: (string | undefined)[] = [];
      told.push(heard);
      const messages: Message[] = [{ role: "user", text: `Task ${run}` }];
      return client.reply({ messages, tools: [], signal, onWaiting: (reason) => heard.push(reason) });
    }),
  );

  expect(replies.map((reply) => reply.text)).toEqual(Array.from({ length: 5 }, () => "ready"));
  expect(told).toEqual(Array.from({ length: 5 }, () => ["its server is away or busy", undefined]));
  // It may be another model by now.
  expect(server.lookups.filter((path) => path === "GET /v1/models").length).toBeGreaterThan(1);
});

test.each([
  { what: "never answered", before: 0, minutes: 15 },
  { what: "answered before", before: 1, minutes: 90 },
])("a server that $what is waited for $minutes minutes", async ({ before, minutes }) => {
  const faults = { [before]: statuses(503, 500) };
  await using server = await startModelServer({ dialect: "vllm", turns, faults });
  let waitedMs = 0;
  const client = clientOf(server.url, {
    limits: { maxWaitMs: 15 * 60_000, maxAwayMs: 90 * 60_000 },
    delay: async (ms) => void (waitedMs += ms),
  });
  const ask = () => client.reply({ messages: [{ role: "user", text: "Task" }], tools: [], signal });
  for (let turn = 0; turn < before; turn++) await ask();

  await expect(ask()).rejects.toMatchObject({ kind: "away" });

  expect(Math.abs(waitedMs / 60_000 - minutes)).toBeLessThan(2);
});

test.each(["vllm", "llamacpp"] as const)("a %s that is still loading is waited for at the start", async (dialect) => {
  await using server = await startModelServer({ dialect, loadingRequests: 3 });

  const described = await clientOf(server.url).describe(signal);

  expect(described.contextTokens).toBe(262_144);
});

test("a stop in the middle of an answer tells what had come of it", async () => {
  // So much that it is not all on its way before the client has read some.
  const pieces = Array.from({ length: 2000 }, (_, number) => {
    const content = Array.from({ length: 1000 }, (_none, word) => number * 1000 + word).join(" ");
    return `data: ${JSON.stringify({ choices: [{ delta: { content: `${content} ` } }] })}\n\n`;
  });
  await using server = await startModelServer({ dialect: "vllm", turns: [{ raw: pieces, hangs: true }] });
  const stop = new AbortController();
  const client = createModelClient({ baseUrl: server.url, apiKey: "EMPTY" });
  let told = "";
  const messages: Message[] = [{ role: "user", text: "Task" }];
  const reply = client.reply({ messages, tools: [], signal: stop.signal, onCut: (text) => (told = text) });
  reply.catch(() => {});
  await (await server.request(0)).sent;

  stop.abort(new Error("stopped"));

  await expect(reply).rejects.toThrow("stopped");
  expect(told).toMatch(/^0 1 2 3/);
});

test("a stop closes the connection at once, and the server sees it", async () => {
  await using server = await startModelServer({ dialect: "vllm", turns: [{ fault: { kind: "hang", after: 2 } }] });
  const stop = new AbortController();
  const client = createModelClient({ baseUrl: server.url, apiKey: "EMPTY" });
  const reply = client.reply({ messages: [{ role: "user", text: "Task" }], tools: [], signal: stop.signal });
  const request = await server.request(0);

  stop.abort(new Error("stopped"));

  await expect(reply).rejects.toThrow("stopped");
  await request.abandoned;
});

test("what a run waits for the server is told with the answer", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const faults = { 0: [429, 503].map((status) => ({ kind: "status" as const, status })) };
  await using server = await startModelServer({ dialect: "vllm", faults });
  const full = { "vllm:num_requests_waiting": 1 };
  server.metrics = full;
  const client = clientOf(server.url, {
    delay: async (ms) => {
      vi.advanceTimersByTime(ms);
      server.metrics = undefined;
    },
  });

  const first = await client.reply({ messages: [{ role: "user", text: "Task" }], tools: [], signal, session: "run-1" });
  const second = await client.reply({
    messages: [{ role: "user", text: "Task" }],
    tools: [],
    signal,
    session: "run-1",
  });
  vi.useRealTimers();

  expect([first.waitedMs, second.waitedMs]).toEqual([7500 + 1000 + 2000, 0]);
});

/** Three turns of one conversation; the texts of the answers. */
async function converse(url: string, options: Partial<ModelClientOptions> = {}): Promise<string[]> {
  const client = clientOf(url, options);
  const messages: Message[] = [{ role: "user", text: "Task" }];
  for (let turn = 0; turn < 3; turn++) {
    const { text, calls } = await client.reply({ messages, tools: [], signal, session: "run-1" });
    messages.push({ role: "assistant", text, calls }, { role: "user", text: "Go on" });
  }
  return messages.filter((message) => message.role === "assistant").map((message) => message.text);
}

function clientOf(baseUrl: string, options: Partial<ModelClientOptions> = {}) {
  return createModelClient({
    baseUrl,
    apiKey: "EMPTY",
    delay: async () => {},
    random: () => 1,
    limits: patience,
    ...options,
  });
}
