import type { CheckSummary } from "../src/runlog.ts";
import type { Flaky } from "./baseline.ts";
import type { TestResult } from "./reports/results.ts";
import type { CheckRow, Word } from "./verdict.ts";

/** A check as it ran on one commit, with its whole list of tests where it has one. */
export interface Ran {
  check: CheckSummary;
  tests: readonly TestResult[] | undefined;
}

export interface CompareOptions {
  /** Tests and checks that came out otherwise on the same commit: never charged to the change. */
  flaky: readonly Flaky[];
  /** Whether the change takes a test out for everybody to see; what becomes of that is for the look at its files. */
  isRemoved: (test: TestResult) => boolean;
}

const mostNames = 20;
const longestName = 200;
const blocking: readonly Word[] = ["regressed", "new-fail"];

/** Pure: a row per check of the change, in their order. */
export function compare(base: readonly Ran[], head: readonly Ran[], options: CompareOptions): CheckRow[] {
  return head.map((after) => {
    const before = base.find(({ check }) => check.name === after.check.name);
    if (after.check.notRun === true)
      return { check: after.check, base: before?.check, tests: undefined, word: "not-run", excused: true };
    const words = before && compareTests(before, after, options);
    const tests = words && countsOf(words);
    const found = wordOf(before?.check, after.check, { words: words ?? [], options });
    return { check: after.check, base: before?.check, tests, ...found };
  });
}

interface Judged {
  test: TestResult;
  word: Word;
}

/** Undefined where the base has no results per test: then nothing is known of any single test. */
function compareTests(before: Ran, after: Ran, options: CompareOptions): Judged[] | undefined {
  if (before.tests === undefined) return undefined;
  // Where the report was cut, a test that is absent may have run.
  const mayBeCut = after.check.tests?.cut !== undefined;
  const { pairs, gone, added } = matched(before.tests, after.tests ?? []);
  const judge = (test: TestResult, word: Word | undefined): Judged[] =>
    word === undefined ? [] : [{ test, word: isFlaky(options.flaky, after.check, test) ? "flaky" : word }];
  return [
    ...pairs.flatMap(([was, is]) => judge(is, wordOfPair(was, is))),
    ...added.flatMap((test) => judge(test, wordOfNew(test))),
    ...gone.flatMap((test) => (mayBeCut || options.isRemoved(test) ? [] : judge(test, wordOfGone(test)))),
  ];
}

/** One that passed and is skipped now is as good as gone: on the same machine only the change can bring that about. */
function wordOfPair({ status: was }: TestResult, { status: is }: TestResult): Word | undefined {
  if (is === "skipped") return ({ passed: "regressed", failed: "not-run", skipped: undefined } as const)[was];
  if (is === "passed") return was === "passed" ? "still-pass" : "new-pass";
  return ({ passed: "regressed", failed: "known-red", skipped: "new-fail" } as const)[was];
}

function wordOfNew({ status }: TestResult): Word {
  return ({ passed: "new-pass", failed: "new-fail", skipped: "not-run" } as const)[status];
}

function wordOfGone({ status }: TestResult): Word | undefined {
  return ({ passed: "regressed", failed: "not-run", skipped: undefined } as const)[status];
}

/**
 * Which test of the base is which of the change: by file and name; in a renamed file by the name alone, in a renamed
 * suite by the last part of it, where just one of each is left.
 */
function matched(base: readonly TestResult[], head: readonly TestResult[]) {
  const pairs: [TestResult, TestResult][] = [];
  let [gone, added] = [base, head];
  const keys = [
    ({ file = "", name }: TestResult) => `${file}\0${name}`,
    ({ name }: TestResult) => name,
    ({ file = "", name }: TestResult) => `${file}\0${leafOf(name)}`,
    ({ name }: TestResult) => leafOf(name),
  ];
  for (const key of keys) {
    const [was, is] = [uniqueBy(gone, key), uniqueBy(added, key)];
    for (const [one, test] of was) {
      const other = is.get(one);
      if (other !== undefined) pairs.push([test, other]);
    }
    const taken = new Set(pairs.flat());
    gone = gone.filter((test) => !taken.has(test));
    added = added.filter((test) => !taken.has(test));
  }
  return { pairs, gone, added };
}

function uniqueBy(tests: readonly TestResult[], key: (test: TestResult) => string): Map<string, TestResult> {
  const all = Map.groupBy(tests, key);
  return new Map([...all].flatMap(([one, [test, ...more]]) => (test && more.length === 0 ? [[one, test]] : [])));
}

export function isFlaky(flaky: readonly Flaky[], check: CheckSummary, { name, file }: TestResult): boolean {
  return flaky.some((one) => one.check === check.name && one.test?.name === name && one.test.file === file);
}

/** A test's own name, without its suites. */
export function leafOf(name: string): string {
  return name.split(" > ").at(-1) ?? name;
}

function countsOf(words: readonly Judged[]): CheckRow["tests"] {
  const counts: NonNullable<CheckRow["tests"]> = {};
  for (const { test, word } of words) {
    const entry = (counts[word] ??= { count: 0, names: [] });
    entry.count++;
    if (word === "still-pass" || entry.names.length >= mostNames) continue;
    entry.names.push(test.name.length > longestName ? `${test.name.slice(0, longestName)}…` : test.name);
  }
  return counts;
}

function wordOf(
  before: CheckSummary | undefined,
  after: CheckSummary,
  { words, options }: { words: readonly Judged[]; options: CompareOptions },
): Pick<CheckRow, "word" | "excused"> {
  const worst = blocking.find((word) => words.some((one) => one.word === word));
  if (worst !== undefined) return { word: worst };
  if (after.passed) return { word: before?.passed === false ? "new-pass" : "still-pass" };
  if (isExplained(before, after)) {
    const isKnown = before?.passed === false || words.some(({ word }) => word === "known-red");
    return { word: isKnown ? "known-red" : "flaky", excused: true };
  }
  if (before === undefined) return { word: "new-fail" };
  if (options.flaky.some(({ check, test }) => check === after.name && test === undefined)) return { word: "flaky" };
  // Both reports are whole, so it is no test of the base that it ends so.
  if (before.passed || (isWhole(before) && isWhole(after))) return { word: "regressed" };
  return { word: "known-red" };
}

/**
 * Whether a check fails of nothing but tests that are not the change's fault, where none is. Only whole reports of checks
 * that came to their end can say so, and a failing test has to account for the exit code, unless none did on the base.
 */
function isExplained(before: CheckSummary | undefined, after: CheckSummary): boolean {
  if (before === undefined || !isWhole(before) || !isWhole(after)) return false;
  if (after.tests?.failed !== 0) return true;
  return !before.passed && before.tests?.failed === 0 && before.end === after.end;
}

function isWhole({ tests, end, passed }: CheckSummary): boolean {
  return tests !== undefined && tests.cut === undefined && (passed || /^exit code \d+$/.test(end));
}
