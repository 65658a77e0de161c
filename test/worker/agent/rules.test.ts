import { expect, test } from "vitest";
import type { Reply } from "../../../worker/agent/model.ts";
import { createRules, nudgeText } from "../../../worker/agent/rules.ts";

const usage = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };

function answer(text: string, more: Partial<Reply> = {}): Reply {
  return { text, calls: [], usage, truncated: false, waitedMs: 0, finish: "stop", recovered: 0, ...more };
}
const called = answer("", { calls: [{ id: "1", name: "bash", arguments: "{}" }] });

test.each([
  { what: "ends with a colon", text: "Now the tests:", prompt: "announced" },
  { what: "ends with an ellipsis", text: "Looking at the tests…", prompt: "announced" },
  { what: "announces what it will do", text: "The cause is clear.\nI'll fix it in slug.js.", prompt: "announced" },
  { what: "proposes to itself", text: "Let me run the tests.", prompt: "announced" },
  { what: "was cut", text: "A long story", truncated: true, prompt: "announced" },
  {
    what: "holds a call that nobody could read",
    text: "<function=bash>\n<parameter=command>ls",
    prompt: "unread-call",
  },
  { what: "holds the end of a call", text: "ls\n</parameter>", prompt: "unread-call" },
  { what: "sounds as if all were done", text: "I have fixed the bug, and all tests pass.", prompt: "reminder" },
])("an answer without a call that $what is not the end", ({ text, truncated = false, prompt }) => {
  expect(createRules().decide(answer(text, { truncated }))).toEqual({ kind: "nudge", prompt });
});

test("after three answers without a call in a row, the fourth one is the end", () => {
  const rules = createRules();
  const kinds = Array.from({ length: 4 }, () => rules.decide(answer("Done.")));

  expect(kinds.map(({ kind }) => kind)).toEqual(["nudge", "nudge", "nudge", "stop"]);
  expect(kinds[3]).toEqual({ kind: "stop", end: "no-answer" });
});

test("where the last of them held a call that could not be read, that is the end's name", () => {
  const rules = createRules();
  const decisions = Array.from({ length: 4 }, () => rules.decide(answer("<tool_call>bash")));

  expect(decisions.at(-1)).toEqual({ kind: "stop", end: "format-errors" });
});

test("an empty answer is asked for again twice, then comes a nudge, then the end", () => {
  const rules = createRules();

  expect(Array.from({ length: 4 }, () => rules.decide(answer(" \n")))).toEqual([
    { kind: "again" },
    { kind: "again" },
    { kind: "nudge", prompt: "empty" },
    { kind: "stop", end: "no-answer" },
  ]);
});

test("a call makes the counting of silent and empty answers begin anew", () => {
  const rules = createRules();
  for (const reply of [answer("Done."), answer("Done."), answer("Done."), answer(""), answer("")]) rules.decide(reply);

  expect(rules.decide(called)).toEqual({ kind: "act" });
  expect(rules.decide(answer(""))).toEqual({ kind: "again" });
  expect(rules.decide(answer("Done."))).toEqual({ kind: "nudge", prompt: "reminder" });
});

test("calls that can't be understood bring the exact form after five in a row, once, and the end after ten", () => {
  const rules = createRules();
  const decisions = Array.from({ length: 10 }, () => rules.understood([false])?.kind);

  expect(decisions).toEqual([...Array.from({ length: 4 }), "nudge", ...Array.from({ length: 4 }), "stop"]);
});

test("several of them in one answer count one by one, and one that is understood begins anew", () => {
  const rules = createRules();

  expect(rules.understood([false, false, false])).toBeUndefined();
  expect(rules.understood([true, false, false, false])).toBeUndefined();
  expect(rules.understood([false, false, false])).toEqual({ kind: "nudge", prompt: "unread-call" });
  expect(rules.understood([false, true])).toBeUndefined();
  expect(rules.understood(Array.from({ length: 10 }, () => false))).toEqual({ kind: "stop", end: "format-errors" });
});

test("the form of a call is shown again when the calls went wrong again", () => {
  const rules = createRules();
  const five = Array.from({ length: 5 }, () => false);

  expect(rules.understood(five)?.kind).toBe("nudge");
  expect(rules.understood([true])).toBeUndefined();
  expect(rules.understood(five)?.kind).toBe("nudge");
});

test("the form of a call is shown exactly as the model has to write it", () => {
  expect(nudgeText("unread-call")).toContain(
    "<tool_call>\n<function=bash>\n<parameter=command>\ngit status\n</parameter>\n</function>\n</tool_call>",
  );
});
