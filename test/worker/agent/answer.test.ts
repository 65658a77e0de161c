import { describe, expect, test } from "vitest";
import { z } from "zod";
import { createAnswer, markCut } from "../../../worker/agent/answer.ts";
import type { Message, Reply } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { callTool, createTool } from "../../../worker/agent/tool.ts";
import { startModelServer } from "../../support/model-server.ts";

const signal = new AbortController().signal;
const prompt = 40;
const tools = ["bash", "read_file", "submit"].map((name) =>
  createTool({
    name,
    description: `The tool ${name}.`,
    parameters: z.object({ command: z.string().optional(), count: z.int().optional() }),
    call: async () => ({ text: "ran" }),
  }),
);
const ls = '{"command":"ls"}';
const xml = "<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>";
const called = (id: string, name: string, args = ls) => ({ id, name, arguments: args });
const stop = finish("stop");

describe("through a real stream", () => {
  test.each([
    {
      what: "S1: a call in pieces",
      events: [
        call(0, "a", "bash", ""),
        call(0, undefined, undefined, '{"command":'),
        call(0, undefined, undefined, '"ls"}'),
      ],
      calls: [called("a", "bash")],
    },
    { what: "S2: a call without arguments", events: [call(0, "a", "submit")], calls: [called("a", "submit", "{}")] },
    {
      what: "S3: two calls with one number",
      events: [call(0, "a", "bash", ls), call(0, "b", "read_file", ls)],
      calls: [called("a", "bash"), called("b", "read_file")],
    },
    {
      what: "S3 where the first has no arguments",
      events: [call(0, "a", "submit", ""), call(0, "b", "bash", ls)],
      calls: [called("a", "submit", "{}"), called("b", "bash")],
    },
    { what: "S4: no number", events: [call(undefined, "a", "bash", ls)], calls: [called("a", "bash")] },
    { what: "S5: no id", events: [call(0, undefined, "bash", ls)], calls: [called("call_1_0", "bash")] },
    {
      what: "S6: id and name twice",
      events: [call(0, "a", "bash", ""), call(0, "a", "bash", ls)],
      calls: [called("a", "bash")],
    },
    { what: "S7: blanks around the name", events: [call(0, "a", " bash ", ls)], calls: [called("a", "bash")] },
    { what: "S8: an object", events: [call(0, "a", "bash", { command: "ls" })], calls: [called("a", "bash")] },
    {
      what: "S9: arguments that end early",
      events: [call(0, "a", "bash", '{"command": "ls'), finish("tool_calls")],
      calls: [{ ...called("a", "bash", "{}"), broken: "cut" }],
    },
    ...["null", "[]", '"ls"', '{"command" "ls"}', "ls"].map((args) => ({
      what: `S10: ${args}`,
      events: [call(0, "a", "bash", args)],
      calls: [{ ...called("a", "bash", "{}"), broken: "not-an-object" }],
    })),
    {
      what: "S11: a whole and a cut call",
      events: [call(0, "a", "bash", ls), call(1, "b", "bash", '{"comm'), finish("length")],
      calls: [called("a", "bash"), { ...called("b", "bash", "{}"), broken: "cut", cutAt: 16_384 }],
    },
    { what: "S12: calls announced, none there", events: [finish("tool_calls")], calls: [], text: "" },
    { what: "S13: a call and stop", events: [call(0, "a", "bash", ls), stop], calls: [called("a", "bash")] },
    {
      what: "S15: text after the call",
      events: [text("I look."), call(0, "a", "bash", ls), text("I wait.")],
      calls: [called("a", "bash")],
      text: "I look.",
      after: "I wait.",
    },
    {
      what: "S17: one id twice",
      events: [call(0, "x", "bash", ls), call(1, "x", "submit", "")],
      calls: [called("x", "bash"), called("call_1_1", "submit", "{}")],
    },
    {
      what: "S17 where the new id is taken too",
      events: [call(0, "x", "bash", ls), call(1, "x", "submit", ""), call(2, "call_1_1", "submit", "")],
      calls: [called("x", "bash"), called("call_1_2", "submit", "{}"), called("call_1_1", "submit", "{}")],
    },
    {
      what: "S18: the count behind the end",
      events: [call(0, "a", "bash", ls), stop, usage(7)],
      calls: [called("a", "bash")],
      completionTokens: 7,
    },
    {
      what: "S19: a call in the reasoning",
      events: [{ reasoning: xml }],
      calls: [called("call_1_0", "bash")],
      recovered: 1,
    },
    {
      what: "S19 under the older name, with words beside it",
      events: [{ reasoning_content: xml }, text("I look.")],
      calls: [called("call_1_0", "bash")],
      recovered: 1,
      text: "I look.",
    },
    {
      what: "S20: a whole call at the longest length",
      events: [call(0, "a", "bash", ls), finish("tool_calls"), usage(16_384)],
      calls: [{ ...called("a", "bash"), broken: "cut", cutAt: 16_384 }],
      completionTokens: 16_384,
    },
    {
      what: "S20 where the text shows the call's end",
      events: [text(xml), stop, usage(16_384)],
      calls: [called("call_1_0", "bash")],
      completionTokens: 16_384,
      recovered: 1,
    },
  ])("$what", async ({ events, calls, ...expected }) => {
    const reply = await replyTo(events);

    expect(reply.calls).toEqual(calls);
    const { text: words, recovered, usage: counted } = reply;
    expect(reply.after).toBe(expected.after);
    expect({ text: words, recovered }).toEqual({ text: expected.text ?? "", recovered: expected.recovered ?? 0 });
    expect(counted).toMatchObject({ promptTokens: prompt, completionTokens: expected.completionTokens ?? 5 });
  });

  test.each([
    { what: "S14: a stream that closes after a whole call", end: "" },
    { what: "S16: an error in the middle", end: event({ error: { message: "boom", code: 500 } }) },
  ])("$what is asked for again, and nothing of it is kept", async ({ end }) => {
    const half = [chunk(call(0, "a", "bash", ls)), end];
    await using server = await startModelServer({ dialect: "vllm", turns: [{ raw: half }, { text: "ready" }] });

    const reply = await ask(server.url);

    expect(reply).toMatchObject({ text: "ready", calls: [] });
    expect(server.requests).toHaveLength(2);
  });
});

