import { createHash } from "node:crypto";
import { hiddenAt, hide } from "../hidden.ts";
import type { ModelState } from "../model-state.ts";
import { boundedBody, cut, inlineCode, inlineText } from "../text.ts";
import { dashboardMark } from "../triggers.ts";
import type { CheckCounts } from "./checks.ts";
import type { Standing, Task, TaskDecision, Wait } from "./decide.ts";
import { countsOf, lineOf, timesOf, utc } from "./lines.ts";
import type { ShownRun } from "./lines.ts";
import { memorySchema } from "./memory.ts";
import type { LastOutcome, Memory } from "./memory.ts";

export const dashboardTitle = "agent-fix dashboard";
/** What a person writes below it is kept. */
const endMark = "<!-- agent-fix:end -->";

/** What a box asks for: each starts the task now, whatever its schedule and the limits say. */
export const verbs = ["run", "retry", "unlimit", "recreate", "reopen"] as const;
export type Verb = (typeof verbs)[number];
export interface Tick {
  verb: Verb;
  key: string;
}

/** A task as the dashboard shows it. */
export interface Row {
  key: string;
  task: Task;
  decision: TaskDecision;
  standing: Standing;
  last: LastOutcome | undefined;
  /** For people. */
  next: string;
  /** What others' checks say of its open pull request. */
  checks?: CheckCounts | undefined;
}
export interface Board {
  rows: readonly Row[];
  /** All that wait or work here; tasks have rows of their own. */
  runs: readonly ShownRun[];
  /** Issues whose last run waits for an answer. */
  questions: readonly number[];
  memory: Memory;
  model: ModelState | undefined;
  isDryRun: boolean;
  limits: { open: number; hourly: number };
}

const mostShown = 15;
/** In characters, so that what is shown of all fits. */
const mostDetail = 1500;
const introduction =
  "Ticking a box starts that task now, and the box empties itself when that is seen to. Close this issue, and it is left alone; the tasks themselves are in `.github/agent-fix.yml`.";

/** The dashboard's own part: the same board gives the same text, so that it is edited only where something changed. */
export function renderDashboard(board: Board): string {
  const hidden = hide(dashboardMark, shortened(board.memory));
  const sections = [
    section("Needs you", [
      ...board.questions.map((number) => `- #${number} waits for an answer`),
      ...rowsIn(board, "needs-you"),
    ]),
    section("Working now", [...runsIn(board, true), ...rowsIn(board, "working")]),
    section("Waiting for their turn", [...runsIn(board, false), ...rowsIn(board, "waiting")]),
    section("Awaiting schedule", rowsIn(board, "scheduled")),
    section("Held back", rowsIn(board, "limited")),
    section("Errored", rowsIn(board, "errored")),
    section("Edited: left to you", rowsIn(board, "edited")),
    section("Open", rowsIn(board, "open")),
    section("Closed: ignored", rowsIn(board, "closed")),
    section("Dry run: nothing is pushed", rowsIn(board, "dry-run")),
    section("Model", modelLines(board)),
  ];
  return boundedBody([hidden, introduction, ...sections.filter((text) => text !== ""), endMark].join("\n\n"));
}

type Section =
  | "needs-you"
  | "working"
  | "waiting"
  | "scheduled"
  | "limited"
  | "errored"
  | "edited"
  | "open"
  | "closed"
  | "dry-run";

/** Where a task stands that waits for more than its time. */
const sections: Partial<Record<Wait, Section>> = {
  edited: "edited",
  ignored: "closed",
  closed: "closed",
  "too-many-open": "limited",
  "too-many-in-an-hour": "limited",
  "quiet-hours": "limited",
};
const sectionsOfEndings: Partial<Record<LastOutcome["outcome"], Section>> = {
  "needs-input": "needs-you",
  "gave-up": "errored",
};

