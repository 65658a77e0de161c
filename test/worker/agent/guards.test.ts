import { expect, test } from "vitest";
import { createGuards } from "../../../worker/agent/guards.ts";
import type { Guards } from "../../../worker/agent/guards.ts";

interface Made {
  name?: string;
  args: object;
  prints?: string;
  failed?: boolean;
}

/** What the guards say to each call, in a word; a call that they refuse does not run. */
function wordsFor(made: readonly Made[], guards: Guards = createGuards()): string[] {
  return made.map(({ name = "bash", args, prints = "same", failed = false }, index) => {
    const call = { id: String(index), name, arguments: JSON.stringify(args) };
    const before = guards.before(call);
    return (before ?? guards.after(call, { text: prints, failed }))?.kind ?? "ok";
  });
}

const look = (path: string, range = ""): Made => ({
  name: "str_replace_editor",
  args: { command: "view", path, view_range: range },
});
const edit = (path: string, text = "a"): Made => ({
  name: "str_replace_editor",
  args: { command: "insert", path, insert_line: 1, new_str: text },
});

test("the same call with the same result is noted at the third time, not run after five, and stopped at eight", () => {
  const words = wordsFor(Array.from({ length: 8 }, () => ({ args: { command: "npm test" } })));

  expect(words).toEqual(["ok", "ok", "note", "note", "note", "refuse", "refuse", "stuck"]);
});

test("the facts are told with their number", () => {
  const guards = createGuards();
  const call = { id: "1", name: "bash", arguments: '{"command":"ls"}' };
  for (let time = 0; time < 5; time++) guards.after(call, { text: "a.js", failed: false });

  expect(guards.before(call)?.text).toBe("This call gave the same result 5 times in a row.");
});

test("a command that waits for something and prints something else each time is left alone", () => {
  const words = wordsFor(
    Array.from({ length: 40 }, (_, n) => ({ args: { command: "tail log" }, prints: `line ${n}` })),
  );

  expect(new Set(words)).toEqual(new Set(["ok"]));
});

test("the same command between edits that differ is left alone, also when it prints the same", () => {
  const words = wordsFor(
    Array.from({ length: 20 }, (_, n) => [edit("/a", String(n)), { args: { command: "npm test" } }]).flat(),
  );

  expect(new Set(words)).toEqual(new Set(["ok"]));
});

test("an edit that is made again and again is noticed, though it succeeds and says something else each time", () => {
  const words = wordsFor(Array.from({ length: 8 }, (_, n) => ({ ...edit("/a"), prints: `${n} lines` })));

  expect(words).toEqual(["ok", "ok", "note", "note", "note", "refuse", "refuse", "stuck"]);
});

test.each([
  { what: "two calls", pattern: ["a", "b"] },
  { what: "three calls", pattern: ["a", "b", "c"] },
])("a pattern of $what is noted after three rounds, not run after five, and stopped in the eighth", ({ pattern }) => {
  const words = wordsFor(
    Array.from({ length: 8 }, () => pattern.map((command) => ({ args: { command }, prints: command }))).flat(),
  );

  const rounds = Array.from({ length: 8 }, (_, n) => words.slice(n * pattern.length, (n + 1) * pattern.length));
  const quiet = pattern.map(() => "ok");
  expect(rounds.slice(0, 2)).toEqual([quiet, quiet]);
  expect(rounds.slice(2, 5).map((round) => round.at(-1))).toEqual(["note", "note", "note"]);
  expect(rounds.slice(5, 7).flat()).toEqual([...pattern, ...pattern].map(() => "refuse"));
  expect(rounds[7]?.[0]).toBe("stuck");
});

test("a call that breaks the circle makes it begin anew", () => {
  const same = { args: { command: "npm test" } };

  expect(wordsFor([same, same, same, { args: { command: "ls" } }, same, same])).toEqual([
    "ok",
    "ok",
    "note",
    "ok",
    "ok",
    "ok",
  ]);
});

test("the same error from different calls is noted at the third time and stopped at the eighth", () => {
  const calls = Array.from({ length: 8 }, (_, n) => ({ ...edit(`/${n}`), prints: "not below the root", failed: true }));

  expect(wordsFor(calls)).toEqual(["ok", "ok", "note", "note", "note", "note", "note", "stuck"]);
});

test("errors that differ are left alone", () => {
  const calls = Array.from({ length: 20 }, (_, n) => ({ ...edit(`/${n}`), prints: `/${n} is missing`, failed: true }));

  expect(new Set(wordsFor(calls))).toEqual(new Set(["ok"]));
});

test("looking again at what was seen is noted at eight of fifteen calls, not done after twelve, and stopped at fifteen", () => {
  const files = ["/a", "/b", "/c", "/d", "/e"].map((path) => look(path));
  // In another order each time, so that there is no pattern in it.
  const orders = [0, 2, 4, 1, 3, 0, 3, 1, 4, 2, 0, 1, 2, 4, 3, 0, 4, 2, 1, 3];
  const words = wordsFor([...files, ...orders.map((at) => files[at] ?? look("/a"))]);

  expect(words.slice(5, 20)).toEqual([
    ...Array.from({ length: 7 }, () => "ok"),
    ...Array.from({ length: 5 }, () => "note"),
    "refuse",
    "refuse",
    "stuck",
  ]);
});

test("reading one long file part by part, and reading again what was edited, is left alone", () => {
  const parts = Array.from({ length: 20 }, (_, n) => look("/long", `${n * 100}-${n * 100 + 99}`));
  const edited = Array.from({ length: 12 }, (_, n) => [edit("/a", String(n)), look("/a")]).flat();

  expect(new Set(wordsFor([...parts, ...edited]))).toEqual(new Set(["ok"]));
});
