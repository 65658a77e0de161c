import { describe, expect, it } from "vitest";
import type { CheckSummary } from "../../src/runlog.ts";
import type { Flaky } from "../../worker/baseline.ts";
import { compare } from "../../worker/compare.ts";
import type { CompareOptions, Ran } from "../../worker/compare.ts";
import { describeEnd } from "../../worker/container.ts";
import type { TestResult } from "../../worker/reports/results.ts";
import { decide, obstacleOf, recordOf, verdictLines, verdictOf } from "../../worker/verdict.ts";
import type { Bite, CheckRow } from "../../worker/verdict.ts";
import { checkOf, verdictOn } from "./support.ts";

const pass = (name: string, file = "a.test.js"): TestResult => ({ name, file, status: "passed" });
const fail = (name: string, file = "a.test.js"): TestResult => ({ name, file, status: "failed" });
const skip = (name: string, file = "a.test.js"): TestResult => ({ name, file, status: "skipped" });

/** A check with these tests; it passes when none of them failed. */
function ran(tests: TestResult[] | undefined, more: Partial<CheckSummary> & { cut?: string } = {}): Ran {
  const { cut, ...rest } = more;
  const of = (status: TestResult["status"]) => (tests ?? []).filter((test) => test.status === status);
  const failing = of("failed").map(({ name }) => name);
  const counts = {
    passed: of("passed").length,
    failed: failing.length,
    skipped: of("skipped").length,
    failing,
    file: "tests/x.json",
    ...(cut === undefined ? {} : { cut }),
  };
  const passed = rest.passed ?? failing.length === 0;
  return { tests, check: checkOf("npm test", passed, { ...(tests && { tests: counts }), ...rest }) };
}

function rowOf(base: Ran, head: Ran, options: Partial<CompareOptions> = {}): CheckRow | undefined {
  return compare([base], [head], { flaky: [], isRemoved: () => false, ...options })[0];
}

/** The row's word with each word's tests, and what keeps the change from passing. */
function judged(base: Ran, head: Ran, options: Partial<CompareOptions> = {}) {
  const row = rowOf(base, head, options);
  const words = Object.entries(row?.tests ?? {}).map(([word, { count }]) => `${count} ${word}`);
  return [row?.word, words.sort(), obstacleOf(row === undefined ? [] : [row], [])?.decision];
}

const flakyTest: Flaky = { check: "npm test", test: { name: "adds", file: "a.test.js" } };
const removed = { isRemoved: ({ name }: TestResult) => name === "adds" };