function sectionOf({ key, decision, standing, last }: Row, { runs, isDryRun }: Board): Section {
  if (decision.do !== "wait" || decision.why === "works")
    return runOf(key, runs)?.isWorking === true ? "working" : "waiting";
  const kept = sections[decision.why] ?? (last && sectionsOfEndings[last.outcome]);
  if (kept !== undefined) return kept;
  if (standing.open !== undefined) return "open";
  return isDryRun ? "dry-run" : "scheduled";
}

function runOf(key: string, runs: readonly ShownRun[]): ShownRun | undefined {
  return runs.find(({ run: { subject } }) => subject.kind === "task" && subject.key === key);
}

const boxes: Record<Exclude<Section, "working" | "waiting">, Verb> = {
  "needs-you": "run",
  scheduled: "run",
  limited: "unlimit",
  errored: "retry",
  edited: "recreate",
  open: "run",
  closed: "reopen",
  "dry-run": "run",
};

function rowsIn(board: Board, wanted: Section): string[] {
  return board.rows
    .filter((row) => sectionOf(row, board) === wanted)
    .map((row) => {
      const text = `**${inlineText(row.key)}**: ${nameOf(row.task)}${texts[wanted](row, board)}`;
      return wanted === "working" || wanted === "waiting"
        ? `- ${text}`
        : `- [ ] <!-- ${boxes[wanted]}-task=${row.key} --> ${text}`;
    });
}

const texts: Record<Section, (row: Row, board: Board) => string> = {
  working: ({ key }, { runs }) => timesOf(runOf(key, runs)),
  waiting: ({ key }, { runs }) => timesOf(runOf(key, runs)),
  "needs-you": ({ last, next }) => `. ${endOf(last)} ${reasonOf(last)} Next: ${next}.`,
  errored: ({ last, next }) => `. ${endOf(last)} ${reasonOf(last)} Next: ${next}.`,
  limited: ({ decision }, { limits }) => ` (${heldBy(decision, limits)})`,
  edited: ({ standing }) =>
    `. #${standing.open?.number} has commits of somebody else, so I leave it alone. The box closes it and starts over: those commits stay on its branch, and nothing else.`,
  open: ({ standing, checks, last, next }) =>
    `. Open as #${standing.open?.number}${countsOf(checks)}. ${last === undefined ? "" : `${endOf(last)} `}Next: ${next}.`,
  closed: ({ standing: { closed } }) =>
    closed === undefined
      ? ". Told to ignore it: `/agent-fix unignore` takes that back, as the box does."
      : `. #${closed.number} was closed unmerged.`,
  scheduled: ({ standing, last, next }) =>
    ` (${next})${lessOf(standing)}${last === undefined ? "" : `. ${endOf(last)}${nothingOf(last)}`}`,
  "dry-run": ({ last, next }) => ` (${next})${last === undefined ? "" : `. ${endOf(last)}${shownOf(last)}`}`,
};

/** What of a task that goes on is left out. */
function lessOf({ closed }: Standing): string {
  return closed?.content === undefined
    ? ""
    : `, without ${inlineCode(closed.content)}: #${closed.number} was closed unmerged`;
}

/** In one line, in which nothing acts. */
function reasonOf(last: LastOutcome | undefined): string {
  return inlineText(cut(last?.detail ?? "", 400));
}

function heldBy(decision: TaskDecision, { open, hourly }: Board["limits"]): string {
  if (decision.do !== "wait") return "";
  if (decision.why === "too-many-open") return `at most ${open} maintenance pull requests are open at once`;
  if (decision.why === "too-many-in-an-hour")
    return `at most ${hourly} maintenance pull requests are opened in an hour`;
  return "these are quiet hours";
}

function endOf(last: LastOutcome | undefined): string {
  if (last === undefined) return "";
  const word = {
    published: "opened",
    "no-change": "nothing to do",
    "needs-input": "needs you",
    "gave-up": "gave up",
    cancelled: "stopped",
  };
  const cause = last.cause === undefined ? "" : `, ${inlineText(last.cause)}`;
  return `Last run at ${utc(last.at)}: ${word[last.outcome]}${cause} (${inlineCode(last.run)}).`;
}

