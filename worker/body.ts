import type { CheckSummary, Stamped } from "../src/runlog.ts";
import { boundedBody, fencedText, inlineText } from "../src/text.ts";
import type { Passed } from "./attempt.ts";
import { dependencyFacts, refusedFacts, runFacts } from "./facts.ts";
import type { CheckRow, Verdict, Word } from "./verdict.ts";

export interface PullFacts {
  closes: number | undefined;
  passed: Passed;
  events: readonly Stamped[];
  base: string;
  held: boolean;
  footer: string;
  /** For people, such as "4 min". */
  took: string;
}

const mostNames = 3;
const mostLines = 5;

/**
 * The pull request's body: about 25 lines to decide by, what was measured before what the model says, everything else
 * folded.
 */
export function renderPullBody({ closes, passed, events, base, held, footer, took }: PullFacts): string {
  const { submission, checks, verdict } = passed;
  const logs = checks.head.map((check) => `$ ${check.run}\n${check.tail}`).join("\n\n");
  return boundedBody(
    [
      ...(closes === undefined ? [] : [`Fixes #${closes}`]),
      ...(verdict.decision === "draft" ? [`**Draft**: ${verdict.reason}.`] : []),
      "**How it was checked** (run by the harness outside the model's reach, each in a new container without network)",
      evidence(verdict, base),
      ...measured(verdict),
      ...dependencyFacts(events),
      ...refusedFacts(events),
      ...(held ? ["The head commit says `[skip ci]`: this repository's own workflows have not run on it."] : []),
      `**What was wrong**: ${inlineText(submission.cause)}`,
      `**What changed**:\n\n${bullets(submission.change)}`,
      `<details><summary>Commands and log tails</summary>\n\n${fencedText(logs)}\n\n</details>`,
      `<details><summary>Run</summary>\n\n${runFacts(events, took)}\n\n</details>`,
      footer,
    ].join("\n\n"),
  );
}

/** The model's own words on what it did, at most four lines. */
export function bullets(change: string): string {
  const lines = change
    .split("\n")
    .map((line) => line.replace(/^\s*[-*]\s*/, "").trim())
    .filter(Boolean);
  return lines
    .slice(0, 4)
    .map((line) => `- ${inlineText(line)}`)
    .join("\n");
}

function evidence(verdict: Verdict, base: string): string {
  const rows = verdict.rows.map(({ check, base: before, word }) => {
    const name = `${codeOf(check)}${check.required ? "" : " (optional)"}`;
    const red = word === "known-red" ? " (red before this change)" : "";
    return `| ${name} | ${before === undefined ? "not run" : resultOf(before)} | ${resultOf(check)}${red} |`;
  });
  return [`| | base \`${base.slice(0, 7)}\` | this change |`, "|---|---|---|", ...ownTests(verdict), ...rows].join(
    "\n",
  );
}

function ownTests({ bite }: Verdict): string[] {
  switch (bite.kind) {
    case "bites":
      return bite.of === undefined
        ? ["| tests of this change | fail | pass |"]
        : [`| tests of this change (${bite.of}) | ${bite.failing.length} fail | ${bite.of} pass |`];
    case "green-on-base":
      return ["| tests of this change | pass | pass |"];
    case "nothing":
    case "no-test":
    case "not-measured":
      return [];
  }
}

function resultOf({ end, tests }: CheckSummary): string {
  if (tests === undefined) return end;
  const { passed, failed, skipped } = tests;
  return [`${passed} pass`, `${failed} fail`, ...(skipped > 0 ? [`${skipped} skipped`] : [])].join(", ");
}

/** What the table does not say of the measurements, one line each. */
function measured(verdict: Verdict): string[] {
  const { rows, bite, findings, size } = verdict;
  const covered = rows.flatMap(({ check }) =>
    check.byExitCode === undefined
      ? []
      : [`${codeOf(check)} was judged by its exit code: ${inlineText(check.byExitCode)}`],
  );
  const unmeasured = findings
    .filter(({ kind }) => kind === "unmeasured")
    .map(({ path, detail }) => `${path} ${detail}`);
  const gaps = [
    ...(bite.kind === "not-measured" ? [`whether a test fails without the change: ${inlineText(bite.why)}`] : []),
    ...covered,
    ...unmeasured.map(inlineText),
  ];
  const notes = findings.filter(({ weight, kind }) => weight === "advise" && kind !== "unmeasured");
  const lines = [
    ...(bite.kind === "nothing" ? [`No test shows the change: ${bite.why}.`] : []),
    ...named("Already failing before this change", "known-red", rows),
    ...named("Fails at times, also without this change", "flaky", rows),
    ...named("Not run any more", "not-run", rows),
    ...(gaps.length === 0 ? [] : [`Not covered: ${some(gaps, mostLines, "; ")}.`]),
    ...(notes.length === 0
      ? []
      : [
          `To look at: ${some(
            notes.map(({ path, detail }) => inlineText(`${path}: ${detail}`)),
            mostLines,
            "; ",
          )}.`,
        ]),
    ...(size.question === undefined ? [] : [size.question]),
  ];
  return lines.length === 0 ? [] : [lines.map((line) => `- ${line}`).join("\n")];
}

function named(what: string, word: Word, rows: readonly CheckRow[]): string[] {
  const tests = rows.flatMap((row) => row.tests?.[word] ?? []);
  const count = tests.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return [];
  const names = tests.flatMap((one) => one.names).slice(0, mostNames);
  const more = count > names.length ? ` (+${count - names.length})` : "";
  return [`${what}: ${names.map(inlineText).join(", ")}${more}`];
}

function some(texts: readonly string[], most: number, between: string): string {
  const more = texts.length > most ? `${between}and ${texts.length - most} more` : "";
  return texts.slice(0, most).join(between) + more;
}

/** Commands come from the default branch, and stand in one line. */
function codeOf({ run }: CheckSummary): string {
  return `\`${run.replaceAll(/[`|\n]/g, " ")}\``;
}
