import { expect, test } from "vitest";
import { createRepetitionGuard } from "../../../worker/agent/repetition.ts";

const sentence = "Now I will look at the file and then change the function in it. ";

test.each([
  { what: "a sentence", text: sentence.repeat(20) },
  { what: "a paragraph that has the same sentence twice", text: `${sentence}${sentence}And so on. `.repeat(20) },
  { what: "a page", text: page(1900).repeat(12) },
  { what: "one character", text: "=".repeat(2000) },
  { what: "a short line", text: "}\n".repeat(3000) },
  { what: "two short lines", text: "a\nbc\n".repeat(3000) },
  { what: "a sentence after a long text", text: page(50_000) + sentence.repeat(20) },
])("$what over and over is a repetition, however it is cut into pieces", ({ text }) => {
  for (const size of [1, 7, 400, text.length]) expect(repeats(text, size)).toBe(true);
});

test.each([
  { what: "a sentence 9 times", text: page(600) + sentence.repeat(9) + page(600) },
  { what: "2,000 short lines that are the same", text: "0,\n".repeat(2000) },
  {
    what: "a table",
    text: Array.from({ length: 500 }, (_, row) => `| row ${row} | the same text in every row |\n`).join(""),
  },
  {
    what: "tests that look alike",
    text: Array.from({ length: 200 }, (_, n) => `  expect(add(${n}, 1)).toEqual(${n + 1});\n`).join(""),
  },
  { what: "a ruler", text: `${"-".repeat(120)}\n${page(600)}`.repeat(3) },
  { what: "an ordinary text", text: page(100_000) },
])("$what is no repetition", ({ text }) => {
  for (const size of [1, 7, 400, text.length]) expect(repeats(text, size)).toBe(false);
});

test("an answer of five megabytes is looked through", () => {
  const guard = createRepetitionGuard();
  const piece = page(100_000);

  for (let times = 0; times < 50; times++) expect(guard.repeats(piece.slice(times))).toBe(false);
});

function repeats(text: string, size: number): boolean {
  const guard = createRepetitionGuard();
  for (let at = 0; at < text.length; at += size) if (guard.repeats(text.slice(at, at + size))) return true;
  return false;
}

/** Text without a stretch that comes twice. */
function page(length: number): string {
  const words = Array.from({ length: Math.ceil(length / 5) }, (_, n) => (n * 2_654_435_761).toString(36).slice(-6));
  return words.join(" ").slice(0, length);
}
