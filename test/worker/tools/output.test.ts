import * as fc from "fast-check";
import { expect, test } from "vitest";
import { cutOutput, renderResult } from "../../../worker/tools/output.ts";

const text = fc
  .array(fc.tuple(fc.constantFrom("a", "é", "漢", "😀", "\n"), fc.integer({ min: 1, max: 6000 })), { maxLength: 8 })
  .map((parts) => parts.map(([character, times]) => character.repeat(times)).join(""));

test("output is bounded, keeps its head and tail, and is never cut within a character", () => {
  fc.assert(
    fc.property(text, (given) => {
      const cut = cutOutput(given);

      expect(cut.length).toBeLessThan(10_400);
      expect(cut.isWellFormed()).toBe(true);
      const [head = "", tail = head] = cut.split(/\n\n\[\.\.\. \d+ bytes left out[^\]]*\]\n\n/);
      expect(given.startsWith(head) && given.endsWith(tail)).toBe(true);
      expect(given.length > 10_000 || cut === given).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("what is left out is counted from the whole output, also from what the sandbox dropped", () => {
  expect(cutOutput("x".repeat(20_000), 1_000_000)).toContain("[... 990000 bytes left out");
});

test.each([
  { end: { end: "exited", code: 0 }, says: "The command succeeded: exit code 0" },
  { end: { end: "exited", code: 2 }, says: "The command failed with exit code 2." },
  { end: { end: "exited", code: 127 }, says: "exit code 127. The program was not found" },
  { end: { end: "exited", code: 139 }, says: "ended by signal 11" },
  { end: { end: "timed-out" }, says: "stopped after 120 seconds" },
  { end: { end: "out-of-memory" }, says: "ran out of memory" },
  { end: { end: "killed" }, says: "killed by a signal" },
] as const)("$end is told in words: $says", ({ end, says }) => {
  const output = { text: "\u{1B}[31mred\u{1B}[0m\r\n10%\r100%\n", bytes: 20, truncated: false };

  const shown = renderResult({ ...end, output, durationMs: 1 }, 120);

  expect(shown).toMatch(/^red\n100%\n\n\[/);
  expect(shown).toContain(says);
});

test("a command without output says so", () => {
  const output = { text: "\n", bytes: 1, truncated: false };

  expect(renderResult({ end: "exited", code: 0, output, durationMs: 1 }, 120)).toMatch(
    /^\(The command printed nothing\.\)/,
  );
});
