import type { FinishedEvent, Stamped } from "../src/runlog.ts";
import { lastEvent } from "../src/runlog.ts";
import { coveredBy } from "../src/job.ts";
import { writeStatus } from "../src/status-comment.ts";
import { renderStatus } from "../src/status.ts";
import type { StatusMarker } from "../src/status.ts";
import { inlineText } from "../src/text.ts";
import type { Passed } from "./attempt.ts";
import { bullets } from "./body.ts";
import { statusFacts } from "./facts.ts";
import type { Run, WorkerDeps } from "./run.ts";

/**
 * Edits one status comment: at most one edit under way, the newest text wins, the final one is always written. Once
 * disposed of, it begins no edit, and the one under way has ended.
 */
export interface Reporter extends AsyncDisposable {
  say: (header: string, lines?: string[]) => void;
  /** `covers`: the newest trigger that the run answers, where it is not the one that began it. */
  finish(
    state: StatusMarker["state"],
    header: string,
    lines: string[],
    ended?: { covers?: string | undefined; cause?: string | undefined },
  ): Promise<void>;
}

export interface ReportTarget {
  /** Writes the comment's whole text. */
  write: (body: string) => Promise<unknown>;
  marker: StatusMarker;
  everyMs: number;
  /** Passed before every edit: a run that was taken over edits nothing. */
  guard: () => Promise<void>;
  /** What stands below every text, as it is at the time. */
  facts: () => string[];
}

export function createReporter({ write: edit, marker, everyMs, guard, facts }: ReportTarget): Reporter {
  let pending: string | undefined;
  let editing: Promise<void> = Promise.resolve();
  let busy = false;
  const closed = new AbortController();
  let last = Number.NEGATIVE_INFINITY;

  const write = async (body: string) => {
    await guard();
    await edit(body);
  };
  const drain = async () => {
    busy = true;
    while (pending !== undefined && !closed.signal.aborted && performance.now() - last >= everyMs) {
      const body = pending;
      pending = undefined;
      last = performance.now();
      // Progress that cannot be written is not worth a run; the final edit reports its own failure.
      await write(body).catch(() => {});
    }
    busy = false;
  };
  const close = async () => {
    closed.abort();
    await editing;
  };
  return {
    say(header, lines = []) {
      pending = renderStatus({ ...marker, state: "working" }, header, [...lines, ...facts()]);
      if (!busy && !closed.signal.aborted) editing = drain();
    },
    async finish(state, header, lines, { covers = marker.trigger, cause } = {}) {
      await close();
      const ended = { ...marker, state, trigger: covers, ...(cause !== undefined && { cause: cause.slice(0, 100) }) };
      await write(renderStatus(ended, header, [...lines, ...facts()]));
    },
    [Symbol.asyncDispose]: close,
  };
}

/** The reporter of a run's status comment on an issue or pull request. */
export function reporterFor(run: Run, deps: WorkerDeps, number: number): Reporter {
  const snapshot = lastEvent(run.log.events, "snapshot")?.hash;
  const { runId, repo } = run.job;
  const place = { redis: deps.redis, forge: deps.host.forge(repo, "report"), number };
  return createReporter({
    write: (body) => writeStatus(place, body),
    marker: {
      run: runId,
      state: "working",
      trigger: coveredBy(run.job),
      ...(snapshot === undefined ? {} : { snapshot }),
    },
    everyMs: deps.reportEveryMs,
    guard: () => run.guard(),
    facts: () => statusFacts(run.log.events),
  });
}

/** The one reply to a review: what was done about it and in which commit. */
export function renderReviewReply(passed: Passed, commit: string, reviewer: string): string {
  const { submission, checks } = passed;
  const rows = checks.head.map((check) => `- \`${check.run.replaceAll(/[`\n]/g, " ")}\`: ${check.end}`);
  return [
    `Addressed the review by ${inlineText(reviewer)} in ${commit}: ${inlineText(submission.title)}`,
    bullets(submission.change),
    `Checked outside the model's reach:\n${rows.join("\n")}`,
  ].join("\n\n");
}

const goOn = "`/agent-fix continue` goes on from here, `/agent-fix retry` starts over.";
/** What a person can say to an ending that waits for one. */
const nextMoves = new Map([
  ["question", "Answer in a comment, and I go on with it. `/agent-fix continue` takes what I would do."],
  ["plan", "`/agent-fix approve` carries it out, `/agent-fix plan` plans anew."],
]);

/** The status comment's last form for each outcome: header, then the cause and the next move. */
export function renderOutcome(
  outcome: FinishedEvent,
  { took, stoppedBy }: { took: string; stoppedBy: string | undefined },
): { header: string; lines: string[] } {
  const again = "Set the label again, or say `/agent-fix retry`, to start over.";
  switch (outcome.outcome) {
    case "published":
      return {
        header: outcome.pull === undefined ? `Done in ${took}` : `Opened #${outcome.pull.number} in ${took}`,
        lines: outcome.detail === "" ? [] : [outcome.detail],
      };
    case "no-change":
      return { header: "Nothing to change", lines: [inlineText(outcome.detail), again] };
    case "needs-input":
      return {
        header: `Needs input: ${outcome.cause ?? ""}`,
        lines: [outcome.detail, nextMoves.get(outcome.cause ?? "") ?? again],
      };
    case "gave-up":
      return { header: `Stopped: ${outcome.cause ?? ""}`, lines: [outcome.detail, goOn] };
    case "cancelled":
      return {
        header: `Stopped${stoppedBy === undefined ? "" : ` by ${inlineText(stoppedBy)}`}`,
        lines: [`Nothing was published${outcome.cause === undefined ? "" : `: ${inlineText(outcome.cause)}`}.`, again],
      };
  }
}

/** Elapsed time from the run's first event, for people. */
export function elapsed(events: readonly Stamped[], now = new Date()): string {
  const started = new Date(events[0]?.at ?? now);
  const seconds = Math.max(1, Math.round((now.getTime() - started.getTime()) / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
