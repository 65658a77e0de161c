import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CheckSummary, TestCounts } from "../../src/runlog.ts";
import type { Report, TestResult } from "./results.ts";

const mostFailing = 50;

/** Puts the whole list into a file of the run's folder, on disk before it returns; what stands in the log is small. */
export function keepTests(dir: string, file: string, { tests, cut }: Report): TestCounts {
  const path = join(dir, file);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, JSON.stringify(tests), { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  const failing = tests.filter(({ status }) => status === "failed").map(({ name }) => name);
  return {
    passed: tests.filter(({ status }) => status === "passed").length,
    failed: failing.length,
    skipped: tests.filter(({ status }) => status === "skipped").length,
    failing: failing.slice(0, mostFailing),
    file,
    ...(cut === undefined ? {} : { cut }),
  };
}

/** The whole list of a check, also in a later process; undefined where it was judged by its exit code alone. */
export function readTests(dir: string, { tests }: CheckSummary): TestResult[] | undefined {
  return tests === undefined ? undefined : (JSON.parse(readFileSync(join(dir, tests.file), "utf8")) as TestResult[]);
}
