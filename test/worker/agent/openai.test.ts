import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { startModel } from "../../../src/demo/model/model.ts";
import type { Script } from "../../../src/demo/model/script.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import type { ModelClientOptions } from "../../../worker/agent/openai.ts";

const signal = new AbortController().signal;
const task: Message[] = [{ role: "user", text: "Task: test" }];
const usage = { prompt_tokens: 40, completion_tokens: 5 };
const bash = {
  name: "bash",
  description: "Runs a command.",
  parameters: z.object({ command: z.string().min(1).describe("It."), timeout_seconds: z.int().optional() }),
};
const script: Script = {
  name: "test",
  when: "Task: test",
  holes: {},
  steps: [{ id: "only", say: "I look.", calls: [{ name: "bash", arguments: { command: "ls" } }] }],
};

test("a reply has text, calls, usage, and nothing lost to waiting", async () => {
  await using model = await startModel({ scripts: [script] });

  const reply = await clientOf(model.url).reply({ messages: task, tools: [bash], signal });

  expect(reply).toMatchObject({
    text: "I look.",
    calls: [{ id: "call-0-0", name: "bash", arguments: '{"command":"ls"}' }],
    usage: { promptTokens: expect.any(Number), completionTokens: expect.any(Number), cachedTokens: 0 },
    truncated: false,
  });
});

test("tools are sent as strict where that is asked for, with nothing else changed", async () => {
  await using server = await startServer(answer([delta({ content: "ok" }), finish("stop")]));

  await clientOf(server.url).reply({ messages: task, tools: [bash], signal });
  await clientOf(server.url, { strict: true }).reply({ messages: task, tools: [bash], signal });

  const [plain, strict] = server.bodies.map(({ tools }) => tools?.[0]?.function);
  expect(plain?.strict).toBeUndefined();
  expect(strict).toEqual({
    ...plain,
    strict: true,
    parameters: { ...plain?.parameters, additionalProperties: false },
  });
});

test("an id that we make up is new in its conversation, also where a summary has made that shorter", async () => {
  await using server = await startServer(
    answer([
      delta({ tool_calls: [{ index: 0, function: { name: "bash", arguments: '{"command":"ls"}' } }] }),
      finish("stop"),
    ]),
  );
  const known = { id: "call_3_0", name: "bash", arguments: "{}" };
  const messages: Message[] = [
    ...task,
    { role: "assistant", text: "", calls: [known] },
    { role: "tool", callId: "call_3_0", text: "" },
  ];

  const reply = await clientOf(server.url).reply({ messages, tools: [bash], signal });

  expect(reply.calls.map(({ id }) => id)).toEqual(["call_4_0"]);
});

test("the request carries the model's sampling, a fitting length, and tools of plain types", async () => {
  await using server = await startServer(answer([delta({ content: "ok" }), finish("stop")]), { max_model_len: 32_768 });
  const long: Message[] = [{ role: "user", text: "x".repeat(90_000) }];

  await clientOf(server.url).reply({ messages: task, tools: [bash], signal });
  await clientOf(server.url).reply({ messages: long, tools: [bash], signal });

  expect(server.bodies[0]).toEqual({
    model: "served",
    messages: [{ role: "user", content: "Task: test" }],
    tools: [
      {
        type: "function",
        function: {
          name: "bash",
          description: "Runs a command.",
          parameters: {
            type: "object",
            properties: { command: { type: "string", description: "It." }, timeout_seconds: { type: "integer" } },
            required: ["command"],
          },
        },
      },
    ],
    temperature: 1,
    top_p: 0.95,
    top_k: 40,
    max_tokens: 16_384,
    stream: true,
    stream_options: { include_usage: true },
  });
  expect(server.bodies[1]?.max_tokens).toBeLessThanOrEqual(2700);
  expect(server.bodies[1]?.max_tokens).toBeGreaterThan(1000);
});

