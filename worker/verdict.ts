import type { CheckSummary, GateRecord } from "../src/runlog.ts";
import { inlineText } from "../src/text.ts";
import type { Claim } from "./tamper/claim.ts";
import type { Finding } from "./tamper/findings.ts";
import type { Size } from "./tamper/size.ts";

/** What became of a test, or of a check without results per test, from the base to the change. */
export type Word = "regressed" | "new-pass" | "still-pass" | "known-red" | "new-fail" | "flaky" | "not-run";

/** One check on the base and on the change. */
export interface CheckRow {
  check: CheckSummary;
  base: CheckSummary | undefined;
  word: Word;
  /** How many tests each word holds for, and the names of those that a person wants to see; none without results per test. */
  tests: Partial<Record<Word, { count: number; names: string[] }>> | undefined;
  /** It fails, and its results per test show that it does so of tests that the change did not break. */
  excused?: true;
}

/** Whether the change's own tests fail without it. */
export type Bite =
  /** `of`: how many of the change's tests ran, where that is known; `fails`: how many of them fail without it, where not all are named. */
  | { kind: "bites"; failing: string[]; of?: number; fails?: number }
  | { kind: "green-on-base"; tests: string[] }
  /** There is nothing that could fail: `why` is half a sentence. */
  | { kind: "nothing"; why: string }
  /** The change should have a test and has none. */
  | { kind: "no-test" }
  | { kind: "not-measured"; why: string };

/**
 * `ready` and `draft` open a pull request. `rejected` is the change's fault, `already-red` the base's, and
 * `gate-broke` nobody's: it never counts against the issue, and never passes.
 */
export type Decision = "ready" | "draft" | "rejected" | "already-red" | "gate-broke";

export interface Verdict {
  decision: Decision;
  /** One sentence for the log, the agent and the status comment. */
  reason: string;
  rows: CheckRow[];
  bite: Bite;
  findings: Finding[];
  size: Size;
  claim: Claim;
}

/** What keeps a change from passing, before anybody asks whether its tests bite. */
export type Obstacle = Pick<Verdict, "decision" | "reason"> & { decision: "rejected" | "already-red" | "gate-broke" };

/**
 * Pure. The change answers for all that it can bring about: a check of it that is killed, or that can't start, is no
 * broken gate, or a change could choose its judge. A leg that lost its container comes to no verdict: it is thrown, and the
 * run begins again.
 */
export function obstacleOf(rows: readonly CheckRow[], findings: readonly Finding[]): Obstacle | undefined {
  const required = rows.filter(({ check }) => check.required);
  const faults = [...required.filter(isFault).map(faultOf), ...blockingReason(findings)];
  if (faults.length > 0) return { decision: "rejected", reason: faults.join("; ") };
  if (rows.length === 0) return { decision: "gate-broke", reason: "no check ran" };
  const red = required.filter(({ check, excused }) => !check.passed && excused !== true);
  if (red.length > 0) return { decision: "already-red", reason: red.map(redOf).join("; ") };
  return undefined;
}

/** Pure: the verdict on a change that nothing keeps from passing. */
export function decide(bite: Bite): Pick<Verdict, "decision" | "reason"> {
  const passes = "every required check passes";
  switch (bite.kind) {
    case "bites":
      return { decision: "ready", reason: `${passes}, and without the change a test fails` };
    case "nothing":
      return { decision: "ready", reason: `${passes}; ${bite.why}` };
    case "green-on-base":
      return { decision: "draft", reason: `${passes}, but the change's tests pass without the change as well` };
    case "no-test":
      return { decision: "draft", reason: `${passes}, but the change has no test` };
    case "not-measured":
      return {
        decision: "draft",
        reason: `${passes}, but whether a test fails without the change is not known: ${bite.why}`,
      };
  }
}

/** The rows and findings as Markdown, in which foreign names do nothing. */
export function verdictLines({ rows, findings }: Pick<Verdict, "rows" | "findings">): string[] {
  const ofRows = rows.map(({ check, base, word, tests }) => {
    const before = base === undefined ? "" : `, before the change: ${base.end}`;
    const told = Object.entries(tests ?? {}).map(([one, { count, names }]) => {
      const shown = names.slice(0, 5).map(inlineText).join(", ");
      return `  - ${one}: ${count}${shown === "" ? "" : ` (${shown}${count > 5 ? ", …" : ""})`}`;
    });
    return [`- ${codeOf(check)}: ${word} (${check.end}${before})`, ...told].join("\n");
  });
  const ofFindings = findings.map(
    ({ kind, path, detail, weight }) =>
      `- ${weight === "block" ? "not allowed" : "to look at"}: ${kind}, ${inlineText(`${path} ${detail}`)}`,
  );
  return [...ofRows, ...ofFindings.slice(0, 20)];
}

/** What the run log keeps of a verdict; the checks stand beside it. */
export function recordOf({ rows, ...verdict }: Verdict): GateRecord {
  return {
    ...verdict,
    rows: rows.map(({ word, tests, excused }) => ({ word, ...(tests && { tests }), ...(excused && { excused }) })),
  };
}

/** The verdict that a record was made of. */
export function verdictOf(record: GateRecord, checks: { base: CheckSummary[]; head: CheckSummary[] }): Verdict {
  const rows = checks.head.flatMap((check, index) => {
    const row = record.rows[index];
    const base = checks.base.find(({ name }) => name === check.name);
    return row === undefined ? [] : [{ tests: undefined, ...row, check, base }];
  });
  return { ...record, rows } as Verdict;
}

function isFault({ word }: CheckRow): boolean {
  return word === "regressed" || word === "new-fail";
}

function faultOf({ check, base, word, tests }: CheckRow): string {
  const broken = tests?.[word]?.count ?? 0;
  if (broken === 0) return `${codeOf(check)} fails with the change (${check.end})`;
  const what = broken === 1 ? "one test" : `${broken} tests`;
  return word === "new-fail"
    ? `${codeOf(check)}: ${what} of the change ${broken === 1 ? "fails" : "fail"} (${check.end})`
    : `${codeOf(check)}: ${what} that passed before the change ${broken === 1 ? "fails or is" : "fail or are"} gone (${check.end}${base === undefined ? "" : `, before: ${base.end}`})`;
}

function redOf({ check }: CheckRow): string {
  return `${codeOf(check)} fails, as it did before the change (${check.end})`;
}

function blockingReason(findings: readonly Finding[]): string[] {
  const kinds = new Set(findings.filter(({ weight }) => weight === "block").map(({ kind }) => kind));
  return kinds.size === 0 ? [] : [`the change has what no change may have: ${[...kinds].join(", ")}`];
}

/** Commands come from the default branch, and stand in one line. */
function codeOf({ run }: CheckSummary): string {
  return `\`${run.replaceAll(/[`\n]/g, " ")}\``;
}
