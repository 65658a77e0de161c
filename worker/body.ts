import type { CheckSummary, Stamped } from "../src/runlog.ts";
import { boundedBody, closingNothing, cut, fencedText, inlineCode, inlineText, tailOf } from "../src/text.ts";
import type { Passed } from "./attempt.ts";
import { dependencyFacts, flakyFacts, refusedFacts, runFacts } from "./facts.ts";
import { updateFacts } from "./maintenance/facts.ts";
import { measureFacts } from "./maintenance/measure.ts";
import type { Bite, CheckRow, Verdict, Word } from "./verdict.ts";

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
const mostLines = 4;
const mostRows = 20;
const mostLogs = 40;
/** In characters. What stands unfolded is well below it, and the folded parts take what is left. */
const mostText = 58_000;

/**
 * The pull request's body: about 25 lines to decide by, what was measured before what the model says, everything else
 * folded. Nothing in it that the model, the tests or the repository wrote acts on the code host. Where it would get too
 * long, the folded parts get shorter.
 */
export function renderPullBody({ closes, passed, events, base, held, footer, took }: PullFacts): string {
  const { submission, checks, verdict } = passed;
  const shown = [
    ...(closes === undefined ? [] : [`Fixes #${closes}`]),
    ...(verdict.decision === "draft" ? [`**Draft**: ${draftReason(verdict.bite)}`] : []),
    "**How it was checked** (run by the harness outside the model's reach, each in a new container without network)",
    renderEvidence(verdict, base),
    ...measured(verdict),
    ...measureFacts(events),
    ...flakyFacts(events),
    ...updateFacts(events),
    ...dependencyFacts(events),
    ...refusedFacts(events),
    ...(held ? ["The head commit says `[skip ci]`: this repository's own workflows have not run on it."] : []),
    `**What was wrong**: ${inlineText(cut(submission.cause, 1000))}`,
    `**What changed**:\n\n${bullets(submission.change)}`,
  ].join("\n\n");
  const room = mostText - shown.length;
  const run = fittingLines(runFacts(events, took), room / 2);
  const logs = fencedText(logsOf(checks.head, room - run.length));
  return boundedBody([shown, folded("Commands and log tails", logs), folded("Run", run), footer].join("\n\n"));
}

/** The model's own words on what it did, at most four lines. */
export function bullets(change: string): string {
  const lines = change
    .split("\n")
    .map((line) => short(line.replace(/^\s*[-*]\s*/, "")))
    .filter(Boolean);
  return lines
    .slice(0, 4)
    .map((line) => `- ${line}`)
    .join("\n");
}

/** A table with a row per check, and one for the change's own tests. */
export function renderEvidence(verdict: Pick<Verdict, "rows" | "bite">, base: string): string {
  const rows = verdict.rows.slice(0, mostRows).map(({ check, base: before, word }) => {
    const name = `${inlineCode(check.run)}${check.required ? "" : " (optional)"}`;
    return `| ${name} | ${before === undefined ? "not run" : resultOf(before)} | ${resultOf(check)}${remarks[word] ?? ""} |`;
  });
  const more = verdict.rows.length - rows.length;
  return [
    `| | base \`${base.slice(0, 7)}\` | this change |`,
    "|---|---|---|",
    ...ownTests(verdict.bite),
    ...rows,
    ...(more === 0 ? [] : [`| ${more} more checks | | |`]),
  ].join("\n");
}

const remarks: Partial<Record<Word, string>> = {
  "known-red": " (red before this change)",
  flaky: " (ends otherwise at times)",
};

function ownTests(bite: Bite): string[] {
  switch (bite.kind) {
    case "bites":
      return bite.of === undefined
        ? ["| tests of this change | fail | pass |"]
        : [`| tests of this change (${bite.of}) | ${bite.fails ?? bite.failing.length} fail | ${bite.of} pass |`];
    case "green-on-base":
      return ["| tests of this change | pass | pass |"];
    case "nothing":
    case "no-test":
    case "not-measured":
      return [];
  }
}