test("a request is as long as the server counted before, plus what was added", async () => {
  const counted = { choices: [], usage: { prompt_tokens: 20_000, completion_tokens: 5 } };
  await using server = await startServer(answer([delta({ content: "ok" }), finish("stop"), counted]), {
    max_model_len: 32_768,
  });
  const client = clientOf(server.url);
  const messages: Message[] = [...task];

  await client.reply({ messages, tools: [], signal });
  messages.push({ role: "user", text: "x".repeat(3000) });
  await client.reply({ messages, tools: [], signal });

  expect(server.bodies[1]?.max_tokens).toBe(32_768 - 20_000 - 1008 - 128);
});

test("the history is sent with calls and results as the server knows them", async () => {
  await using server = await startServer(answer([delta({ content: "ok" }), finish("stop")]));
  const messages: Message[] = [
    { role: "system", text: "You work." },
    ...task,
    { role: "assistant", text: "I look.", calls: [{ id: "a", name: "bash", arguments: '{"command": "ls"}' }] },
    { role: "tool", callId: "a", text: "README.md" },
  ];

  await clientOf(server.url).reply({ messages, tools: [], signal });

  expect(server.bodies[0]?.messages.slice(2)).toEqual([
    {
      role: "assistant",
      content: "I look.",
      tool_calls: [{ id: "a", type: "function", function: { name: "bash", arguments: '{"command": "ls"}' } }],
    },
    { role: "tool", tool_call_id: "a", content: "README.md" },
  ]);
});

test.each([
  {
    what: "in pieces",
    deltas: [
      call(0, "a", "bash", ""),
      call(0, undefined, undefined, '{"command":'),
      call(0, undefined, undefined, '"ls"}'),
    ],
    calls: [{ id: "a", name: "bash", arguments: '{"command":"ls"}' }],
  },
  {
    what: "that all have number 0",
    deltas: [call(0, "a", "bash", "{}"), call(0, "b", "submit", "{}")],
    calls: [
      { id: "a", name: "bash", arguments: "{}" },
      { id: "b", name: "submit", arguments: "{}" },
    ],
  },
  {
    what: "without number and id",
    deltas: [{ tool_calls: [{ function: { name: " bash ", arguments: { command: "ls" } } }] }],
    calls: [{ id: "call_1_0", name: "bash", arguments: '{"command":"ls"}' }],
  },
  {
    what: "that share an id",
    deltas: [call(0, "x", "bash", "{}"), call(1, "x", "bash", "{}")],
    calls: [
      { id: "x", name: "bash", arguments: "{}" },
      { id: "call_1_1", name: "bash", arguments: "{}" },
    ],
  },
  {
    what: "without arguments",
    deltas: [call(0, "a", "submit", undefined)],
    calls: [{ id: "a", name: "submit", arguments: "{}" }],
  },
  {
    what: "whose arguments are no object",
    deltas: [call(0, "a", "bash", '{"command": "l'), call(1, "b", "bash", "null"), call(2, "c", "bash", "[]")],
    calls: [
      { id: "a", name: "bash", arguments: "{}", broken: "cut" },
      { id: "b", name: "bash", arguments: "{}", broken: "not-an-object" },
      { id: "c", name: "bash", arguments: "{}", broken: "not-an-object" },
    ],
  },
])("calls $what are put together", async ({ deltas, calls }) => {
  await using server = await startServer(answer([...deltas.map(delta), finish("tool_calls")]));

  const reply = await clientOf(server.url).reply({ messages: task, tools: [bash], signal });

  expect(reply.calls).toEqual(calls);
});

test("the last call of an answer that reached its longest length is not to be run", async () => {
  const full = { choices: [], usage: { prompt_tokens: 40, completion_tokens: 16_384 } };
  const deltas = [call(0, "a", "bash", "{}"), call(1, "b", "bash", '{"command":"rm -r /tmp/x"}')].map(delta);
  await using server = await startServer(answer([...deltas, finish("tool_calls"), full]));

  const reply = await clientOf(server.url).reply({ messages: task, tools: [bash], signal });

  expect(reply.truncated).toBe(true);
  expect(reply.calls.map((made) => made.broken)).toEqual([undefined, "cut"]);
});

