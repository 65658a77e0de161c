import type { CheckSummary } from "../src/runlog.ts";
import type { Change } from "../sandbox/changes.ts";
import type { Engine } from "../sandbox/engine.ts";
import type { Flaky } from "./baseline.ts";
import { isFlaky } from "./compare.ts";
import type { Ran } from "./compare.ts";
import { runLeg } from "./gate.ts";
import type { Leg } from "./gate.ts";
import { orderChecks } from "./order.ts";
import { ChangeRefused, rebuildCommit } from "./rebuild.ts";
import { readTests } from "./reports/kept.ts";
import type { TestResult } from "./reports/results.ts";
import type { Claim } from "./tamper/claim.ts";
import type { Examined } from "./tamper/examine.ts";
import { isTestName, kindOf } from "./tamper/kinds.ts";
import type { Bite } from "./verdict.ts";

export interface BiteTask extends Pick<Examined, "claim" | "testFiles"> {
  /** The head's leg, which passed. */
  leg: Leg;
  /** The run's own repository, and the commit that the change stands on. */
  repository: string;
  base: string;
  changes: readonly Change[];
  ran: { base: readonly Ran[]; head: readonly Ran[] };
  flaky: readonly Flaky[];
  onRan: (results: CheckSummary[]) => Promise<void>;
}

const mostNames = 20;
const nothing: Partial<Record<Claim, string>> = {
  documentation: "the change is to documentation alone, so no test can fail without it",
  dependencies: "the change is to dependencies alone, so no test can fail without it",
  adaptation: "the change brings code in line with other dependencies, and its checks stay the same",
  refactoring: "the change is to keep what the code does, so no test can fail without it",
  steadying: "the change is to tests that failed at times, so one that fails without it would show nothing",
  tests: "the change is to tests alone, so there is nothing without which they could fail",
};

/**
 * Runs the change's own test files on the base, where at least one of their tests has to fail. A test of the base that
 * failed there and passes with the change shows the same.
 */
export async function measureBite(engine: Engine, task: BiteTask): Promise<Bite> {
  const { claim, testFiles } = task;
  const why = nothing[claim];
  if (why !== undefined) return { kind: "nothing", why };
  const measured = claim === "with-tests" ? await runOnBase(engine, task) : undefined;
  if (measured?.kind === "bites") return measured;
  const mended = mendedBy(task);
  if (mended.length > 0) return { kind: "bites", failing: mended.slice(0, mostNames) };
  if (measured !== undefined) return measured;
  return claim === "with-tests-inside" && testFiles.length === 0
    ? {
        kind: "not-measured",
        why: "its tests stand in source files, which can't be put on the base without the source",
      }
    : { kind: "no-test" };
}

