import { isDeepStrictEqual } from "node:util";
import type { FinishedEvent, Stamped } from "../src/runlog.ts";
import { lastEvent } from "../src/runlog.ts";
import { createStatusWriter } from "../src/status-comment.ts";
import { markerOf } from "../src/status.ts";
import type { Memory } from "../src/status.ts";
import { inlineText } from "../src/text.ts";
import { renderEvidence } from "./body.ts";
import { statusFacts } from "./facts.ts";
import { nextMove } from "./outcome.ts";
import { renderProgress } from "./progress.ts";
import { createReporter } from "./reporter.ts";
import type { Reporter } from "./reporter.ts";
import type { Run, WorkerDeps } from "./run.ts";
import { verdictOf } from "./verdict.ts";

/** The reporter of a run's status comment on an issue or pull request. `remember`: what the run changes of its memory. */
export function reporterFor(
  run: Run,
  deps: WorkerDeps,
  number: number,
  remember: (memory: Memory) => Memory = watchAfter(run.log.events),
): Reporter {
  const { events } = run.log;
  const snapshot = lastEvent(events, "snapshot")?.hash;
  const place = { redis: deps.redis, forge: deps.host.forge(run.job.repo, "report"), number };
  return createReporter({
    writer: createStatusWriter(place, remember, (found) => isToldLate(events) && found.run !== run.job.runId),
    marker: {
      ...markerOf(run.job),
      state: "working",
      ...(snapshot === undefined ? {} : { snapshot }),
    },
    everyMs: deps.reportEveryMs,
    guard: () => run.guard(),
    progress: () => renderProgress(events, { took: elapsed(events), now: new Date() }),
    facts: () => statusFacts(events),
  });
}

/** Whether the run had ended before it was taken again, only to tell of it: another one may have ended since. */
export function isToldLate(events: readonly Stamped[]): boolean {
  const ended = events.findIndex(({ type }) => type === "finished");
  return ended !== -1 && ended < events.findLastIndex(({ type }) => type === "claimed");
}

/** What a pull request remembers of its checks once a run has seen to them, unless that was changed since. */
function watchAfter(events: readonly Stamped[]): (memory: Memory) => Memory {
  const watched = lastEvent(events, "watched");
  return ({ rounds, watch }) => {
    const isNext = watched !== undefined && isDeepStrictEqual(watch, watched.before);
    return { rounds, watch: isNext ? watched.watch : watch };
  };
}

export interface EndFacts {
  took: string;
  stoppedBy: string | undefined;
  /** What shows that a published change is good, in Markdown. */
  evidence?: readonly string[];
}

/** The status comment's last form for each outcome: header, then the cause and the next move. */
export function renderOutcome(
  outcome: FinishedEvent,
  { took, stoppedBy, evidence = [] }: EndFacts,
): { header: string; lines: string[] } {
  const again = "Set the label again, or say `/agent-fix retry`, to start over.";
  switch (outcome.outcome) {
    case "published":
      return {
        header: outcome.pull === undefined ? `Done in ${took}` : `Opened #${outcome.pull.number} in ${took}`,
        lines: [...(outcome.detail === "" ? [] : [outcome.detail]), ...evidence],
      };
    case "no-change":
      return { header: "Nothing to change", lines: [inlineText(outcome.detail), again] };
    case "needs-input":
      return { header: `Needs input: ${outcome.cause ?? ""}`, lines: [outcome.detail, nextMove(outcome.cause)] };
    case "gave-up":
      return { header: `Stopped: ${outcome.cause ?? ""}`, lines: [outcome.detail, nextMove(outcome.cause)] };
    case "cancelled":
      return {
        header: `Stopped${stoppedBy === undefined ? "" : ` by ${inlineText(stoppedBy)}`}`,
        lines: [`Nothing was published${outcome.cause === undefined ? "" : `: ${inlineText(outcome.cause)}`}.`, again],
      };
  }
}

/** The table of what was measured on the change that passed. */
export function evidenceIn(events: readonly Stamped[]): string[] {
  const gate = lastEvent(events, "gate");
  const base = lastEvent(events, "base");
  if (gate?.passed !== true || gate.verdict === undefined || base === undefined) return [];
  return [renderEvidence(verdictOf(gate.verdict, gate.checks), base.commit)];
}

/** Elapsed time from the run's first event, for people. */
export function elapsed(events: readonly Stamped[], now = new Date()): string {
  const started = new Date(events[0]?.at ?? now);
  const seconds = Math.max(1, Math.round((now.getTime() - started.getTime()) / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