/** How a check ended, in a few words. */
export function resultOf({ end, tests }: CheckSummary): string {
  if (tests === undefined) return end;
  const { passed, failed, skipped } = tests;
  return [`${passed} pass`, `${failed} fail`, ...(skipped > 0 ? [`${skipped} skipped`] : [])].join(", ");
}

function draftReason(bite: Bite): string {
  switch (bite.kind) {
    case "green-on-base":
      return "the new tests pass with and without this change.";
    case "not-measured":
      return `whether a test fails without this change is not known: ${short(bite.why)}.`;
    case "bites":
    case "nothing":
    case "no-test":
      return "this change has no test that fails without it.";
  }
}

/** What the table does not say of the measurements, one line each. */
function measured({ decision, rows, bite, findings, size }: Verdict): string[] {
  const byExitCode = rows.flatMap(({ check }) =>
    check.byExitCode === undefined
      ? []
      : [`${inlineCode(check.run)} was judged by its exit code: ${short(check.byExitCode)}`],
  );
  const unmeasured = findings.filter(({ kind }) => kind === "unmeasured").map(said);
  const isUnknown = bite.kind === "not-measured" && decision !== "draft";
  const gaps = [
    ...(isUnknown ? [`whether a test fails without the change: ${short(bite.why)}`] : []),
    ...byExitCode,
    ...unmeasured,
  ];
  const notes = findings.filter(({ weight, kind }) => weight === "advise" && kind !== "unmeasured").map(said);
  const lines = [
    ...(bite.kind === "nothing" ? [`No test shows the change: ${short(bite.why)}.`] : []),
    ...named("Already failing before this change", "known-red", rows),
    ...named("Flaky, also without this change", "flaky", rows),
    ...named("Not run any more", "not-run", rows),
    ...leftOut(rows),
    ...(gaps.length === 0 ? [] : [`Not covered: ${atMost(gaps).join("; ")}.`]),
    ...atMost(notes.map((note) => `To look at: ${note}`)),
    ...(size.question === undefined ? [] : [size.question]),
  ];
  return lines.length === 0 ? [] : [lines.map((line) => `- ${line}`).join("\n")];
}

function said({ path, detail }: Verdict["findings"][number]): string {
  return `${path === "" ? "" : `${inlineCode(path)}: `}${short(detail)}`;
}

function leftOut(rows: readonly CheckRow[]): string[] {
  const names = rows.filter(({ check }) => check.notRun === true).map(({ check }) => inlineCode(check.run));
  if (names.length === 0) return [];
  return [`Not run, since they are about other paths and the time for those was over: ${atMost(names).join(", ")}`];
}

function named(what: string, word: Word, rows: readonly CheckRow[]): string[] {
  const tests = rows.flatMap((row) => row.tests?.[word] ?? []);
  const count = tests.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return [];
  const names = tests.flatMap((one) => one.names).slice(0, mostNames);
  const more = count > names.length ? ` (+${count - names.length})` : "";
  return [`${what}: ${names.map(short).join(", ")}${more}`];
}

function atMost(texts: readonly string[]): string[] {
  return texts.length <= mostLines
    ? [...texts]
    : [...texts.slice(0, mostLines), `and ${texts.length - mostLines} more`];
}

/** Each check gets the same room for the end of its output; where that is too little to be of use, its command alone. */
function logsOf(checks: readonly CheckSummary[], most: number): string {
  const some = checks.slice(0, mostLogs);
  // What keeps issues from being closed makes a text longer, by half at most.
  const room = Math.floor((most * 0.65) / Math.max(1, some.length)) - 200;
  const logs = some.map(({ run, tail }) => `$ ${cut(run, 150)}\n${room < 200 ? "" : tailOf(tail, room)}`);
  const more = checks.length > some.length ? [`and ${checks.length - some.length} more`] : [];
  return closingNothing([...logs, ...more].join("\n\n"));
}

function fittingLines(text: string, most: number): string {
  let length = 0;
  return text
    .split("\n")
    .filter((line) => (length += line.length + 1) <= most)
    .join("\n");
}

function short(text: string): string {
  return inlineText(cut(text, 400));
}

function folded(summary: string, text: string): string {
  return `<details><summary>${summary}</summary>\n\n${text}\n\n</details>`;
}
