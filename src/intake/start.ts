import type { Redis } from "ioredis";
import { begin } from "../begin.ts";
import { OutageError, RefusedError } from "../errors.ts";
import type { CodeHost, Forge, Pull } from "../forge.ts";
import type { Inbox } from "../inbox.ts";
import { runIdOf, snapshotHash, subjectKey } from "../job.ts";
import type { Actor, Follows, RepoRef, RunJob, Subject, TaskText } from "../job.ts";
import type { Log } from "../log.ts";
import { redisPrefix, within } from "../queue.ts";
import type { LiveRun, Queues } from "../queue.ts";
import { parseSettings, settingsPath } from "../settings.ts";
import type { Settings } from "../settings.ts";
import { recallStatus, writeStatus } from "../status-comment.ts";
import { isTerminal, jobIn, markerOf, renderStatus } from "../status.ts";
import type { StatusMarker } from "../status.ts";
import { inlineText } from "../text.ts";
import { branchPrefix, triggerLabel } from "../triggers.ts";
import { renderQueued, waitOf } from "../waiting.ts";
import { replyQueued } from "../queued-reply.ts";

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
export function askAll({ queues }: IntakeDeps, forge: Forge, number: number, sender: Actor | undefined) {
  const permission = sender && begin(forge.permission(sender.login));
  return {
    permission: async ({ login }: Actor) =>
      permission !== undefined && login === sender?.login ? permission : forge.permission(login),
    status: begin(recallStatus({ redis: queues.redis, forge, number })),
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
  const marker = { ...markerOf(run), ...(text !== undefined && { snapshot: snapshotHash(text) }) };
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
  const isOurs = (await queues.addRun(run)) || (await queues.isLive(run.runId));
  if (before !== undefined) await replyQueued(forge, number, run);
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

/** Says who may ask: to each person once on an issue or pull request, whatever they ask there. */
export async function refuse(forge: Forge, number: number, actor: Actor): Promise<void> {
  const mark = `<!-- agent-fix:refused ${actor.id} -->`;
  const body = `${mark}\nOnly people with write access can start me, so I leave this as it is. Somebody with write access can set the label \`${triggerLabel}\`. (Asked by ${inlineText(actor.login)}.)`;
  await orUnlabel(forge, number, forge.ensureComment(number, mark, body));
}

/** The job that a trigger asks for. */
export function newRun(repo: RepoRef, subject: Subject, actor: Actor, trigger: string): RunJob {
  return { runId: runIdOf(repo, subject, trigger), repo, subject, actor, trigger };
}

/** How a run goes on from the one that a status comment tells of. */
export function goingOn({ run, trigger, job }: StatusMarker, how: Follows["how"]): Follows {
  const { follows } = job ?? {};
  const isApproved = follows?.how === "approve" || follows?.isApproved === true;
  return { run, covers: trigger, how, ...(isApproved && (how === "answer" || how === "default") && { isApproved }) };
}

/** The run that a status comment shows at work and that the queue does not have, as after Redis lost its data. */
export async function lostRun(
  { queues }: Pick<IntakeDeps, "queues">,
  forge: Forge,
  number: number,
  status: StatusMarker | undefined,
): Promise<RunJob | undefined> {
  if (status === undefined || isTerminal(status.state)) return undefined;
  if ((await queues.isLive(status.run)) || (await queues.hasFailed(status.run))) return undefined;
  // It may have ended, or been stopped, since its status was read.
  const now = await recallStatus({ redis: queues.redis, forge, number });
  if (now?.run !== status.run || isTerminal(now.state)) return undefined;
  const run = jobIn(status, forge.repo);
  // Of an issue that came from another repository the comment came along.
  return run !== undefined && runIdOf(forge.repo, run.subject, run.trigger) === run.runId ? run : undefined;
}

/** The runs that wait or work on an issue and the branches for it: first those at work, in the order in which they began. */
export async function liveOn(queues: Queues, repo: RepoRef, key: string): Promise<LiveRun[]> {
  return (await queues.liveIn(repo.id)).filter(({ run }) => subjectKey(run.subject) === key);
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