test("reasoning under either name, unknown fields and a missing count are no trouble", async () => {
  const chunks = [
    delta({ reasoning: "hm" }),
    delta({ reasoning_content: "hm" }),
    delta({ content: "  ok\n", refusal: null }),
  ];
  await using server = await startServer(answer([...chunks, { ...finish("stop"), prompt_token_ids: null }], null));

  const reply = await clientOf(server.url).reply({ messages: task, tools: [], signal });

  expect(reply.text).toBe("ok");
  expect(reply.usage).toEqual({ promptTokens: expect.any(Number), completionTokens: 1, cachedTokens: 0 });
});

test.each([
  { status: 401, body: '{"error":"Unauthorized"}', kind: "refused", says: /MODEL_API_KEY.*Unauthorized/ },
  { status: 403, body: "<html>no</html>", kind: "refused", says: /MODEL_API_KEY.*said: no/ },
  { status: 400, body: '{"object":"error","message":"bad field","code":400}', kind: "bad-request", says: /bad field/ },
  { status: 422, body: '{"detail":"not this"}', kind: "bad-request", says: /not this/ },
  {
    status: 400,
    body: '{"object":"error","message":"The input (9 tokens) is longer than the model\'s context length (8 tokens)."}',
    kind: "overflow",
    says: /too long/,
  },
  {
    status: 400,
    body: '{"error":{"type":"exceed_context_size_error","message":"too big"}}',
    kind: "overflow",
    says: /too big/,
  },
])("status $status with $body is $kind, and is not tried again", async ({ status, body, kind, says }) => {
  await using server = await startServer((_request, response) => response.writeHead(status).end(body));

  const reply = clientOf(server.url).reply({ messages: task, tools: [], signal });

  await expect(reply).rejects.toMatchObject({ kind, message: expect.stringMatching(says) });
  expect(server.bodies).toHaveLength(1);
});

test("a refusal whose page begins 400,000 tags is read to its end", async () => {
  await using server = await startServer((_request, response) =>
    response.writeHead(403).end(`${"<".repeat(400_000)}p>no`),
  );

  const reply = clientOf(server.url).reply({ messages: task, tools: [], signal });

  await expect(reply).rejects.toMatchObject({ kind: "refused", message: expect.stringContaining("<<<") });
});

test("a model that was exchanged since is found out and used, and one that is gone asked for a few times", async () => {
  let served = "old";
  let refused = 1;
  await using server = await startServer((request, response) => {
    if (refused-- > 0) response.writeHead(404).end('{"error":{"message":"The model `old` does not exist."}}');
    else answer([delta({ content: "ok" }), finish("stop")])(request, response);
  });
  server.serve(() => served);
  const client = clientOf(server.url, { name: "old" });
  await client.describe(signal);
  served = "new";

  await client.reply({ messages: task, tools: [], signal });
  refused = 5;
  const gone = client.reply({ messages: task, tools: [], signal });

  await expect(gone).rejects.toMatchObject({ kind: "unknown-model", message: expect.stringContaining("404") });
  expect(server.bodies.map((body) => body.model)).toEqual(["old", ...Array.from({ length: 6 }, () => "new")]);
});

test.each([
  { served: 100_000, set: 50_000, context: 50_000 },
  { served: 40_000, set: 50_000, context: 40_000 },
  { served: undefined, set: 50_000, context: 50_000 },
  { served: undefined, set: undefined, context: 32_768 },
])("with $served tokens served and $set set the window is $context", async ({ served, set, context }) => {
  await using server = await startServer(answer([]), { max_model_len: served });

  const described = await clientOf(server.url, { contextTokens: set }).describe(signal);

  expect(described).toEqual({ name: "served", contextTokens: context, server: "generic" });
});

