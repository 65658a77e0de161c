import type { Redis } from "ioredis";
import { begin } from "../begin.ts";
import { OutageError, RefusedError } from "../errors.ts";
import type { CodeHost, Forge, Pull } from "../forge.ts";
import type { Inbox } from "../inbox.ts";
import { coveredBy, runIdOf, snapshotHash, subjectKey } from "../job.ts";
import type { Actor, RepoRef, RunJob, Subject, TaskText } from "../job.ts";
import type { Log } from "../log.ts";
import { redisPrefix, within } from "../queue.ts";
import type { Queues } from "../queue.ts";
import { parseSettings, settingsPath } from "../settings.ts";
import type { Settings } from "../settings.ts";
import { readStatus, writeStatus } from "../status-comment.ts";
import { isTerminal, renderStatus, replyMark } from "../status.ts";
import type { StatusMarker } from "../status.ts";
import { inlineText } from "../text.ts";
import { branchPrefix, triggerLabel } from "../triggers.ts";
import { renderQueued, waitOf } from "../waiting.ts";

/** What deciding about an event needs. */
export interface IntakeDeps {
  host: CodeHost;
  queues: Queues;
  inbox: Inbox;
  log: Log;
  /** The time by which schedules and limits go. */
  now: () => Date;
}
/** What most events need to know, asked at once: one question after the other would be most of a run's wait. */
export function askAll(forge: Forge, number: number, sender: Actor | undefined) {
  const permission = sender && begin(forge.permission(sender.login));
  return {
    permission: async ({ login }: Actor) =>
      permission !== undefined && login === sender?.login ? permission : forge.permission(login),
    status: begin(readStatus(forge, number)),
    settings: begin(readSettings(forge)),
  };
}

export interface Start {
  forge: Forge;
  deps: IntakeDeps;
  /** The issue or pull request that carries the status comment. */
  number: number;
  run: RunJob;
  text?: TaskText;
  status: Promise<StatusMarker | undefined>;
  settings: Promise<ReadSettings>;
}

/** Queues the run and shows it in the status comment, unless it ran already, or another works on the same branch. */
export async function startRun(start: Start): Promise<void> {
  const { forge, deps, number, run, text } = start;
  const { queues, inbox } = deps;
  const [status, settings] = await Promise.all([start.status, start.settings]);
  const hasEnded = status !== undefined && isTerminal(status.state);
  if (hasEnded && (status.trigger === run.trigger || status.run === run.runId)) return;
  const marker = markerOf(start, status);
  const place = { redis: queues.redis, forge, number };
  if (!settings.ok) {
    const said = renderSettingsProblems({ ...marker, state: "needs-input" }, settings.problems);
    await orUnlabel(forge, number, writeStatus(place, said));
    return;
  }
  const before = await runBefore(status, run, deps);
  if (before !== undefined && run.subject.kind === "issue") {
    if (before === "works") return;
    throw new OutageError(`the run before this one on #${number} has not ended yet`);
  }
  if (text !== undefined) await inbox.send(run.runId, { kind: "task", ...text });
  await setCurrentRun(queues.redis, run);
  const isOurs = (await queues.addRun(run)) || (await queues.isLive(run.runId));
  if (before !== undefined) await answerWaiting(forge, number, run);
  if (before !== undefined || !isOurs) return;
  // Behind the run, which does not wait for it, and may have begun to tell of itself.
  const queued = async () => renderQueued(marker, run, await waitOf(queues, run.runId));
  await orUnlabel(
    forge,
    number,
    writeStatus(place, queued, (found) => found?.run === run.runId),
  );
}

/** Where a conversation is locked, that the label comes off is all that we can say; else a sweep would find it for ever. */
async function orUnlabel(forge: Forge, number: number, speaking: Promise<unknown>): Promise<void> {
  try {
    await speaking;
  } catch (error) {
    if (!(error instanceof RefusedError && error.why === "locked")) throw error;
    await forge.removeLabel(number, triggerLabel);
  }
}

function markerOf({ run, text }: Start, before: StatusMarker | undefined): Omit<StatusMarker, "state"> {
  const { rounds, watch } = before ?? {};
  return {
    run: run.runId,
    trigger: coveredBy(run),
    ...(text !== undefined && { snapshot: snapshotHash(text) }),
    ...(rounds !== undefined && { rounds }),
    ...(watch !== undefined && { watch }),
  };
}

