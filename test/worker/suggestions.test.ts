import { expect, it } from "vitest";
import { applySuggestions, givenBy, stands, suggestionsAt, suggestionsOf, thanksTo } from "../../worker/suggestions.ts";
import { createLocalHost, person, pointOf } from "./support.ts";

const block = (...lines: string[]) => ["Like so:", "```suggestion", ...lines, "```"].join("\n");
const replace = (from: number, to: number, ...lines: string[]) => ({
  point: "t1",
  by: person("ada"),
  path: "a.js",
  from,
  to,
  lines,
});

it.each([
  ["one line", block("two"), ["two"]],
  ["several lines", block("  two", "", "three"), ["  two", "", "three"]],
  ["an empty line", block(""), [""]],
  ["no line", block(), []],
  ["lines that have a fence", ["````suggestion", "```js", "x", "```", "````"].join("\n"), ["```js", "x", "```"]],
])("finds a suggestion of %s", (_what, body, lines) => {
  expect(suggestionsOf([pointOf("t1", body, { line: 3 })])).toMatchObject([{ from: 3, to: 3, lines }]);
});

it("spans the lines of the thread, and takes the last one of a thread", () => {
  const point = pointOf("t1", `${block("a")}\n\n${block("b")}`, { startLine: 2, line: 4 });

  expect(suggestionsOf([point])).toMatchObject([{ point: "t1", from: 2, to: 4, lines: ["b"] }]);
});

it.each([
  ["in an outdated thread", pointOf("t1", block("a"), { isOutdated: true })],
  ["whose line is gone", pointOf("t1", block("a"), { line: undefined })],
  ["outside of a thread", pointOf("r1", block("a"))],
  ["in another language's block", pointOf("t1", block("a").replace("suggestion", "js"), {})],
])("leaves out one %s", (_which, point) => {
  expect(suggestionsOf([point])).toEqual([]);
});

it("leaves out what was said before this round", () => {
  const point = pointOf("t1", block("a"), {});
  const texts = point.texts.map((text) => ({ ...text, isNew: false }));

  expect(suggestionsOf([{ ...point, texts }])).toEqual([]);
});

it.each([
  ["replaces lines", "1\n2\n3\n", [replace(2, 2, "two")], "1\ntwo\n3\n"],
  ["takes lines out", "1\n2\n3\n", [replace(1, 2)], "3\n"],
  ["puts more in", "1\n2", [replace(2, 2, "2", "3")], "1\n2\n3"],
  ["keeps the file's line ends", "1\r\n2\r\n", [replace(1, 1, "one")], "one\r\n2\r\n"],
  ["applies several from the bottom up", "1\n2\n3\n", [replace(1, 1, "a", "b"), replace(3, 3, "c")], "a\nb\n2\nc\n"],
  ["takes the first of two about the same lines", "1\n2\n", [replace(1, 1, "a"), replace(1, 2, "b")], "a\n2\n"],
  ["leaves out what lies behind the end", "1\n", [replace(2, 2, "b")], "1\n"],
])("%s", (_what, before, suggestions, after) => {
  expect(applySuggestions(before, suggestions).text).toBe(after);
});

it("applies to the files of a commit, and names those whose lines stand in the end", async () => {
  using host = createLocalHost({ "a.js": "one\ntwo\n", "b.bin": "\u0000\u00ff" });
  const points = [
    pointOf("t1", block("ONE"), { path: "a.js", line: 1 }),
    pointOf("t2", block("x"), { path: "gone.js", line: 1 }),
  ];

  const at = await suggestionsAt(host.mirror, host.commits[0] ?? "", points);

  expect([...givenBy(at)]).toEqual([["a.js", Buffer.from("ONE\ntwo\n")]]);
  expect(at.applied.map(({ point }) => point)).toEqual(["t1"]);
  expect(stands({ lines: ["ONE"] }, "zero\nONE\ntwo\n")).toBe(true);
  expect(stands({ lines: ["ONE", "TWO"] }, "ONE\ntwo\n")).toBe(false);
});

it("thanks each author once, in git's words", () => {
  expect(thanksTo([replace(1, 1), replace(2, 2)], "https://github.com/o/r.git")).toEqual([
    "ada <3+ada@users.noreply.github.com>",
  ]);
});