test("an endpoint that is away is asked again with growing waits, then named", async () => {
  const waits: number[] = [];
  const url = await closedUrl();
  const client = clientOf(url, {
    delay: async (ms) => void waits.push(ms),
    limits: { maxWaitMs: 20_000 },
  });

  await expect(client.reply({ messages: task, tools: [], signal })).rejects.toMatchObject({
    kind: "away",
    message: expect.stringContaining(`MODEL_BASE_URL ${url} is not reachable (ECONNREFUSED): is it running?`),
  });
  expect(waits).toEqual([1000, 2000, 4000, 8000]);
});

test("a busy server is left alone for as long as it asks, and its answer is taken", async () => {
  const waits: number[] = [];
  let busy = 2;
  await using server = await startServer((request, response) => {
    if (busy-- > 0) response.writeHead(busy === 1 ? 429 : 503, { "retry-after": "7" }).end("busy");
    else answer([delta({ content: "ok" }), finish("stop")])(request, response);
  });
  const client = clientOf(server.url, { delay: async (ms) => void waits.push(ms) });

  const reply = await client.reply({ messages: task, tools: [], signal });

  expect(reply.text).toBe("ok");
  expect(waits).toEqual([7000, 7000]);
});

test("a failing server is asked a bounded number of times", async () => {
  await using server = await startServer((_request, response) => response.writeHead(500).end("boom"));
  const client = clientOf(server.url, { limits: { attempts: 3 } });

  await expect(client.reply({ messages: task, tools: [], signal })).rejects.toMatchObject({
    kind: "server-error",
    message: expect.stringContaining("boom"),
  });
  expect(server.bodies).toHaveLength(3);
});

test.each([
  { what: "ends before its end", send: ["data: {not json", ""] },
  { what: "has no reason for its end", send: [event(delta({ content: "half" })), "data: [DONE]\n\n"] },
  {
    what: "holds an error",
    send: [event(delta({ content: "half" })), event({ error: { message: "died", code: 500 } })],
  },
  { what: "says that it failed", send: [event(finish("error")), "data: [DONE]\n\n"] },
])("an answer that $what is thrown away and asked for again", async ({ send }) => {
  let first = true;
  await using server = await startServer((request, response) => {
    if (!first) return answer([delta({ content: "whole" }), finish("stop")])(request, response);
    first = false;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(send.join(""));
  });

  const reply = await clientOf(server.url).reply({ messages: task, tools: [], signal });

  expect(reply.text).toBe("whole");
  expect(server.bodies).toHaveLength(2);
});

test("text survives pieces that break it inside a character, comments, and line ends of any kind", async () => {
  const text = "Größe: 5 € 🙂 日本";
  const events = [event(delta({ content: text })), ": keep-alive\n\n", event(finish("stop")), "data: [DONE]\n\n"];
  const bytes = Buffer.from(events.join("").replaceAll("\n", "\r\n"));
  await using server = await startServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const write = (at: number) => {
      if (at === bytes.length) return void response.end();
      response.write(bytes.subarray(at, at + 1));
      // Else the pieces are put together again on their way.
      setImmediate(write, at + 1);
    };
    write(0);
  });

  const reply = await clientOf(server.url).reply({ messages: task, tools: [], signal });

  expect(reply).toMatchObject({ text, finish: "stop" });
});

test.each([
  { what: "text", pieces: (words: string) => delta({ content: words }) },
  { what: "an argument", pieces: (words: string) => delta(call(0, "a", "bash", words)) },
])("an answer that repeats $what without end is stopped and asked for anew, once", async ({ pieces }) => {
  let repeating = 1;
  let stopped = 0;
  await using server = await startServer((request, response) => {
    if (repeating-- <= 0) return answer([delta({ content: "ok" }), finish("stop")])(request, response);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.on("close", () => stopped++);
    const more = () => {
      while (!response.destroyed && response.write(event(pieces("I look at the file again, and again at the next. "))));
      response.once("drain", more);
    };
    more();
  });
  const client = clientOf(server.url);

  const reply = await client.reply({ messages: task, tools: [], signal });
  repeating = 2;
  const twice = client.reply({ messages: task, tools: [], signal });

  expect(reply.text).toBe("ok");
  await expect(twice).rejects.toMatchObject({ kind: "repetition", message: expect.stringContaining("over and over") });
  expect(server.bodies).toHaveLength(4);
  await vi.waitUntil(() => stopped === 3);
});

