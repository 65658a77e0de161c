import { z } from "zod";
import { hiddenAt, hide } from "./hidden.ts";
import { coveredBy, runJob } from "./job.ts";
import type { RepoRef, RunJob } from "./job.ts";
import { boundedBody } from "./text.ts";

const unfinished = ["queued", "working", "waiting-model"] as const;
const states = [...unfinished, "opened", "no-change", "needs-input", "gave-up", "cancelled"] as const;
const mark = z.object({ at: z.string(), ids: z.array(z.number()) });
/** How far a list was read: the time of the newest entry that was taken in, and the ids of those of that second. */
export type Mark = z.infer<typeof mark>;

const read = z.object({ threads: mark.optional(), reviews: mark.optional(), remarks: mark.optional() });
const rounds = z.object({
  /** How many rounds of review were answered since the pull request opened, or since a person asked to try again. */
  count: z.number(),
  /** How many of them, the last ones, ended without a change. */
  failures: z.number(),
  /** How far the conversation was read before the last round, and after it. */
  from: read,
  read,
});
/** What a pull request remembers of its rounds of review. */
export type Rounds = z.infer<typeof rounds>;

const watch = z.object({
  /** How often its checks or a conflict were seen to by ourselves since a person last had a hand in it. */
  attempts: z.number(),
  /** The key of what was seen to last. */
  handled: z.string(),
});
/** What a pull request remembers of its checks. */
export type Watch = z.infer<typeof watch>;

/** What GitHub remembers of a run, hidden in its status comment. */
export const statusMarker = z.object({
  run: z.string(),
  state: z.enum(states),
  /** The one that it answers, of a run that follows another: that one's. */
  trigger: z.string(),
  /** The rest of the run's job, so that one that the queue lost can be added again. */
  job: runJob.omit({ runId: true, repo: true, askedAt: true }).optional(),
  snapshot: z.string().optional(),
  /** The base commit, of a run that ended since its checks cannot run there. */
  head: z.string().optional(),
  /** Why it ended, where a person's next word depends on it. */
  cause: z.string().optional(),
  rounds: rounds.optional(),
  watch: watch.optional(),
  /** Since when a run has been waiting for its model, as an ISO time. */
  since: z.string().optional(),
  /** Until when its questions wait for an answer, as an ISO time: then it goes on without one. */
  until: z.string().optional(),
});
export type StatusMarker = z.infer<typeof statusMarker>;

/** What outlives the runs that a status comment tells of. */
export type Memory = Pick<StatusMarker, "rounds" | "watch">;

/** The cause of a run whose base can't be checked: it is tried again when the base moves. */
export const brokenCause = "base broken";

/** How every status comment begins; with our author id it identifies the comment. */
export const statusMark = "<!-- agent-fix:status ";

/** How a run's answer to a round of review begins, and with a point's name its reply in a thread. */
export function replyMark(run: string, point?: string): string {
  return `<!-- agent-fix:reply ${run}${point === undefined ? "" : ` ${point}`} -->`;
}

/** How our answer to a comment begins. */
export function answerMark(comment: number): string {
  return `<!-- agent-fix:answer ${comment} -->`;
}

/** One status comment: the marker, a bold header and what follows it. */
export function renderStatus(status: StatusMarker, header: string, lines: readonly string[] = []): string {
  return boundedBody([hide(statusMark, status), `**${header}**`, ...lines].join("\n\n"));
}

/** The same comment with another marker. */
export function remarkedStatus(body: string, status: StatusMarker): string {
  return `${hide(statusMark, status)}${body.slice(body.indexOf(" -->") + " -->".length)}`;
}

/** The same comment, which remembers this from now on. */
export function remembering(body: string, { rounds, watch }: Memory): string {
  const status = parseStatus(body);
  return status === undefined ? body : remarkedStatus(body, { ...status, rounds, watch });
}

export function parseStatus(body: string): StatusMarker | undefined {
  return hiddenAt(body, body.startsWith(statusMark) ? 0 : -1, { start: statusMark, schema: statusMarker });
}

/** What a status comment says of a run, whatever its state. */
export function markerOf({ runId, repo: _repo, askedAt: _askedAt, ...job }: RunJob) {
  return { run: runId, trigger: coveredBy(job), job };
}

/** The job of the run that it tells of; undefined where a version wrote it that did not remember that. */
export function jobIn({ run: runId, job }: StatusMarker, repo: RepoRef): RunJob | undefined {
  return job && { runId, repo, ...job };
}

/** Whether the next word of a person on the issue begins a run: this one asked, or knew no way on. */
export function waitsForWord({ state, cause }: Pick<StatusMarker, "state" | "cause">): boolean {
  return state === "no-change" || ["question", "no answer", "stuck"].some((one) => one === cause);
}

/** Nothing more will be done for this trigger. */
export function isTerminal(state: StatusMarker["state"]): boolean {
  return !unfinished.some((one) => one === state);
}
