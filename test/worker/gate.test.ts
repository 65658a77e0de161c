import { describe, expect, it } from "vitest";
import type { CheckSummary } from "../../src/runlog.ts";
import { judge, verdictReason } from "../../worker/gate.ts";

function check(name: string, passed: boolean, required = true): CheckSummary {
  return { name, run: name, required, passed, end: passed ? "passed" : "exit code 1", ms: 1, tail: "" };
}

describe("judge", () => {
  it("passes when every required check passes on the change", () => {
    const verdict = judge([check("unit", false), check("lint", true)], [check("unit", true), check("lint", true)]);

    expect(verdict.passed).toBe(true);
    expect(verdict.rows.map((row) => row.verdict)).toEqual(["fixed", "passes"]);
  });

  it("rejects a check that the change breaks", () => {
    const verdict = judge([check("unit", true)], [check("unit", false)]);

    expect(verdict.passed).toBe(false);
    expect(verdictReason(verdict)).toBe("`unit` fails with the change (exit code 1)");
  });

  it("names a check that was red before, does not blame it on the change, and does not pass it", () => {
    const verdict = judge([check("unit", false)], [check("unit", false)]);

    expect(verdict).toMatchObject({ passed: false, rows: [{ verdict: "red-before" }] });
    expect(verdictReason(verdict)).toContain("as it did before the change");
  });

  it("lets an optional check fail", () => {
    expect(judge([check("slow", true, false)], [check("slow", false, false)]).passed).toBe(true);
  });

  it("never passes without a single check", () => {
    expect(judge([], []).passed).toBe(false);
  });
});
