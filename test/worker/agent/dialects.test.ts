import { expect, test } from "vitest";
import { z } from "zod";
import { createLog } from "../../../src/log.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import type { ModelClientOptions } from "../../../worker/agent/openai.ts";
import { overflowIn, shorterAnswer } from "../../../worker/agent/overflow.ts";
import { dialects } from "../../support/model-dialects.ts";
import type { DialectName } from "../../support/model-dialects.ts";
import { startModelServer } from "../../support/model-server.ts";

const signal = new AbortController().signal;
const names = Object.keys(dialects) as DialectName[];
const bash = { name: "bash", description: "Runs a command.", parameters: z.object({ command: z.string() }) };

test.each([
  { dialect: "vllm", server: "vllm", contextTokens: 131_072 },
  { dialect: "sglang", server: "sglang", contextTokens: 131_072 },
  { dialect: "ktransformers", server: "sglang", contextTokens: 131_072 },
  { dialect: "llamacpp", server: "llamacpp", contextTokens: 131_072 },
  { dialect: "lmstudio", server: "lmstudio", contextTokens: 131_072 },
  { dialect: "ollama", server: "ollama", contextTokens: 32_768 },
  { dialect: "mlx", server: "generic", contextTokens: 32_768 },
  { dialect: "transformers", server: "generic", contextTokens: 32_768 },
  { dialect: "generic", server: "generic", contextTokens: 32_768 },
] as const)("$dialect tells its window, or counts as $contextTokens", async ({ dialect, server, contextTokens }) => {
  await using fake = await startModelServer({ dialect, contextTokens: 131_072 });

  const described = await clientOf(fake.url).describe(signal);

  expect(described).toEqual({ name: "Qwen/Qwen3-Coder-Next", server, contextTokens });
});

test("a window that nobody tells is warned of", async () => {
  await using server = await startModelServer({ dialect: "generic" });
  const lines: string[] = [];
  const log = createLog("warn", (text) => text, { write: (line) => void lines.push(line) });

  await clientOf(server.url, { log }).describe(signal);
  await clientOf(server.url, { log, contextTokens: 65_536 }).describe(signal);

  expect(lines).toEqual([expect.stringContaining("set MODEL_CONTEXT")]);
});

test("a wrong key is refused at the first look, and not told", async () => {
  await using server = await startModelServer({ dialect: "vllm", apiKey: "right" });

  const refused = clientOf(server.url, { apiKey: "wrong-secret" }).describe(signal);

  await expect(refused).rejects.toMatchObject({
    kind: "refused",
    message: expect.not.stringContaining("wrong-secret"),
  });
  expect(await clientOf(server.url, { apiKey: "right" }).describe(signal)).toMatchObject({ server: "vllm" });
});

test.each([
  { what: "its own id", served: ["a/coder", "b/coder-2"], name: "a/coder", used: "a/coder" },
  { what: "the same last part", served: ["a/coder", "b/other"], name: "coder", used: "a/coder" },
  { what: "another owner", served: ["a/coder", "b/other"], name: "x/coder", used: "a/coder" },
  { what: "nothing in common, alone", served: ["a/coder"], name: "x/other", used: "a/coder" },
  { what: "no setting, alone", served: ["a/coder"], name: undefined, used: "a/coder" },
])("a model with $what is used", async ({ served, name, used }) => {
  await using server = await startModelServer({ dialect: "vllm", model: served });

  const described = await clientOf(server.url, { name }).describe(signal);

  expect(described.name).toBe(used);
});

test.each([
  { name: "gpt", says: /MODEL_NAME gpt is not served at .*It serves: a\/coder, b\/coder-2/ },
  { name: undefined, says: /several models: set MODEL_NAME to one of a\/coder, b\/coder-2/ },
])("with $name set and several models none is guessed", async ({ name, says }) => {
  await using server = await startModelServer({ dialect: "vllm", model: ["a/coder", "b/coder-2"] });

  const described = clientOf(server.url, { name }).describe(signal);

  await expect(described).rejects.toMatchObject({ kind: "unknown-model", message: expect.stringMatching(says) });
});

