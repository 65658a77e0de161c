import { array, assert, asyncProperty, constant, constantFrom, nat, oneof, record, string, tuple } from "fast-check";
import type { Arbitrary } from "fast-check";
import { expect, test } from "vitest";
import { runAgent } from "../../../worker/agent/loop.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import type { Fault } from "../../support/model-faults.ts";
import { startModelServer } from "../../support/model-server.ts";
import type { ModelRequestSeen } from "../../support/model-server.ts";
import type { Turn } from "../../support/model-stream.ts";
import { createMemoryTools } from "./memory-model.ts";

const text = oneof(
  string({ unit: "binary" }),
  constantFrom("I look.", "Let me look:", "tail \n", '"\\ud83d" ‹ é 漢 🙂'),
);
const good = record({ name: constantFrom("bash", "update_plan"), arguments: record({ command: text, items: text }) });
const broken = record({
  name: constantFrom("bash", "nothing", "bash\n<parameter=x", ""),
  arguments: constantFrom('{"command": "cat', "[1]", "null", "", '{"command>":"x"}', '{ "command" :"a" , "b":1.0 }'),
});
/** Ids come again within an answer and in later ones. */
const call: Arbitrary<NonNullable<Turn["calls"]>[number]> = tuple(
  oneof({ weight: 3, arbitrary: good }, broken),
  constantFrom({}, {}, { id: "call_1" }, { id: "call_2_0" }, { id: "" }),
).map(([one, id]) => ({ ...one, ...id }));
/** What the server's parser left in the text. */
const left = tuple(
  text,
  constantFrom("<tool_call>\n", ""),
  text,
  constantFrom("</function>\n</tool_call>", "</func"),
).map(
  ([before, opener, value, closer]) =>
    `${before}\n${opener}<function=bash>\n<parameter=command>\n${value}\n</parameter>\n${closer}`,
);
const turn: Arbitrary<Turn> = oneof(
  { weight: 3, arbitrary: record({ text, calls: array(call, { minLength: 1, maxLength: 3 }) }) },
  record({ calls: array(call, { minLength: 1, maxLength: 2 }), cut: constant(true) }),
  record({ text }),
  record({ text: left }),
  record({ reasoning: left }),
  constant({}),
);
const fault = constantFrom<Fault>(
  { kind: "status", status: 429, headers: { "retry-after": "1" } },
  { kind: "status", status: 500 },
  { kind: "refuse" },
  { kind: "cut", after: 2 },
  { kind: "early-end", after: 1 },
  { kind: "garbage" },
  { kind: "empty-choices" },
  { kind: "error-event", after: 1, message: "died" },
);
const faults = array(tuple(nat(12), array(fault, { maxLength: 2 })), { maxLength: 4 });
const comments = array(array(text, { maxLength: 1 }), { maxLength: 10 });

test("each body has all the bytes of the messages before it, whatever comes over the wire and how often it is asked", async () => {
  let pairs = 0;
  await assert(
    asyncProperty(array(turn, { minLength: 1, maxLength: 20 }), faults, comments, async (turns, planted, arriving) => {
      await using server = await startModelServer({ dialect: "vllm", turns, faults: Object.fromEntries(planted) });
      const inbox = [...arriving];

      await runAgent({
        model: createModelClient({ baseUrl: server.url, apiKey: "EMPTY", delay: async () => {} }),
        tools: createMemoryTools((command) => `ran ${command}\n`),
        messages: [
          { role: "system", text: "You work." },
          { role: "user", text: "Task" },
        ],
        limits: { steps: 15, tokens: 1_000_000, minutes: 60 },
        signal: new AbortController().signal,
        record: async () => {},
        inbox: async () => inbox.shift() ?? [],
      });

      const sent = server.requests.map(messagesOf);
      for (const [index, after] of sent.slice(1).entries()) {
        const before = sent[index] ?? Buffer.alloc(0);
        expect(
          after.subarray(0, before.length).equals(before),
          `request ${index + 1}:\n${after.toString()}\nafter\n${before.toString()}`,
        ).toBe(true);
        pairs++;
      }
    }),
    { numRuns: 100 },
  );
  expect(pairs).toBeGreaterThan(300);
});

/** The bytes of the messages in a body, without the end of their list. */
function messagesOf({ bytes, body }: ModelRequestSeen): Buffer {
  const written = Buffer.from(`"messages":${JSON.stringify(body.messages)}`);
  const start = bytes.indexOf(written);
  expect(start).toBeGreaterThan(0);
  return bytes.subarray(start, start + written.length - 1);
}