/** A review behind another run: the status comment is that run's, so the answer stands where the reply will. */
async function answerWaiting(forge: Forge, number: number, { runId, subject }: RunJob): Promise<void> {
  if (subject.kind !== "review") return;
  const mark = replyMark(runId);
  const body = `${mark}\nQueued: I answer this review when the run before it on this pull request has ended.`;
  await forge.ensureComment(number, mark, body);
}

/**
 * Whether another trigger's run is on the same branch. One that works covers a second label; behind one that ends, told
 * to stop or with its answer written, a new run has to wait.
 */
async function runBefore(
  status: StatusMarker | undefined,
  run: RunJob,
  { queues, inbox }: IntakeDeps,
): Promise<"works" | "ends" | undefined> {
  if (status === undefined || status.run === run.runId || !(await queues.isLive(status.run))) return undefined;
  if (isTerminal(status.state)) return "ends";
  return (await inbox.read(status.run)).some((message) => message.kind === "stop") ? "ends" : "works";
}

function renderSettingsProblems(marker: StatusMarker, problems: readonly string[]): string {
  return renderStatus(marker, `\`${settingsPath}\` cannot be used`, [
    problems.map((problem) => `- ${problem}`).join("\n"),
    "Mend the file on the default branch. Then say `/agent-fix retry`, or set the label again.",
  ]);
}

type ReadSettings = { ok: true; settings: Settings } | { ok: false; problems: string[] };

/** The settings on the default branch; the built-in defaults when there is no file. */
export async function readSettings(forge: Forge): Promise<ReadSettings> {
  return parseSettings((await forge.readFile(settingsPath)) ?? "");
}

/** Says once who may ask. */
export async function refuse(
  forge: Forge,
  { number, trigger, actor }: { number: number; trigger: string; actor: Actor },
): Promise<void> {
  const mark = `<!-- agent-fix:refused ${trigger} -->`;
  const body = `${mark}\nOnly people with write access can start me, so I leave this as it is. Somebody with write access can set the label \`${triggerLabel}\`. (Asked by ${inlineText(actor.login)}.)`;
  await orUnlabel(forge, number, forge.ensureComment(number, mark, body));
}

/** The job that a trigger asks for. */
export function newRun(repo: RepoRef, subject: Subject, actor: Actor, trigger: string): RunJob {
  return { runId: runIdOf(repo, subject, trigger), repo, subject, actor, trigger };
}

const currentKey = (repo: RepoRef, key: string, kind: Subject["kind"] | "any") =>
  `${redisPrefix}:current:${repo.id}:${key}:${kind}`;

async function setCurrentRun(redis: Redis, { repo, subject, runId }: RunJob): Promise<void> {
  const set = (kind: Subject["kind"] | "any") =>
    redis.set(currentKey(repo, subjectKey(subject), kind), runId, "EX", 7 * 24 * 3600);
  await within(3000, Promise.all([set("any"), set(subject.kind)]));
}

/** The run that was last started on a subject, of one kind or of any, whether it still works or not. */
export async function currentRun(
  redis: Redis,
  repo: RepoRef,
  key: string,
  kind: Subject["kind"] | "any" = "any",
): Promise<string | undefined> {
  return (await within(3000, redis.get(currentKey(repo, key, kind)))) ?? undefined;
}

const saidKey = (repo: RepoRef, comment: number) => `${redisPrefix}:said:${repo.id}:${comment}`;

/** Whether what a comment asks for was done: it may be delivered again long after, when other things stand there. */
export async function isDone(redis: Redis, repo: RepoRef, comment: number): Promise<boolean> {
  return (await within(3000, redis.exists(saidKey(repo, comment)))) === 1;
}

export async function setDone(redis: Redis, repo: RepoRef, comment: number): Promise<void> {
  await within(3000, redis.set(saidKey(repo, comment), "1", "EX", 30 * 24 * 3600));
}

/** What a run on our pull request is known by; undefined for one that is not ours. */
export function keyOfPull({ number, ours, head: { branch } }: Pull): string | undefined {
  return ours && branch.startsWith(branchPrefix) ? subjectKey({ kind: "review", pull: number, branch }) : undefined;
}
