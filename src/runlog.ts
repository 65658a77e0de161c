import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { FeedbackEvent, Reply } from "./feedback.ts";
import type { Watch } from "./status.ts";
import type { Follows, RunJob, TaskText } from "./job.ts";
import type { DependencyChanges, UpdateFacts } from "./package-facts.ts";

/** What a run tells about itself, in order; intent before an effect, result after it. */
export type RunEvent =
  | { type: "claimed"; epoch: number; job: RunJob }
  | { type: "released" }
  /** What the run goes on from: what the one before told people, and what one of them said to that. */
  | { type: "earlier"; how: Follows["how"]; said: string; by: string; answer: string }
  /** `removed`: what of the body no person sees, and the model therefore neither. */
  | ({ type: "snapshot"; hash: string; removed?: string[] } & TaskText)
  /** What people with write access said before the run was asked for, oldest first; `left`: how many comments do not count. */
  | { type: "remarks"; said: { by: string; body: string }[]; left: number }
  | { type: "base"; branch: string; commit: string }
  | {
      type: "environment";
      image: string;
      digest: string;
      seccomp?: string;
      setup: string[];
      checks: string[];
      from: string;
    }
  /** `ms` is 0 where an earlier run's set-up was used. */
  | { type: "setup"; ok: boolean; ms: number; output: string }
  | { type: "network"; command: string; hosts: string[]; refused: string[] }
  /** `comment`: the id of one that reached the run, and that its model reads next. */
  | { type: "note"; text: string; comment?: number }
  | ({ type: "dependencies" } & DependencyChanges)
  /** What a task has updated by itself, before any model was asked. */
  | ({ type: "updates" } & UpdateFacts)
  /** The number that a task's measure printed on the base, or on the commit that passed. */
  | { type: "measured"; leg: "base" | "head"; run: string; value: number }
  /**
   * The tests, or whole checks, that a task is to make steady; of `head`, those that ran so many times with one result.
   * `asked`: those of `base` that are named again only when they are seen again.
   */
  | { type: "flaky"; leg: "base" | "head"; names: string[]; times: number; asked?: AskedTest[] }
  | { type: "token.minted"; purpose: string; expires: string }
  | { type: "token.revoked"; purpose: string }
  /** One check of a leg that is not over; `end` is for people. */
  | { type: "check"; leg: "base" | "head"; run: string; end: string }
  | { type: "checks"; leg: "base" | "head" | "bite"; results: CheckSummary[] }
  /** `mostSteps`: how many the run has in all. */
  | { type: "attempt"; round: number; model: string; mostSteps?: number }
  | { type: "model.intent"; step: number }
  /** Without a reason it goes on. */
  | { type: "model.waiting"; reason?: string }
  /** What had come of an answer when the run was stopped. */
  | { type: "model.cut"; step: number; text: string }
  /** `recovered`: how many of the calls the server had left in the text; `after`: what it said behind them. */
  | {
      type: "model.result";
      step: number;
      calls: number;
      recovered?: number;
      text: string;
      after?: string;
      usage: Usage;
      ms: number;
      /** The server's own word for why the answer ended. */
      finish?: string;
      turn?: TurnFacts;
    }
  | { type: "tool.intent"; step: number; name: string; summary: string }
  /** `repaired`: what was put right in the call, such as `aliased cmd`; `refused`: why no tool ran. */
  | {
      type: "tool.result";
      step: number;
      name: string;
      ok: boolean;
      ms: number;
      bytes: number;
      repaired?: string[];
      refused?: string;
    }
  /** So many messages gave way to a summary, which the model wrote or a rule made. */
  | { type: "compacted"; step: number; messages: number; by: "model" | "rule" }
  | { type: "plan"; items: string[] }
  | ({ type: "feedback" } & FeedbackEvent)
  | ({ type: "reply" } & Reply)
  /** A pull request's checks are seen to; what it remembered of them before, and does from then on. */
  | { type: "watched"; watch: Watch; before: Watch | undefined }
  /** The head of a pull request, the base that it takes in, and git's merge; the paths that git can't join, with its words. */
  | { type: "merge"; head: string; base: string; tree: string; conflicts: readonly string[]; says: readonly string[] }
  /** A round's commit, the points whose suggestions stand in it, and whether the threads it mends may be resolved. */
  | { type: "pushed"; commit: string; applied: string[]; resolve: boolean }
  | { type: "agent.end"; end: string }
  /** What there was of a change when the run gave up, as a commit in its own repository. */
  | { type: "work"; commit: string }
  | ({ type: "gate" } & GateEvent)
  | { type: "publish.intent"; step: PublishStep }
  | { type: "publish.done"; step: PublishStep; value: string }
  | ({ type: "finished" } & FinishedEvent);

