import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recoverToolCalls } from "../../../worker/agent/recover.ts";
import type { CallableTool, Recovered } from "../../../worker/agent/recover.ts";

interface Vectors {
  tools: CallableTool[];
  vectors: { id: string; why: string; raw: string; expect: { harness: Recovered } }[];
}
const { tools, vectors } = JSON.parse(readFileSync(join(import.meta.dirname, "tool-calls.json"), "utf8")) as Vectors;

test.each(vectors)("$id: $why", ({ raw, expect: { harness } }) => {
  expect(recoverToolCalls(raw, tools)).toEqual(harness);
});

const ls = written("bash", { command: "ls" });
const called = (command: string) => ({ name: "bash", arguments: { command }, complete: true });

describe("literal markup in a value is part of it", () => {
  test.each([
    "A value ends with </parameter> here.",
    "</parameter>",
    "</function>",
    "</tool_call>",
    "<tool_call>",
    "Open it with <function=bash> please.",
    "It closes by\n</parameter>\n</function>\n</tool_call>\nand so on.",
    "It closes by\n</parameter>\n</function>\nand so on.",
    `Example:\n${ls}\nEnd.`,
    `${ls}\n${ls}`,
    written("weather", { city: "Rome" }),
    written("write_file", { path: "/x", content: ls }),
    "Call <tool_call><function=bash><parameter=command>ls</parameter></function></tool_call> now.",
    "First\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\nlast.",
    '<tool_call>\n{"name": "bash"}\n</tool_call>\n<tool_call>\n{}\n</tool_call>',
    "<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</parameter>\nEnd",
    "<parameter=path>\n/other\n</parameter>",
    "```\n</parameter>\n```",
    "```xml",
    "<|im_end|>",
    "a\r\nb\r\n\r\n",
    "\n\n  indented\n",
    "",
    "日本語 😀 \u2028 \ud800",
  ])("%j", (content) => {
    const raw = `${ls}\n${written("write_file", { path: "/w/a.md", content })}`;

    expect(recoverToolCalls(raw, tools)).toEqual({
      content: null,
      calls: [called("ls"), { name: "write_file", arguments: { path: "/w/a.md", content }, complete: true }],
    });
  });
});

test("the name of the next parameter within a line of a value is part of it", () => {
  const values = { path: "/w/a.md", old_string: "Use <parameter=new_string> here.", new_string: "Use it." };

  expect(recoverToolCalls(written("edit_file", values), tools).calls).toEqual([
    { name: "edit_file", arguments: values, complete: true },
  ]);
});

test("examples within examples, however many, are text", () => {
  let content = "ls";
  for (let depth = 0; depth < 40; depth++) content = written("write_file", { path: `/${depth}`, content });

  const { calls } = recoverToolCalls(written("write_file", { path: "/w/a.md", content }), tools);

  expect(calls).toEqual([{ name: "write_file", arguments: { path: "/w/a.md", content }, complete: true }]);
});

describe("what the model forgets is made good", () => {
  const pwd = "<parameter=command>\npwd\n</parameter>";
  test.each([
    { what: "the opener", raw: `<function=bash>\n${pwd}\n</function>\n</tool_call>` },
    { what: "all but the function", raw: "<function=bash>\n<parameter=command>\npwd\n</function>" },
    { what: "the function's end", raw: `<tool_call>\n<function=bash>\n${pwd}\n</tool_call>` },
    {
      what: "the ends of parameter and function",
      raw: "<tool_call>\n<function=bash>\n<parameter=command>\npwd\n</tool_call>",
    },
    {
      what: "the angle after the parameter",
      raw: "<tool_call>\n<function=bash>\n<parameter=command\npwd\n</parameter>\n</function>",
    },
    { what: "both angles", raw: "<function=bash\n<parameter=command\npwd\n</parameter>\n</function>" },
    { what: "line ends", raw: "<tool_call><function=bash><parameter=command>pwd</function></tool_call>" },
  ])("$what", ({ raw }) => {
    expect(recoverToolCalls(raw, tools)).toEqual({ content: null, calls: [called("pwd")] });
    expect(recoverToolCalls(`${raw}\n${ls}`, tools).calls).toEqual([called("pwd"), called("ls")]);
  });

  test("the ends of a whole call before the next one, of which only the next is whole", () => {
    const raw = `<tool_call>\n<function=bash>\n<parameter=command>\npwd\n${ls}`;

    expect(recoverToolCalls(raw, tools).calls).toEqual([{ ...called("pwd"), complete: false }, called("ls")]);
  });

  test("the end of an inline value before the next parameter", () => {
    const raw = "<function=read_file><parameter=path>/a<parameter=offset>3</parameter></function>";

    expect(recoverToolCalls(raw, tools).calls).toEqual([
      { name: "read_file", arguments: { path: "/a", offset: 3 }, complete: true },
    ]);
  });
});