test.each(names)("%s answers with text, a call and a count", async (dialect) => {
  const turn = { text: "I look. Größe: 5 €", calls: [{ name: "bash", arguments: { command: "ls -l" } }] };
  await using server = await startModelServer({ dialect, turns: [turn] });

  const reply = await clientOf(server.url).reply({ messages: task(), tools: [bash], signal });

  expect(reply).toMatchObject({
    text: "I look. Größe: 5 €",
    calls: [{ name: "bash", arguments: expect.stringContaining("ls -l") }],
    usage: { promptTokens: expect.any(Number), completionTokens: expect.any(Number) },
    truncated: false,
    shortened: false,
    finish: "tool_calls",
    turn: { requestId: server.requests[0]?.headers["x-request-id"], attempts: 1 },
  });
});

test("every attempt has an id of its own, and all of a run the run's", async () => {
  const faults = { 0: [{ kind: "status" as const, status: 500 }] };
  await using server = await startModelServer({ dialect: "vllm", faults });
  const client = clientOf(server.url);

  await client.reply({ messages: task(), tools: [], signal, session: "run-7" });
  await client.reply({ messages: task(), tools: [], signal, session: "run-7" });

  const ids = server.requests.map(({ headers }) => headers["x-request-id"]);
  expect(new Set(ids).size).toBe(3);
  expect(server.requests.map(({ headers }) => headers["x-session-id"])).toEqual(["run-7", "run-7", "run-7"]);
});

test("the bytes of tools and of earlier messages are the same in every request", async () => {
  await using server = await startModelServer({ dialect: "vllm" });
  const client = clientOf(server.url);
  const messages: Message[] = [{ role: "system", text: "You work." }, ...task()];

  for (let turn = 0; turn < 3; turn++) {
    const { text, calls } = await client.reply({ messages, tools: [bash], signal });
    messages.push({ role: "assistant", text, calls }, { role: "user", text: `Go on ${turn}` });
  }

  const [first, second, third] = server.requests.map(({ bytes }) => {
    const [, history = "", tools = ""] = /"messages":\[(.*)\],"tools":(.*\]),"temp/.exec(bytes.toString()) ?? [];
    return { history, tools };
  });
  expect(second?.history.startsWith(first?.history ?? "?")).toBe(true);
  expect(third?.history.startsWith(second?.history ?? "?")).toBe(true);
  expect([second?.tools, third?.tools]).toEqual([first?.tools, first?.tools]);
  expect(first?.history.match(/"role":"system"/g)).toHaveLength(1);
});

test.each([
  { field: "stream_options", status: 400 },
  { field: "top_k", status: 422 },
  { field: "priority", status: 400, message: "Got priority -1 but Priority scheduling is not enabled." },
] as const)("$field is left out once a server has refused it by name", async ({ field, status, ...said }) => {
  const { message } = { message: `Unrecognized request argument supplied: ${field}`, ...said };
  await using server = await startModelServer({
    dialect: "generic",
    faults: { 0: [{ kind: "status", status, message }] },
  });
  const client = clientOf(server.url, { priority: -1 });

  await client.reply({ messages: task(), tools: [], signal });
  await client.reply({ messages: task(), tools: [], signal });

  expect(server.requests.map(({ body }) => field in body)).toEqual([true, false, false]);
});

const refusing = names.flatMap((dialect) => {
  const { overflow } = dialects[dialect];
  return overflow.kind === "refuses" ? overflow.words.map((words, number) => ({ dialect, number, words })) : [];
});

test.each(refusing)("words $number of $dialect for a long prompt are an overflow", async ({ dialect, number }) => {
  const faults = { 0: Array.from({ length: 2 }, () => ({ kind: "overflow" as const, words: number })) };
  await using server = await startModelServer({ dialect, contextTokens: 60_000, faults });
  const client = clientOf(server.url);

  await expect(client.reply({ messages: task(), tools: [], signal })).rejects.toMatchObject({ kind: "overflow" });
});