async function runOnBase(engine: Engine, task: BiteTask): Promise<Bite> {
  const { leg, repository, base, testFiles, ran, onRan } = task;
  const built = await rebuildCommit(repository, base, testFiles, leg.signal).catch((error: unknown) => {
    if (error instanceof ChangeRefused) return undefined;
    throw error;
  });
  if (built === undefined) return { kind: "not-measured", why: "its tests can't be put on the base alone" };
  const paths = new Set(testFiles.map(({ path }) => path));
  const isOwn = ({ file }: TestResult) => file !== undefined && paths.has(file);
  const required = ran.head.filter(({ check }) => check.required && check.notRun !== true);
  const owning = required.filter(({ tests }) => tests?.some(isOwn) === true);
  const about = orderChecks(leg.checks, [...paths]).own;
  const byPath = required.filter(({ check }) => about.some(({ name }) => name === check.name));
  const asked = [owning, byPath, required].find((some) => some.length > 0) ?? [];
  const checks = leg.checks.filter(({ name }) => asked.some(({ check }) => check.name === name));
  // Each of them is asked, so none may be left out for want of time.
  const results = await runLeg(engine, { ...leg, leg: "bite", commit: built.commit, checks, rest: new Set() });
  await onRan(results);

  const without = new Map(results.map((check) => [check.name, { check, tests: readTests(leg.dir, check) }]));
  const passing = asked.map((head) => ({
    head,
    tests: (head.tests ?? []).filter(
      (test) =>
        test.status === "passed" && (owning.length === 0 || isOwn(test)) && !isFlaky(task.flaky, head.check, test),
    ),
  }));
  const failing = passing.flatMap((one) => failingWithout({ ...one, bite: without.get(one.head.check.name) }));
  const ofOwn = owning.length === 0 ? [] : passing.flatMap(({ tests }) => tests);
  if (failing.length > 0) {
    const of = ofOwn.length === 0 ? {} : { of: ofOwn.length };
    const fails = failing.length > mostNames ? { fails: failing.length } : {};
    return { kind: "bites", failing: failing.slice(0, mostNames), ...of, ...fails };
  }
  return owning.length === 0 && namesFiles(required) && testFiles.some(({ path }) => isTestName(path))
    ? { kind: "not-measured", why: "no check ran its tests" }
    : { kind: "green-on-base", tests: ofOwn.map(({ name }) => name).slice(0, mostNames) };
}

/** Whether every check tells the file of its tests, so that one of the change's would have been seen. */
function namesFiles(checks: readonly Ran[]): boolean {
  return checks.every(({ tests = [] }) => tests.length > 0 && tests.every(({ file }) => file !== undefined));
}

/** The tests that pass with the change and not without it; the command where it has no results per test. */
function failingWithout({ head, tests, bite }: { head: Ran; tests: TestResult[]; bite: Ran | undefined }): string[] {
  if (bite === undefined) return [];
  const isRed = head.check.passed && !bite.check.passed;
  if (bite.tests === undefined || head.tests === undefined || bite.check.tests?.cut !== undefined) {
    if (!isRed) return [];
    return tests.length > 0 ? tests.map(({ name }) => name) : [head.check.run];
  }
  const there = new Map(bite.tests.map((test) => [keyOf(test), test.status]));
  const failedBefore = new Set(head.tests.filter(({ status }) => status === "failed").map(keyOf));
  const isBroken = isRed || bite.tests.some((test) => test.status === "failed" && !failedBefore.has(keyOf(test)));
  // A file that can't be loaded without the change has no tests there.
  const fails = (test: TestResult) => {
    const status = there.get(keyOf(test));
    return status === "failed" || (status === undefined && isBroken && !bite.check.passed);
  };
  return tests.filter(fails).map(({ name }) => name);
}

/** What failed on the base and passes now, though the change left it as it was. */
function mendedBy({ ran, changes, flaky }: BiteTask): string[] {
  const touched = changes
    .map(({ path }) => path)
    .filter((path) => ["test", "snapshot", "test-config"].includes(kindOf(path)));
  return ran.head
    .filter(({ check }) => check.required)
    .flatMap(({ check, tests }) => {
      const before = ran.base.find((one) => one.check.name === check.name);
      if (before?.tests !== undefined && tests !== undefined) {
        const failed = new Set(before.tests.filter(({ status }) => status === "failed").map(keyOf));
        const isLeft = ({ file }: TestResult) =>
          touched.length === 0 || (file !== undefined && !touched.includes(file));
        const mended = tests.filter((test) => test.status === "passed" && failed.has(keyOf(test)) && isLeft(test));
        return mended.filter((test) => !isFlaky(flaky, check, test)).map(({ name }) => name);
      }
      const isLeft = touched.length === 0 && changes.every(({ path }) => !check.run.includes(path));
      const isFlakyCheck = flaky.some((one) => one.check === check.name);
      return before?.check.passed === false && check.passed && isLeft && !isFlakyCheck ? [check.run] : [];
    });
}

function keyOf({ file = "", name }: TestResult): string {
  return `${file}\0${name}`;
}