test("an id that an earlier turn has is not taken again", async () => {
  const again = [call(0, "x", "bash", ls), stop, usage(5)].map(chunk);
  await using server = await startModelServer({
    dialect: "vllm",
    turns: [again, again].map((events) => ({ raw: [...events, "data: [DONE]\n\n"] })),
  });
  const client = createModelClient({ baseUrl: server.url, apiKey: "EMPTY" });
  const messages: Message[] = [{ role: "user", text: "Look." }];

  const first = await client.reply({ messages, tools, signal });
  messages.push({ role: "assistant", text: "", calls: first.calls }, { role: "tool", callId: "x", text: "ran" });
  const second = await client.reply({ messages, tools, signal });

  expect([first, second].map(({ calls }) => calls[0]?.id)).toEqual(["x", "call_3_0"]);
});

describe("a call that the server left in the text", () => {
  test("becomes a structured one with arguments of the tool's types, and the text keeps only the words", () => {
    const typed = xml.replace("</function>", "<parameter=count>\n3\n</parameter>\n</function>");

    const { text: words, calls, recovered } = collect([text("I lo"), text(`ok.\n\n${typed}`), stop]);

    expect(calls).toEqual([called("call_0", "bash", '{"command":"ls","count":3}')]);
    expect({ words, recovered }).toEqual({ words: "I look.", recovered: 1 });
  });

  test("keeps what was said behind it for the records", () => {
    const { text: words, after } = collect([text(`I look.\n\n${xml}\nI wait for it.`), stop]);

    expect({ words, after }).toEqual({ words: "I look.", after: "I wait for it." });
  });

  test("is not looked for beside structured calls", () => {
    const { calls, recovered } = collect([text(`An example: ${xml}. So.`), call(0, "a", "submit")]);

    expect({ calls, recovered }).toEqual({ calls: [called("a", "submit", "{}")], recovered: 0 });
  });

  test("is cut when its end is missing", () => {
    const { calls } = collect([text(xml.slice(0, 60)), finish("length")]);

    expect(calls).toEqual([expect.objectContaining({ name: "bash", broken: "cut" })]);
  });

  test.each([
    { what: "has words behind it", source: `${xml}\nand` },
    { what: "comes after one without an end", source: `${xml.slice(0, 53)}\n${xml}` },
  ])("is taken for cut at the longest length when it $what", ({ source }) => {
    const { calls } = markCut(collect([text(source), finish("length")]), 100);

    expect(calls.at(-1)).toMatchObject({ broken: "cut" });
  });

  test("in a tool that is not of the request stays text", () => {
    const unknown = xml.replace("bash", "launch");

    expect(collect([text(unknown), stop])).toMatchObject({ text: unknown, calls: [], recovered: 0 });
  });
});

describe("a structured call is malformed", () => {
  test.each([
    { what: "name with the next tag in it", name: "bash\n<parameter=command", args: "{}", kept: "bash" },
    { what: "name with an argument in it", name: 'bash command="ls"', args: "{}", kept: "bash" },
    { what: "key with its value in it", name: "bash", args: '{"command=ls":""}', kept: "bash" },
    { what: "key with a tag in it", name: "bash", args: '{"<parameter":"ls"}', kept: "bash" },
    { what: "name of nothing but tags", name: "<>", args: "{}", kept: "unknown" },
  ])("by a $what, which the history does not get", ({ name, args, kept }) => {
    const { calls } = collect([call(0, "a", name, args), finish("tool_calls")]);

    expect(calls).toEqual([{ ...called("a", kept, "{}"), broken: "malformed" }]);
  });
});