/** Why a run found nothing to do. */
function nothingOf(last: LastOutcome): string {
  return last.outcome === "no-change" ? ` ${reasonOf(last)}`.trimEnd() : "";
}

function shownOf(last: LastOutcome): string {
  const { detail = "", cause } = last;
  return cause === "dry run" ? `\n\n  ${indented(detail)}\n` : ` ${reasonOf(last)}`.trimEnd();
}

/** What a dry run would have published, below its task: nothing in it is a box of ours, or the end of our part. */
function indented(detail: string): string {
  return cut(detail, mostDetail).replaceAll("<!--", "&lt;!--").replaceAll("\n", "\n  ");
}

function modelLines({ model }: Board): string[] {
  if (model === undefined) return [];
  const { name, waitsFor, since, asked } = model;
  const says = waitsFor === undefined ? "answers" : `is waited for (${inlineText(waitsFor)})`;
  const last = asked === undefined || utc(asked) === utc(since) ? "" : `; last seen at ${utc(asked)}`;
  return [`- ${inlineCode(name)} ${says}, since ${utc(since)}${last}`];
}

/** What a task is, in a few words of Markdown. */
function nameOf({ use, task, update }: Task): string {
  if (use === "dependencies") return "dependencies";
  if (use === "flaky-tests") return "flaky tests";
  return inlineText(cut((task ?? update[0] ?? "").split("\n")[0] ?? "", 100));
}

function runsIn({ runs }: Board, isWorking: boolean): string[] {
  return runs.filter((one) => one.isWorking === isWorking).flatMap((one) => lineOf(one) ?? []);
}

function section(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return "";
  const more = lines.length > mostShown ? [`- and ${lines.length - mostShown} more`] : [];
  return [`## ${title}`, "", ...lines.slice(0, mostShown), ...more].join("\n");
}

/** What can be gone without. */
function shortened(memory: Memory): Memory {
  const short = Object.entries(memory).map(([key, { last, ...task }]) => {
    if (last === undefined) return [key, task];
    const { detail: _, failed: __, ...end } = last;
    return [key, { ...task, last: end }];
  });
  return Object.fromEntries(short) as Memory;
}

/** The memory that the hidden part holds. */
export function memoryIn(body: string): Memory {
  return hiddenAt(body, body.startsWith(dashboardMark) ? 0 : -1, { start: dashboardMark, schema: memorySchema }) ?? {};
}

const box = /^(- \[)([ xX])(\] <!-- ([a-z]+)-task=([a-z0-9-]+) -->)/gm;

/** The boxes that are ticked in our own part. */
export function readTicks(body: string): Tick[] {
  return [...ownPart(body).matchAll(box)].flatMap(([, , mark, , word, key]) => {
    const verb = verbs.find((one) => one === word);
    return mark === " " || verb === undefined || key === undefined ? [] : [{ verb, key }];
  });
}

/** Names our own part as we wrote it, whatever was ticked in it since. */
export function fingerprint(body: string): string {
  // The code host gives a text back with the line ends of whoever edited it last.
  const text = ownPart(body.replaceAll("\r\n", "\n")).replaceAll(box, "$1 $3").trim();
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function ownPart(body: string): string {
  const end = body.indexOf(endMark);
  return end === -1 ? body : body.slice(0, end);
}

/** What people read of it, with nothing to tick. */
export function withoutBoxes(body: string): string {
  return ownPart(body)
    .replaceAll(box, "-")
    .replaceAll(/<!--.*?-->\s*/g, "")
    .replace(introduction, "")
    .trim();
}

/** A new text in the place of our own part. */
export function withOwnPart(body: string, rendered: string): string {
  const end = body.indexOf(endMark);
  return end === -1 ? rendered : `${rendered}${body.slice(end + endMark.length)}`;
}
