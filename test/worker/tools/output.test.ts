import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ExecResult } from "../../../sandbox/engine.ts";
import { cutText, outputLimit, renderResult } from "../../../worker/tools/output.ts";

const text = fc
  .array(fc.tuple(fc.constantFrom("a", "é", "漢", "😀", "\n"), fc.integer({ min: 1, max: 6000 })), { maxLength: 8 })
  .map((parts) => parts.map(([character, times]) => character.repeat(times)).join(""));
const advice = "Look at parts of it.";

test("a text is bounded, keeps its head and tail, and is never cut within a character", () => {
  fc.assert(
    fc.property(text, fc.constantFrom(4000, 10_000), (given, limit) => {
      const cut = cutText(given, { limit, advice });

      expect(cut.length).toBeLessThan(limit + 100);
      expect(cut.isWellFormed()).toBe(true);
      const [head = "", tail = head] = cut.split(
        /\n\n\[\.\.\. \d+ bytes left out\. Look at parts of it\. \.\.\.\]\n\n/,
      );
      expect(given.startsWith(head) && given.endsWith(tail)).toBe(true);
      expect(given.length > limit || cut === given).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("what is left out is counted from the whole output, also from what the sandbox dropped", () => {
  expect(cutText("x".repeat(20_000), { limit: 10_000, advice, bytes: 1_000_000 })).toContain("[... 990000 bytes left");
});

test("less is shown where the conversation has little room", () => {
  expect([32_768, 40_000, 40_001, 262_144].map(outputLimit)).toEqual([4000, 4000, 10_000, 10_000]);
});

test("an output that is too long is kept in a file, which is named", async () => {
  const kept: string[] = [];
  const keep = async (whole: string) => {
    kept.push(whole);
    return "/w/out.txt";
  };
  const long = `${"x".repeat(9000)}middle${"y".repeat(9000)}`;
  const whole = await renderResult(exited(long), { limit: 10_000, seconds: 1, keep });
  const short = await renderResult(exited("short"), { limit: 10_000, seconds: 1, keep });

  expect(kept).toEqual([long]);
  expect(whole).toContain("[... 8006 bytes left out. The whole output is in /w/out.txt: look at");
  expect(short).not.toContain("out.txt");
});

test("where the file has not all of the output, or there is none, the answer says so", async () => {
  const long = "x".repeat(20_000);
  const cut = { ...exited(long), output: { text: long, bytes: 5_000_000, truncated: true } };
  const part = await renderResult(cut, { limit: 4000, seconds: 1, keep: async () => "/w/out.txt" });
  const none = await renderResult(exited(long), { limit: 4000, seconds: 1, keep: async () => undefined });

  expect(part).toContain("4996000 bytes left out. The first and last 500000 bytes of the output are in /w/out.txt");
  expect(none).toContain("They are kept nowhere");
});

test.each([
  { end: { end: "exited", code: 0 }, says: "The command succeeded: exit code 0" },
  { end: { end: "exited", code: 2 }, says: "The command failed with exit code 2." },
  { end: { end: "exited", code: 127 }, says: "exit code 127. The program was not found" },
  { end: { end: "exited", code: 139 }, says: "ended by signal 11" },
  { end: { end: "timed-out" }, says: "stopped after 120 seconds" },
  { end: { end: "out-of-memory" }, says: "ran out of memory" },
  { end: { end: "killed" }, says: "killed by a signal" },
] as const)("$end is told in words: $says", async ({ end, says }) => {
  const output = { text: "\u{1B}[31mred\u{1B}[0m\r\n10%\r100%\n", bytes: 20, truncated: false };

  const shown = await show({ ...end, output, durationMs: 1 });

  expect(shown).toMatch(/^red\n100%\n\n\[/);
  expect(shown).toContain(says);
});

test("a command without output says so", async () => {
  expect(await show(exited("\n"))).toMatch(/^\(The command printed nothing\.\)/);
});

function show(result: ExecResult): Promise<string> {
  return renderResult(result, { limit: 10_000, seconds: 120, keep: async () => undefined });
}

function exited(given: string): ExecResult {
  return {
    end: "exited",
    code: 0,
    output: { text: given, bytes: Buffer.byteLength(given), truncated: false },
    durationMs: 1,
  };
}