describe("other ways to write a call", () => {
  test.each([
    { what: "attributes", raw: '<function name="bash">\n<parameter name="command">\nls\n</parameter>\n</function>' },
    { what: "quoted names", raw: "<function=\"bash\">\n<parameter='command'>\nls\n</parameter>\n</function>" },
    { what: "JSON without a closing tag", raw: '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}' },
    { what: "JSON in JSON", raw: '<tool_call>{"name":"bash","arguments":"{\\"command\\": \\"ls\\"}"}</tool_call>' },
    { what: "JSON with parameters", raw: '<tool_call>{"name":"bash","parameters":{"command":"ls"}}</tool_call>' },
    { what: "a list in JSON", raw: '<tool_call>\n[{"name": "bash", "arguments": {"command": "ls"}}]\n</tool_call>' },
    { what: "line ends of Windows", raw: ls.replaceAll("\n", "\r\n") },
    { what: "an opener twice", raw: `<tool_call>\n${ls}` },
    { what: "a thought's end before it", raw: `</think>\n\n${ls}` },
    { what: "the turn's end after it", raw: `${ls}<|im_end|>` },
    {
      what: "a parameter twice, of which the last counts",
      raw: ls.replace("<parameter", "<parameter=command>\nrm\n</parameter>\n<parameter"),
    },
    { what: "a fence around everything", raw: `\`\`\`xml\n${ls}\n\`\`\`` },
    { what: "an open fence before it", raw: `~~~\n${ls}` },
  ])("$what", ({ raw }) => {
    expect(recoverToolCalls(raw, tools)).toEqual({ content: null, calls: [called("ls")] });
  });

  test("JSON with raw line ends and closing tags in its strings", () => {
    const raw = '<tool_call>\n{"name": "bash", "arguments": {"command": "a\nb </tool_call> \\" }"}}\n</tool_call>';

    expect(recoverToolCalls(raw, tools).calls).toEqual([called('a\nb </tool_call> " }')]);
  });
});

describe("no call is", () => {
  test.each([
    { what: "a mention", raw: "Use `<tool_call>` and `<function=bash>` to call." },
    {
      what: "a bare function in a fence",
      raw: "```\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n```",
    },
    { what: "an example in a fence before more text", raw: `\`\`\`\n${ls}\n\`\`\`\nThat is the form.` },
    { what: "an example in a longer fence", raw: `~~~~\n~~~\n${ls}\n~~~\n~~~~\nThat is the form.` },
    {
      what: "an example that a fence cuts",
      raw: "```\n<tool_call>\n<function=bash>\n<parameter=command>\n...\n```\nSo.",
    },
    { what: "broken JSON", raw: '<tool_call>\n{"name": "bash", "arguments": }\n</tool_call>' },
    { what: "text between the tags", raw: "<tool_call>\nls -la\n</tool_call>" },
    { what: "a tool that does not exist", raw: '<tool_call>{"name": "launch", "arguments": {}}</tool_call>' },
    { what: "the name of no tool of ours", raw: written("constructor", { command: "ls" }) },
  ])("$what", ({ raw }) => {
    expect(recoverToolCalls(raw, tools)).toEqual({ content: raw, calls: [] });
  });

  test("an example before a call", () => {
    const example = `\`\`\`\n${written("bash", { command: "rm" })}\n\`\`\``;

    expect(recoverToolCalls(`So:\n${example}\nNow I do it.\n${ls}`, tools).calls).toEqual([called("ls")]);
  });

  test("the call of an unknown tool beside another one", () => {
    const unknown = written("launch", { count: "3" });

    expect(recoverToolCalls(`First.\n${unknown}\n${ls}`, tools)).toEqual({ content: "First.", calls: [called("ls")] });
    expect(recoverToolCalls(`${ls}\n${unknown}`, tools)).toEqual({ content: null, calls: [called("ls")] });
  });
});

test("a call is complete only from its last closing tag on", () => {
  const content = "Ends with </parameter>, </function> or </tool_call>,\n<parameter=x> or <tool_call>, so.";
  const raw = `I write.\n${written("write_file", { path: "/w/a.md", content })}`;
  const seen = raw.lastIndexOf("</function>") + "</function>".length;

  for (let length = 0; length < seen; length++) {
    const { calls } = recoverToolCalls(raw.slice(0, length), tools);
    expect(calls.filter((call) => call.complete)).toEqual([]);
  }
  expect(recoverToolCalls(raw.slice(0, seen), tools).calls).toMatchObject([{ arguments: { content }, complete: true }]);
});

