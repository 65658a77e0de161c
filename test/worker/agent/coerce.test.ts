import * as fc from "fast-check";
import { expect, test } from "vitest";
import { coerce, fitValue, takenBy, toolCalled, typeText } from "../../../worker/agent/coerce.ts";

const taken = takenBy({
  properties: {
    text: { type: "string" },
    note: { type: "string" },
    count: { type: "integer" },
    ratio: { type: "number" },
    on: { type: "boolean" },
    list: { type: "array" },
    table: { type: "object" },
    tag: { type: ["string", "null"] },
    either: { anyOf: [{ type: "integer" }, { type: "string" }] },
    mode: { enum: ["fast", "slow"] },
    only: { const: 3 },
    open: {},
  },
  required: ["text"],
});

test.each([
  ["text", "5", "5"],
  ["text", "null", "null"],
  ["note", "None", "None"],
  ["count", "10", 10],
  ["count", " -7\n", -7],
  ["count", "5.0", 5],
  ["count", "5.5", "5.5"],
  ["count", "ten", "ten"],
  ["count", "99999999999999999", "99999999999999999"],
  ["count", "null", undefined],
  ["count", "None", undefined],
  ["ratio", "1e3", 1000],
  ["ratio", ".5", 0.5],
  ["ratio", "1e999", "1e999"],
  ["ratio", "inf", "inf"],
  ["ratio", "0x10", "0x10"],
  ["on", "True", true],
  ["on", "false", false],
  ["on", "yes", "yes"],
  ["list", '["a"]', ["a"]],
  ["list", "a", "a"],
  ["list", "{}", "{}"],
  ["table", '{"a": 1}', { a: 1 }],
  ["tag", "null", null],
  ["either", "42", 42],
  ["either", "x", "x"],
  ["mode", "null", "null"],
  ["only", "3", 3],
  ["open", "5", "5"],
  ["unknown", "5", "5"],
])("the text of %s %j is %j", (name, text, value) => {
  expect(typeText(text, name, taken)).toEqual(value);
});

test.each([
  ["text", 5, "5"],
  ["text", true, "true"],
  ["text", [10, 40], "[10,40]"],
  ["text", { a: 1 }, '{"a":1}'],
  ["text", null, "null"],
  ["note", null, undefined],
  ["count", "5", 5],
  ["count", 5.5, 5.5],
  ["count", null, undefined],
  ["ratio", 5, 5],
  ["on", "True", true],
  ["list", "a", "a"],
  ["table", '{"a": 1}', { a: 1 }],
  ["tag", null, null],
  ["either", "42", "42"],
  ["open", [1], [1]],
])("the value of %s %j is %j", (name, value, fitted) => {
  expect(fitValue(value, name, taken)).toEqual(fitted);
});

test("keys are trimmed, aliases resolved, unknown ones dropped, in the order of the model", () => {
  const editor = takenBy({
    properties: { command: { type: "string" }, path: { type: "string" }, old_str: { type: "string" } },
    required: ["command"],
  });

  const { args, ...rest } = coerce({ old_string: "a", mood: "good", " command ": "view", file_path: "/a" }, editor);

  expect(Object.entries(args)).toEqual([
    ["old_str", "a"],
    ["command", "view"],
    ["path", "/a"],
  ]);
  expect(rest).toEqual({ repaired: ["aliased old_string", "aliased file_path"], dropped: ["mood"] });
});

test("an alias does not replace what was given by its own name", () => {
  const bash = takenBy({ properties: { command: { type: "string" } }, required: ["command"] });

  expect(coerce({ cmd: "rm", command: "ls" }, bash)).toEqual({
    args: { command: "ls" },
    repaired: [],
    dropped: ["cmd"],
  });
});

test.each(["execute_bash", "run_shell_command", "shell", "terminal", "bash"])("%s means bash", (name) => {
  expect(toolCalled([{ name: "bash" }, { name: "submit" }], name)).toEqual({ name: "bash" });
});

test("a tool of an alias's own name is that tool, and other names mean nothing", () => {
  expect(toolCalled([{ name: "bash" }, { name: "shell" }], "shell")).toEqual({ name: "shell" });
  expect(toolCalled([{ name: "bash" }], "constructor")).toBeUndefined();
});

test("whatever is given, what fits is left as it is, and nothing throws", () => {
  const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`) as unknown;

  expect(fitValue(deep, "text", taken)).toBe(deep);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (given) => {
      const once = coerce(given, taken);
      expect(coerce(once.args, taken)).toEqual({ args: once.args, repaired: [], dropped: [] });
    }),
  );
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...Object.keys(taken.properties)), (text, name) => {
      const value = typeText(text, name, taken);
      expect(value === undefined || coerce({ [name]: value }, taken).repaired.length === 0).toBe(true);
    }),
  );
});