test.each(refusing.filter(({ dialect }) => dialect !== "generic" && dialect !== "lmstudio"))(
  "words $number of $dialect tell the window, and whether a shorter answer would do",
  ({ words, number, dialect }) => {
    const said = (prompt: number, wanted: number) => {
      const { message, type, extra } = words({ prompt, wanted, limit: 32_768 });
      return overflowIn(JSON.stringify({ error: { message, type, ...extra } }));
    };
    const sent = { promptTokens: 20_000, maxTokens: 16_384 };

    const long = said(40_000, 16_384);
    const wide = said(20_000, 16_384);

    expect([long?.limit, wide?.limit]).toEqual([32_768, 32_768]);
    const room = 32_768 - 20_000 - 128;
    // The count that a server breaks off is no measure of what is left.
    expect(shorterAnswer(wide, sent)).toBe(dialect === "vllm" && number === 0 ? 8192 : room);
    // One text says nothing of the prompt.
    expect(shorterAnswer(long, sent)).toBe(dialect === "vllm" && number === 3 ? room : undefined);
  },
);

test("a server that has less room than it said is asked for a shorter answer, and its number is kept", async () => {
  const message =
    "This model's maximum context length is 10000 tokens. However, you requested 16404 tokens (20 in the messages, 16384 in the completion). Please reduce the length of the messages or completion.";
  const faults = { 0: [{ kind: "status" as const, status: 400, message }] };
  await using server = await startModelServer({ dialect: "vllm", faults });
  const client = clientOf(server.url);

  await client.reply({ messages: task(), tools: [], signal });

  expect(server.requests.map(({ body }) => body.max_tokens)).toEqual([16_384, 10_000 - 20 - 128]);
  expect(await client.describe(signal)).toMatchObject({ contextTokens: 10_000 });
});

test("a long conversation that no answer has counted yet is counted by a server that does so, once", async () => {
  await using server = await startModelServer({ dialect: "vllm", contextTokens: 32_768 });
  const client = clientOf(server.url);
  const messages: Message[] = [{ role: "user", text: "word ".repeat(15_000) }];
  const estimate = Math.ceil(75_000 / 3);

  const { usage, text } = await client.reply({ messages, tools: [], signal });
  messages.push({ role: "assistant", text, calls: [] }, { role: "user", text: "Go on." });
  await client.reply({ messages, tools: [], signal });

  expect(usage.promptTokens).toBeLessThan(estimate - 1000);
  expect(server.lookups.filter((path) => path === "POST /tokenize")).toHaveLength(1);
  expect(server.requests[0]?.body.max_tokens).toBe(Math.min(16_384, 32_768 - usage.promptTokens - 128));
});

test("a server that does not count is asked to once, and what it takes is estimated", async () => {
  await using server = await startModelServer({ dialect: "vllm", contextTokens: 32_768, tokenizes: false });
  const client = clientOf(server.url);
  const ask = (word: string) =>
    client.reply({ messages: [{ role: "user", text: `${word} `.repeat(15_000) }], tools: [], signal });

  await ask("word");
  await ask("other");

  expect(server.lookups.filter((path) => path === "POST /tokenize")).toHaveLength(1);
  expect(server.requests).toHaveLength(2);
});

test("a server that cuts the conversation without a word is found out", async () => {
  await using server = await startModelServer({ dialect: "ollama", contextTokens: 4096 });
  const client = clientOf(server.url);
  const long: Message[] = [{ role: "user", text: "word ".repeat(5000) }];
  const growing: Message[] = [{ role: "user", text: "word ".repeat(1000) }];

  const { shortened } = await client.reply({ messages: long, tools: [], signal });
  const { shortened: fits } = await client.reply({ messages: growing, tools: [], signal });

  expect({ shortened, fits }).toEqual({ shortened: true, fits: false });
});

test("a count that became smaller, or is beyond the window, says that the conversation was cut", async () => {
  const usages = [3000, 2500, 40_000].map((prompt_tokens) => ({ text: "ok", usage: { prompt_tokens } }));
  await using server = await startModelServer({ dialect: "generic", turns: usages });
  const client = clientOf(server.url);
  const messages: Message[] = [{ role: "user", text: "x".repeat(6000) }];

  const seen: (boolean | undefined)[] = [];
  for (let turn = 0; turn < 3; turn++) {
    seen.push((await client.reply({ messages, tools: [], signal })).shortened);
    messages.push({ role: "user", text: "Go on" });
  }

  expect(seen).toEqual([false, true, true]);
});

function task(): Message[] {
  return [{ role: "user", text: "Task" }];
}

function clientOf(baseUrl: string, options: Partial<ModelClientOptions> = {}) {
  return createModelClient({ baseUrl, apiKey: "EMPTY", delay: async () => {}, random: () => 1, ...options });
}