describe("compare", () => {
  it.each<[string, Ran, Ran, Partial<CompareOptions>, ReturnType<typeof judged>]>([
    ["all pass", ran([pass("adds")]), ran([pass("adds")]), {}, ["still-pass", ["1 still-pass"], undefined]],
    ["one is mended", ran([fail("adds")]), ran([pass("adds")]), {}, ["new-pass", ["1 new-pass"], undefined]],
    [
      "one is added",
      ran([pass("a")]),
      ran([pass("a"), pass("b")]),
      {},
      ["still-pass", ["1 new-pass", "1 still-pass"], undefined],
    ],
    ["one breaks", ran([pass("adds")]), ran([fail("adds")]), {}, ["regressed", ["1 regressed"], "rejected"]],
    [
      "one breaks behind exit code 0",
      ran([pass("adds")]),
      ran([fail("adds")], { passed: true }),
      {},
      ["regressed", ["1 regressed"], "rejected"],
    ],
    [
      "one is gone",
      ran([pass("adds"), pass("b")]),
      ran([pass("b")]),
      {},
      ["regressed", ["1 regressed", "1 still-pass"], "rejected"],
    ],
    [
      "one is gone openly",
      ran([pass("adds"), pass("b")]),
      ran([pass("b")]),
      removed,
      ["still-pass", ["1 still-pass"], undefined],
    ],
    ["the report is gone", ran([pass("adds")]), ran(undefined), {}, ["regressed", ["1 regressed"], "rejected"]],
    [
      "a failing one is gone",
      ran([fail("adds"), pass("b")]),
      ran([pass("b")]),
      {},
      ["new-pass", ["1 not-run", "1 still-pass"], undefined],
    ],
    [
      "the added one fails",
      ran([pass("a")]),
      ran([pass("a"), fail("b")]),
      {},
      ["new-fail", ["1 new-fail", "1 still-pass"], "rejected"],
    ],
    [
      "one was red before",
      ran([fail("adds"), pass("b")]),
      ran([fail("adds"), pass("b")]),
      {},
      ["known-red", ["1 known-red", "1 still-pass"], undefined],
    ],
    [
      "one was red before, and another breaks",
      ran([fail("adds"), pass("b")]),
      ran([fail("adds"), fail("b")]),
      {},
      ["regressed", ["1 known-red", "1 regressed"], "rejected"],
    ],
    ["one is skipped now", ran([pass("adds")]), ran([skip("adds")]), {}, ["regressed", ["1 regressed"], "rejected"]],
    [
      "a failing one is skipped now",
      ran([fail("adds")]),
      ran([skip("adds")]),
      {},
      ["new-pass", ["1 not-run"], undefined],
    ],
    [
      "there was no time for it",
      ran([pass("adds")]),
      ran(undefined, { passed: false, notRun: true, end: "not run" }),
      {},
      ["not-run", [], undefined],
    ],
    ["one is skipped as before", ran([skip("adds")]), ran([skip("adds")]), {}, ["still-pass", [], undefined]],
    [
      "one that was skipped runs and fails",
      ran([skip("adds")]),
      ran([fail("adds")]),
      {},
      ["new-fail", ["1 new-fail"], "rejected"],
    ],
    [
      "a flaky one fails",
      ran([pass("adds")]),
      ran([fail("adds")]),
      { flaky: [flakyTest] },
      ["flaky", ["1 flaky"], undefined],
    ],
    [
      "a flaky one of another file fails",
      ran([pass("adds", "b.test.js")]),
      ran([fail("adds", "b.test.js")]),
      { flaky: [flakyTest] },
      ["regressed", ["1 regressed"], "rejected"],
    ],
  ])("by test, where %s", (_what, ...[base, head, options, expected]) => {
    expect(judged(base, head, options)).toEqual(expected);
  });

  it.each<[string, Ran, Ran, Partial<CompareOptions>, ReturnType<typeof judged>]>([
    [
      "it passes as before",
      ran(undefined, { passed: true }),
      ran(undefined, { passed: true }),
      {},
      ["still-pass", [], undefined],
    ],
    [
      "it is mended",
      ran(undefined, { passed: false }),
      ran(undefined, { passed: true }),
      {},
      ["new-pass", [], undefined],
    ],
    [
      "it breaks",
      ran(undefined, { passed: true }),
      ran(undefined, { passed: false }),
      {},
      ["regressed", [], "rejected"],
    ],
    [
      "it can't be started any more",
      ran(undefined, { passed: true }),
      ran(undefined, { passed: false, end: "exit code 127" }),
      {},
      ["regressed", [], "rejected"],
    ],
    [
      "it was red before",
      ran(undefined, { passed: false }),
      ran(undefined, { passed: false }),
      {},
      ["known-red", [], "already-red"],
    ],
    [
      "it was red before and is not required",
      ran(undefined, { passed: false, required: false }),
      ran(undefined, { passed: false, required: false }),
      {},
      ["known-red", [], undefined],
    ],
    [
      "it is flaky and fails",
      ran(undefined, { passed: true }),
      ran(undefined, { passed: false }),
      { flaky: [{ check: "npm test" }] },
      ["flaky", [], "already-red"],
    ],
  ])("by exit code, where %s", (_what, ...[base, head, options, expected]) => {
    expect(judged(base, head, options)).toEqual(expected);
  });

  const red = [fail("adds"), pass("b")];
  it.each<[string, Ran, Ran, string, string]>([
    ["the change's report is cut", ran(red), ran(red, { cut: "too long" }), "known-red", "already-red"],
    ["the base's report is cut", ran(red, { cut: "too long" }), ran(red), "known-red", "already-red"],
    ["the base has no report", ran(undefined, { passed: false }), ran(red), "known-red", "already-red"],
    [
      "the check was stopped",
      ran(red),
      ran(red, { end: "stopped at its time limit of 30 minutes" }),
      "known-red",
      "already-red",
    ],
    [
      "no test accounts for the exit code any more",
      ran(red),
      ran([pass("adds"), pass("b")], { passed: false }),
      "regressed",
      "rejected",
    ],
    [
      "the exit code is another, and no test accounts for it",
      ran([pass("b")], { passed: false }),
      ran([pass("b")], { passed: false, end: "exit code 2" }),
      "regressed",
      "rejected",
    ],
  ])("excuses no red check where %s", (_what, ...[base, head, word, decision]) => {
    const [found, , obstacle] = judged(base, head);
    expect([found, obstacle]).toEqual([word, decision]);
  });

  it("excuses a check that fails as on the base though no test does on either", () => {
    const lint = () => ran([pass("b")], { passed: false, end: "exit code 2" });

    expect(judged(lint(), lint())).toEqual(["known-red", ["1 still-pass"], undefined]);
  });

  it.each([
    ["a renamed file", [pass("sum > adds", "a.test.js")], [pass("sum > adds", "b.test.js")]],
    ["a renamed suite", [pass("sum > adds")], [pass("add > adds")]],
    [
      "a moved module",
      [pass("tests.a > test_adds", "tests/a.py")],
      [pass("tests.unit.a > test_adds", "tests/unit/a.py")],
    ],
  ])("knows a test again in %s", (_what, base, head) => {
    expect(judged(ran(base), ran(head))).toEqual(["still-pass", ["1 still-pass"], undefined]);
  });

  it("takes no test for one that vanished where two have its name", () => {
    const head = [pass("adds", "b.test.js"), pass("adds", "c.test.js")];

    expect(judged(ran([pass("adds")]), ran(head))).toEqual(["regressed", ["1 regressed", "2 new-pass"], "rejected"]);
  });

  it("keeps the names of at most 20 tests, none of those that go on passing", () => {
    const tests = Array.from({ length: 30 }, (_, n) => (n < 25 ? `t${n}` : "x".repeat(400) + n));
    const row = rowOf(ran(tests.map((name) => pass(name))), ran(tests.map((name) => fail(name))));
    const still = rowOf(ran([pass("a")]), ran([pass("a")]));

    expect(row?.tests?.regressed).toMatchObject({ count: 30, names: tests.slice(0, 20) });
    expect(still?.tests?.["still-pass"]).toEqual({ count: 1, names: [] });
  });
});

