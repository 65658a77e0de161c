import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepTests, readTests } from "../../../worker/reports/kept.ts";
import type { TestResult } from "../../../worker/reports/results.ts";
import { checkOf, dataFolder } from "../support.ts";

const tests: TestResult[] = Array.from({ length: 200 }, (_, n) => ({
  name: `t${n}`,
  file: "a.js",
  status: n % 2 === 0 ? "failed" : n % 3 === 0 ? "skipped" : "passed",
}));

describe("the results per test of a check", () => {
  it("stand in the run's folder whole, and in the log as numbers and the names of the first that failed", () => {
    using data = dataFolder();

    const counts = keepTests(data.path, "tests/head-0-abc.json", { tests, cut: "it ends in the middle" });

    expect(counts).toMatchObject({ passed: 67, failed: 100, skipped: 33, cut: "it ends in the middle" });
    expect([counts.failing.length, counts.failing[1]]).toEqual([50, "t2"]);
    expect(readTests(data.path, checkOf("npm test", false, { tests: counts }))).toEqual(tests);
    expect(readdirSync(join(data.path, "tests"))).toEqual(["head-0-abc.json"]);
  });

  it("are those of the last time where a check ran again after a crash", () => {
    using data = dataFolder();

    keepTests(data.path, "tests/base-0-abc.json", { tests });
    const again = keepTests(data.path, "tests/base-0-abc.json", { tests: tests.slice(0, 1) });

    expect(readTests(data.path, checkOf("npm test", false, { tests: again }))).toEqual(tests.slice(0, 1));
  });

  it("are none where the check was judged by its exit code", () => {
    expect(
      readTests("/nowhere", checkOf("make", true, { byExitCode: "make is no runner whose report is known" })),
    ).toBeUndefined();
  });
});
