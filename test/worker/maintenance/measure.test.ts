import { expect, it } from "vitest";
import type { RunEvent, Stamped } from "../../../src/runlog.ts";
import { measureFacts, notImproved, numberIn } from "../../../worker/maintenance/measure.ts";

it.each([
  ["14\n", 14],
  ["  14  \n\n", 14],
  ["found:\n3\n7.5\n", 7.5],
  ["12\nand that is all\n", 12],
  ["-2", -2],
  ["0\n", 0],
])("the last line that is a number counts: %j", (text, expected) => {
  expect(numberIn(text)).toBe(expected);
});

it.each(["", "none\n", "14 files\n", "1,400\n", "1e5\n", "NaN\n", "0x10\n", `${"9".repeat(40)}\n`])(
  "there is no number in %j",
  (text) => {
    expect(numberIn(text)).toBeUndefined();
  },
);

function measured(before: number, after: number): Stamped[] {
  const events: RunEvent[] = [
    { type: "measured", leg: "base", run: "npx knip | wc -l", value: before },
    { type: "measured", leg: "head", run: "npx knip | wc -l", value: after },
  ];
  return events.map((event, n) => ({ n, at: "", ...event }));
}

it("a pull request says what was measured before and after, once both are known", () => {
  expect(measureFacts(measured(14, 9))).toEqual(["`npx knip | wc -l`: 14 → 9"]);
  expect(measureFacts(measured(14, 9).slice(0, 1))).toEqual([]);
  expect(measureFacts([])).toEqual([]);
});

it("less is better: the same or more ends the run quietly", () => {
  expect(notImproved(measured(14, 13))).toBeUndefined();
  expect(notImproved(measured(14, 14))).toMatchObject({ outcome: "no-change", cause: "the measure did not improve" });
  expect(notImproved(measured(14, 15))).toMatchObject({ outcome: "no-change" });
});