describe("the verdict", () => {
  it.each<[Bite, string]>([
    [{ kind: "bites", failing: ["adds"] }, "ready"],
    [{ kind: "nothing", why: "the change is to documentation alone" }, "ready"],
    [{ kind: "green-on-base", tests: ["adds"] }, "draft"],
    [{ kind: "no-test" }, "draft"],
    [{ kind: "not-measured", why: "no check ran its tests" }, "draft"],
  ])("on a change that passes is for %j: %s", (bite, decision) => {
    expect(decide(bite).decision).toBe(decision);
  });

  it("is a rejection for a blocking finding, and none for an advisory one", () => {
    const rows = compare([ran([pass("a")])], [ran([pass("a")])], { flaky: [], isRemoved: () => false });
    const finding = { kind: "edited-ci", path: ".github/workflows/ci.yml", detail: "is changed" } as const;

    expect(obstacleOf(rows, [{ ...finding, weight: "advise" }])).toBeUndefined();
    expect(obstacleOf(rows, [{ ...finding, weight: "block" }])).toEqual({
      decision: "rejected",
      reason: "the change has what no change may have: edited-ci",
    });
  });

  it("is a rejection that names the way in which a check was stopped, each of them its own", () => {
    const limits = { totalMs: 1_800_000, idleMs: 1_200_000, outputBytes: 2 ** 28 };
    const ends = ["exited", "timed-out", "idle", "flooded", "out-of-memory", "killed"].map((end) =>
      describeEnd({ end, code: 1 }, limits),
    );

    const reasons = ends.map((end) => {
      const rows = compare([ran(undefined)], [ran(undefined, { passed: false, end })], {
        flaky: [],
        isRemoved: () => false,
      });
      expect(verdictLines({ rows, findings: [] })).toEqual([
        `- \`npm test\`: regressed (${end}, before the change: passed)`,
      ]);
      return obstacleOf(rows, []);
    });

    expect(reasons).toEqual(
      ends.map((end) => ({ decision: "rejected", reason: `\`npm test\` fails with the change (${end})` })),
    );
    expect(new Set(ends).size).toBe(ends.length);
  });

  it("is nobody's fault where no check ran, and never passes then", () => {
    expect(obstacleOf([], [])).toEqual({ decision: "gate-broke", reason: "no check ran" });
  });

  it("names no test in its reason, and takes the force out of their names in the lines", () => {
    const hostile = "@ada fixes #1 <!-- x";
    const row = rowOf(ran([pass(hostile)]), ran([fail(hostile)]));
    const rows = row === undefined ? [] : [row];

    expect(obstacleOf(rows, [])?.reason).toBe(
      "`npm test`: one test that passed before the change fails or is gone (exit code 1, before: passed)",
    );
    const lines = verdictLines({ rows, findings: [] }).join("\n");
    expect(lines).toContain("- `npm test`: regressed (exit code 1, before the change: passed)\n  - regressed: 1 (");
    expect(lines).not.toMatch(/@ada|#1|(?<!\\)</);
  });

  it("comes out of the run log as it went in", () => {
    const checks = { base: [ran([fail("a")]).check], head: [ran([fail("a")]).check, checkOf("lint", true)] };
    const rows = compare([ran([fail("a")])], [ran([fail("a")]), { check: checkOf("lint", true), tests: undefined }], {
      flaky: [],
      isRemoved: () => false,
    });
    const verdict = verdictOn(checks.base, checks.head, { rows });

    const record = JSON.parse(JSON.stringify(recordOf(verdict))) as ReturnType<typeof recordOf>;

    expect(verdict.rows[0]).toMatchObject({ word: "known-red", excused: true });
    expect(verdictOf(record, checks)).toEqual(verdict);
  });
});