test.each([
  { what: "before its first piece", pieces: [], limits: { firstMs: 40 } },
  { what: "between two pieces", pieces: [delta({ content: "half" })], limits: { idleMs: 40 } },
  { what: "beyond the time for one answer", pieces: [delta({ content: "half" })], limits: { callMs: 60 } },
])("a server that stalls $what is given up", async ({ pieces, limits }) => {
  await using server = await startServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(pieces.map(event).join("") || ": wait\n\n");
  });
  const client = clientOf(server.url, { limits: { ...limits, answerTokens: 1 } });

  await expect(client.reply({ messages: task, tools: [], signal })).rejects.toMatchObject({
    kind: "stalled",
    message: expect.stringContaining("did not answer in time"),
  });
});

test("an abort ends the call at once, also in the middle of an answer and while waiting", async () => {
  const abort = new AbortController();
  await using server = await startServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(event(delta({ content: "half" })));
    setImmediate(() => abort.abort(new Error("stopped")));
  });
  const waiting = new AbortController();
  const away = createModelClient({ baseUrl: await closedUrl(), apiKey: "EMPTY" });
  const waited = away.reply({ messages: task, tools: [], signal: waiting.signal });

  const reply = clientOf(server.url).reply({ messages: task, tools: [], signal: abort.signal });

  await expect(reply).rejects.toThrow("stopped");
  waiting.abort();
  await expect(waited).rejects.toThrow("aborted");
});

test("a server that knows no list of models is used by name", async () => {
  await using server = await startServer(answer([delta({ content: "ok" }), finish("stop")]));
  server.serve(() => undefined);

  const reply = await clientOf(server.url, { name: "mine" }).reply({ messages: task, tools: [], signal });
  const nameless = clientOf(server.url).reply({ messages: task, tools: [], signal });

  expect(reply.text).toBe("ok");
  expect(server.bodies[0]?.model).toBe("mine");
  await expect(nameless).rejects.toMatchObject({ kind: "unknown-model" });
});

function clientOf(baseUrl: string, options: Partial<ModelClientOptions> = {}) {
  return createModelClient({ baseUrl, apiKey: "EMPTY", delay: async () => {}, random: () => 1, ...options });
}

/** An address at which nobody listens. */
async function closedUrl(): Promise<string> {
  await using server = await startServer(() => {});
  return server.url;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
interface Body {
  model: string;
  max_tokens: number;
  messages: object[];
  tools?: { function: { strict?: boolean; parameters: object } }[];
}

/** A server of one model whose answers are given byte by byte. */
async function startServer(handler: Handler, model: { max_model_len?: number | undefined } = {}) {
  const bodies: Body[] = [];
  let served: () => string | undefined = () => "served";
  const server = createServer((request, response) => {
    if (request.url === "/v1/models") {
      const id = served();
      response.writeHead(id === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(id === undefined ? "{}" : JSON.stringify({ data: [{ id, ...model }] }));
      return;
    }
    if (request.method === "GET") return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      bodies.push(JSON.parse(Buffer.concat(chunks).toString()) as Body);
      handler(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    bodies,
    serve: (name: () => string | undefined) => (served = name),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(chunks: readonly object[], counted: object | null = usage): Handler {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const last = counted === null ? [] : [{ choices: [], usage: counted }];
    const own = chunks.some((chunk) => "usage" in chunk);
    response.end([...chunks, ...(own ? [] : last)].map(event).join("") + "data: [DONE]\n\n");
  };
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function delta(fields: object) {
  return { choices: [{ index: 0, delta: fields, finish_reason: null }] };
}

function finish(reason: string) {
  return { choices: [{ index: 0, delta: {}, finish_reason: reason }] };
}

function call(index: number, id: string | undefined, name: string | undefined, args: string | undefined) {
  return { tool_calls: [{ index, id, type: "function", function: { name, arguments: args } }] };
}