describe("a structured call is cut by a tag in its value", () => {
  const rest = ".\nSecond line.\n</parameter>\n</function>\n</tool_call>";

  test("when closing tags come after it, also in pieces", () => {
    const { text: words, calls } = collect([
      text("I write."),
      call(0, "a", "bash", ls),
      call(1, "b", "bash", '{"command":"ends with '),
      ...rest.split(/(?<=[<t])/).map((piece) => text(piece)),
      call(2, "c", "bash", ls),
    ]);

    expect(words).toBe("I write.");
    expect(calls).toEqual([
      called("a", "bash"),
      { ...called("b", "bash", "{}"), broken: "cut-by-tag" },
      called("c", "bash"),
    ]);
  });

  test("when the text ends in one that came before the calls, whichever it belongs to", () => {
    const { text: words, calls } = collect([text(rest), call(0, "a", "bash", ls), call(1, "b", "submit")]);

    expect(words).toBe("");
    expect(calls.map(({ broken }) => broken)).toEqual(["cut-by-tag", "cut-by-tag"]);
  });

  test("but not when the words before it mention one", () => {
    const { calls } = collect([text("I look for `</function>` in it."), call(0, "a", "bash", ls)]);

    expect(calls).toEqual([called("a", "bash")]);
  });
});

test("no broken call runs", async () => {
  const { calls } = collect([
    call(0, "a", "bash", '{"command": "rm'),
    call(1, "b", "bash", "null"),
    call(2, "c", "bash\n<parameter=command", "{}"),
    call(3, "d", "bash", ls),
    text("</parameter>"),
  ]);

  const results = await Promise.all(calls.map((made) => callTool(tools, made, signal)));

  expect(results.map(({ refused }) => refused)).toEqual(["cut", "not-an-object", "malformed", "cut-by-tag"]);
});

test("arguments are kept as the model wrote them, keys in its order", () => {
  const args = '{"timeout_seconds": 5,  "command": "ls"}';

  expect(collect([call(0, "a", "bash", args)]).calls).toEqual([called("a", "bash", args)]);
});

test("what has come so far has the calls in it, as far as they came", () => {
  const answer = createAnswer({ prefix: "call", taken: new Set() }, []);

  for (const each of [text("I write."), call(0, "a", "bash", '{"command":"cat <<')]) answer.add(toChunk(each));

  expect(answer.soFar()).toBe('I write.\nbash {"command":"cat <<');
});

test("fields of a kind that nobody knows are left", () => {
  const odd = {
    reasoning: { text: "hm" },
    tool_calls: [{ index: 0, id: "a", function: { name: "bash", arguments: null } }],
  };

  expect(collect([odd, text("ok")]).calls).toEqual([called("a", "bash", "{}")]);
});

async function replyTo(events: readonly object[]): Promise<Reply> {
  const own = (key: string) => events.some((each) => key in each);
  const whole = [...events, ...(own("finish_reason") ? [] : [stop]), ...(own("usage") ? [] : [usage(5)])];
  await using server = await startModelServer({
    dialect: "vllm",
    turns: [{ raw: [...whole.map(chunk), "data: [DONE]\n\n"] }],
  });
  return await ask(server.url);
}

function ask(baseUrl: string): Promise<Reply> {
  const client = createModelClient({ baseUrl, apiKey: "EMPTY", delay: async () => {}, random: () => 1 });
  return client.reply({ messages: [{ role: "user", text: "Look." }], tools, signal });
}

/** The answer of these chunks, without a server. */
function collect(events: readonly object[]) {
  const parameters = { properties: { command: { type: "string" }, count: { type: "integer" } } };
  const answer = createAnswer(
    { prefix: "call", taken: new Set() },
    tools.map(({ name }) => ({ function: { name, parameters } })),
  );
  for (const each of events) answer.add(toChunk(each));
  return answer.finished();
}

function chunk(fields: object): string {
  return event(toChunk(fields));
}

function toChunk(fields: object): object {
  if ("usage" in fields) return { choices: [], ...fields };
  return "finish_reason" in fields
    ? { choices: [{ index: 0, delta: {}, ...fields }] }
    : { choices: [{ index: 0, delta: fields, finish_reason: null }] };
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function text(content: string) {
  return { content };
}

function finish(reason: string) {
  return { finish_reason: reason };
}

function usage(completion: number) {
  return { usage: { prompt_tokens: prompt, completion_tokens: completion } };
}

function call(index: number | undefined, id: string | undefined, name?: string, args?: string | object) {
  return { tool_calls: [{ index, id, type: "function", function: { name, arguments: args } }] };
}