test.each([
  '<tool_call>\n{"name": "bash", "arguments": {"command": "rm',
  "<tool_call>\n<function=bash>\n<parameter=command>\nrm -r /w",
  "<tool_call>\n<function=bash>\n",
  `<tool_call>\n<function=write_file>\n<parameter=content>\nExample:\n${ls}\nand`,
])("the cut call %j is told, and nothing in it can run", (raw) => {
  const { calls } = recoverToolCalls(raw, tools);

  expect(calls).toEqual([expect.objectContaining({ complete: false })]);
});

test("a closing tag whose call is not clear takes the call before it away", () => {
  const raw = `${ls}\n\`\`\`\n<function=bash>\n<parameter=command>\nrm\n</parameter>\n</function>\n</tool_call>\n\`\`\``;

  expect(recoverToolCalls(raw, tools).calls).toEqual([{ ...called("ls"), complete: false }]);
});

const names = tools.map((tool) => tool.function.name);
const pieces = [
  "<",
  ">",
  "=",
  '"',
  "\\",
  "\n",
  " ",
  "{",
  "[",
  "<tool_call>",
  "</tool_call>",
  "<function=bash>",
  "<function=launch>",
  '<function name="submit">',
  "<function=",
  "</function>",
  "<parameter=command>",
  "<parameter=path>",
  "<parameter=x\n",
  "</parameter>",
  "\n```\n",
  "\n~~~~\n",
  '{"name": "bash", "arguments": {"command": "ls"}}',
  "</think>",
  "<|im_end|>",
  "__proto__",
  "\r\n",
  ls,
];
const markup = fc
  .array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...pieces) }, fc.string({ unit: "binary" })), {
    maxLength: 60,
  })
  .map((parts) => parts.join(""));
/** Whole calls of which pieces are taken out, doubled and moved. */
const mutated = fc
  .array(fc.constantFrom(...vectors.map((vector) => vector.raw)), { minLength: 1, maxLength: 4 })
  .chain((raws) => {
    const tokens = raws.join("\n").match(/<[^<>]*>?|[^<]+/g) ?? [];
    const positions = fc.array(fc.nat({ max: Math.max(0, tokens.length - 1) }), { maxLength: 8 });
    return fc.tuple(fc.constant(tokens), positions, positions, positions);
  })
  .map(([tokens, removed, doubled, moved]) =>
    tokens
      .flatMap((token, at) => (doubled.includes(at) ? [token, token] : removed.includes(at) ? [] : [token]))
      .map((token, at, all) => (moved.includes(at) ? (all[at + 1] ?? token) : token))
      .join(""),
  );

test("whatever the model writes, only tools of the request come out, complete ones only with an end, in linear time", () => {
  fc.assert(
    fc.property(fc.oneof(markup, mutated), (raw) => {
      const meter = { steps: 0 };
      const { calls } = recoverToolCalls(raw, tools, meter);
      expect(calls.every(({ name }) => names.includes(name))).toBe(true);
      expect(calls.filter((call) => call.complete).length).toBeLessThanOrEqual(endsIn(raw));
      expect(meter.steps).toBeLessThan(12 * raw.length + 100);
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ...pieces,
  "<function=bash>\n<parameter=command>\n",
  "<tool_call>\n<function=bash>\n<parameter=command>\n",
  "<tool_call>{",
  '<tool_call>\n{"',
  "</parameter>\n</function>\n",
  "</parameter>\n</function>\n</tool_call>\nand ",
  "<parameter=path>\nx\n</parameter>\n",
  "<function=bash",
  "<function=a\n",
  "```\n",
  `${ls}\n`,
  `<tool_call>\n<function=write_file>\n<parameter=content>\n${ls}\n`,
])("the steps for %j over and over grow as its length does", (piece) => {
  const steps = (length: number) => {
    const meter = { steps: 0 };
    recoverToolCalls(
      `${ls}\n<function=bash>\n<parameter=command>\n${piece.repeat(length / piece.length)}`,
      tools,
      meter,
    );
    recoverToolCalls(piece.repeat(length / piece.length), tools, meter);
    return meter.steps;
  };

  expect(steps(80_000) / steps(40_000)).toBeLessThan(2.1);
  expect(steps(80_000)).toBeLessThan(80_000 * 24);
});

/** How many calls can have an end: a closing tag or brace, or the opener of the next one. */
function endsIn(raw: string): number {
  const closers = raw.match(/<\/function\s*>|<\/tool_call\s*>|\}/g) ?? [];
  const openers = raw.match(/<function/g) ?? [];
  return closers.length + Math.max(0, openers.length - 1);
}

/** A call as the model writes it when it makes no slip. */
function written(name: string, values: Record<string, string>): string {
  const parameters = Object.entries(values).map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`);
  return `<tool_call>\n<function=${name}>\n${parameters.join("")}</function>\n</tool_call>`;
}
