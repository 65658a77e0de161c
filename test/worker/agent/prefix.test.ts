import {
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  dictionary,
  oneof,
  record,
  string,
} from "fast-check";
import type { Arbitrary } from "fast-check";
import { expect, test } from "vitest";
import { runAgent } from "../../../worker/agent/loop.ts";
import { ModelError } from "../../../worker/agent/model.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { toBody } from "../../../worker/agent/wire.ts";
import { startModelServer } from "../../support/model-server.ts";
import { createMemoryModel, createMemoryTools, submits } from "./memory-model.ts";
import type { Said } from "./memory-model.ts";

const never = new AbortController().signal;
const limits = { steps: 25, tokens: 1_000_000, minutes: 60 };
const extensions = { fields: () => ({}), refusedBy: () => false };

const call = record(
  {
    name: constantFrom("bash", "bash", "bash", "update_plan", "submit", "nothing"),
    args: oneof(
      record({ command: string({ minLength: 1 }) }),
      record({ items: string() }),
      constant({ title: "A", cause: "B", change: "C" }),
      dictionary(string(), string(), { maxKeys: 2 }),
    ),
    broken: constantFrom("cut" as const, "malformed" as const),
  },
  { requiredKeys: ["name"] },
);
const said: Arbitrary<Said> = record(
  {
    text: oneof(string(), constantFrom("", "I'll look now:", "<tool_call>", "Done.")),
    calls: array(call, { maxLength: 3 }),
    truncated: boolean(),
  },
  { requiredKeys: [] },
);
const script = array(oneof({ weight: 4, arbitrary: said }, { weight: 1, arbitrary: constant(submits) }), {
  maxLength: 40,
});
const comments = array(array(string(), { maxLength: 2 }), { maxLength: 10 });

function messagesOf(messages: readonly Message[]): string[] {
  return toBody({ model: "m", messages, tools: [], maxTokens: 1 }, extensions).messages.map((one) =>
    JSON.stringify(one),
  );
}

test("without a compaction, each request begins with the bytes of the one before it, whatever the model says", async () => {
  await assert(
    asyncProperty(script, comments, async (says, arriving) => {
      const model = createMemoryModel(({ number }) => says[number] ?? new ModelError("server-error", "over"));
      const messages: Message[] = [
        { role: "system", text: "You work." },
        { role: "user", text: "Task" },
      ];
      const arrived = [...arriving];
      const inbox = async () => arrived.shift() ?? [];
      const sent: string[][] = [];
      const watched = {
        ...model,
        reply: (request: Parameters<typeof model.reply>[0]) => {
          sent.push(messagesOf(request.messages));
          return model.reply(request);
        },
      };

      const tools = createMemoryTools();
      await runAgent({ model: watched, tools, messages, limits, signal: never, record: async () => {}, inbox });

      for (const [index, request] of sent.slice(1).entries()) {
        const before = sent[index] ?? [];
        expect(request.slice(0, before.length)).toEqual(before);
      }
      const calls = messages.flatMap((one) => (one.role === "assistant" ? one.calls.map(({ id }) => id) : []));
      expect(messages.flatMap((one) => (one.role === "tool" ? [one.callId] : []))).toEqual(calls);
      expect(sent.length).toBeLessThan(limits.steps * 4);
    }),
    { numRuns: 200 },
  );
});

test("behind a server of 32,768 tokens, a run of 150 steps is shortened a few times and else only added to", async () => {
  const contextTokens = 32_768;
  let step = 0;
  await using server = await startModelServer({
    dialect: "vllm",
    contextTokens,
    turns: ({ body }) => {
      const last = body.messages.at(-1)?.["content"];
      if (typeof last === "string" && last.startsWith("This conversation gets too long")) return { text: "Steps." };
      const submission = { title: "A", cause: "B", change: "C" };
      if (step++ >= 150) return { calls: [{ name: "submit", arguments: submission }] };
      return { text: "I look.", calls: [{ name: "bash", arguments: { command: `step ${step}` } }] };
    },
  });
  const messages: Message[] = [
    { role: "system", text: "You work." },
    { role: "user", text: `Task. ${"It is broken. ".repeat(600)}` },
  ];
  const output = "const words = title.split(/[^a-z0-9]+/g).filter(Boolean);\n".repeat(65);
  const shortened: number[] = [];

  const end = await runAgent({
    model: createModelClient({ baseUrl: server.url, apiKey: "EMPTY" }),
    tools: createMemoryTools((command) => `${command}\n${output}`),
    messages,
    limits: { steps: 300, tokens: 40_000_000, minutes: 60 },
    signal: never,
    record: async (event) => void (event.type === "compacted" && shortened.push(server.requests.length)),
  });

  expect(end).toMatchObject({ end: "submitted" });
  expect(shortened.length).toBeGreaterThan(3);
  const sent = server.requests.map(({ body }) => body.messages.map((message) => JSON.stringify(message)));
  const rewritten = sent.slice(1).flatMap((request, index) => {
    const before = sent[index] ?? [];
    return before.every((message, at) => request[at] === message) ? [] : [index + 1];
  });
  // The request for a summary leaves the last turns out, and the next one has it in their place.
  expect(rewritten).toEqual(shortened.flatMap((requests) => [requests - 1, requests]));
});