export type PublishStep = "commit" | "branch" | "pull" | "reply";
export interface CheckSummary {
  name: string;
  run: string;
  required: boolean;
  end: string;
  passed: boolean;
  /** There was no time for it, since it is about other paths than the change's. */
  notRun?: true;
  ms: number;
  tail: string;
  /** Its results per test, if it had a report that could be read. They say nothing about whether it passed. */
  tests?: TestCounts;
  /** Why it was judged by its exit code alone: what follows "judged by its exit code:". */
  byExitCode?: string;
}
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
  /** The names of those that failed, at most 50. */
  failing: string[];
  /** Where the whole list is, in the run's folder. */
  file: string;
  /** Why tests may be missing in it. */
  cut?: string;
}
/** How a model's answer came about. */
export interface TurnFacts {
  /** The `X-Request-Id` of the attempt that brought it. */
  requestId: string;
  model: string;
  server: string;
  maxTokens: number;
  /** How many requests it took. */
  attempts: number;
  /** Milliseconds from the request to the first piece, and to the end. */
  firstMs: number;
  ms: number;
}
export interface Usage {
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
}
export interface Submission {
  title: string;
  cause: string;
  change: string;
}
interface GateEvent {
  round: number;
  passed: boolean;
  reason: string;
  /** The commit in the run's own repository that the checks ran on, and its tree. */
  commit: string;
  tree: string;
  submission: Submission;
  checks: { base: CheckSummary[]; head: CheckSummary[] };
  /** Absent in the log of a version that kept none: such a change has to be judged anew. */
  verdict?: GateRecord;
}
/** A verdict as data, small enough for the log; its words are the worker's. A row for each of the head's checks, in order. */
export interface GateRecord {
  decision: string;
  reason: string;
  rows: { word: string; excused?: true; tests?: Record<string, { count: number; names: string[] }> }[];
  bite: { kind: string };
  findings: { kind: string; path: string; detail: string; weight: string }[];
  size: object;
  claim: string;
}
/** How a run ended, in the words of `Outcome`. */
/** One test, or without `test` a whole check. */
interface AskedTest {
  check: string;
  test?: { name: string; file?: string };
}

export interface FinishedEvent {
  outcome: "published" | "no-change" | "needs-input" | "gave-up" | "cancelled";
  cause: string | undefined;
  detail: string;
  pull: { number: number; url: string } | undefined;
}

export type Stamped = RunEvent & { n: number; at: string };

/** Append-only events of one run, each on disk before `append` resolves. */
export interface RunLog {
  readonly dir: string;
  readonly events: readonly Stamped[];
  append(event: RunEvent): Promise<void>;
  close(): void;
}

/** In a run's folder: what its newest verdict rests on. */
export const evidenceFile = "evidence.json";

export function runsDir(dataDir: string): string {
  return join(dataDir, "runs");
}

/** Opens or continues a run's log, from the events before a line that a crash or a failing disk damaged. */
export function openRunLog(dataDir: string, runId: string): RunLog {
  if (!isRunId(runId)) throw new Error(`${JSON.stringify(runId)} is not the id of a run`);
  const dir = join(runsDir(dataDir), runId);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, "log.jsonl");
  const { events, length } = readEvents(file);
  if (existsSync(file) && statSync(file).size > length) {
    // What follows the damage is no basis to go on from, but tells a person what happened.
    copyFileSync(file, join(dir, "log.damaged"));
    truncateSync(file, length);
  }
  const fd = openSync(file, "a", 0o600);

  return {
    dir,
    events,
    async append(event) {
      const stamped: Stamped = { n: events.length + 1, at: new Date().toISOString(), ...event };
      writeSync(fd, `${JSON.stringify(stamped)}\n`);
      fsyncSync(fd);
      events.push(stamped);
    },
    close() {
      closeSync(fd);
    },
  };
}

/** The events of a run that may still be written to, or undefined when there is no such run. */
export function readRun(dataDir: string, runId: string): Stamped[] | undefined {
  const file = join(runsDir(dataDir), runId, "log.jsonl");
  return isRunId(runId) && existsSync(file) ? readEvents(file).events : undefined;
}

/** The ids of all runs on this machine. */
export function listRuns(dataDir: string): string[] {
  return existsSync(runsDir(dataDir)) ? readdirSync(runsDir(dataDir)) : [];
}

/** Removes a run of this machine with its log. */
export function deleteRun(dataDir: string, runId: string): void {
  if (isRunId(runId)) rmSync(join(runsDir(dataDir), runId), { recursive: true, force: true });
}

/** When a run last wrote to its log; undefined when it has none. */
export function lastWritten(dataDir: string, runId: string): Date | undefined {
  return statSync(join(runsDir(dataDir), runId, "log.jsonl"), { throwIfNoEntry: false })?.mtime;
}

/** Marks a run that no queue knows as this process's own, so that a worker on the same DATA_DIR leaves it alone. */
export function holdRun(dir: string): Disposable {
  const file = join(dir, "pid");
  writeFileSync(file, String(process.pid), { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/** Whether a living process of this machine holds the run. */
export function isHeld(dataDir: string, runId: string): boolean {
  try {
    process.kill(Number(readFileSync(join(runsDir(dataDir), runId, "pid"), "utf8")), 0);
    return true;
  } catch {
    return false;
  }
}

/** The last event of a type, if any. */
export function lastEvent<T extends RunEvent["type"]>(
  events: readonly Stamped[],
  type: T,
): Extract<Stamped, { type: T }> | undefined {
  return events.findLast((event): event is Extract<Stamped, { type: T }> => event.type === type);
}

// An id becomes a folder's name, and comes from a queue or from a command line.
export function isRunId(text: string): boolean {
  return /^[\w-]+$/.test(text);
}

/** Up to the first line that is not whole: a crash tears the last one, a failing disk any. */
function readEvents(file: string): { events: Stamped[]; length: number } {
  const events: Stamped[] = [];
  let length = 0;
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
  for (const line of lines) {
    const event = parseEvent(line);
    if (event === undefined) break;
    events.push(event);
    length += Buffer.byteLength(line) + 1;
  }
  return { events, length };
}

function parseEvent(line: string): Stamped | undefined {
  try {
    return JSON.parse(line) as Stamped;
  } catch {
    return undefined;
  }
}
