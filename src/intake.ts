import type { Redis } from "ioredis";
import { begin } from "./begin.ts";
import { OutageError } from "./errors.ts";
import { mayWrite } from "./forge.ts";
import type { CodeHost, Forge } from "./forge.ts";
import type { Inbox } from "./inbox.ts";
import { runIdOf, snapshotHash, subjectKey } from "./job.ts";
import type { Actor, IntakeJob, RepoRef, RunJob, Subject, TaskText } from "./job.ts";
import { withLock } from "./lock.ts";
import type { Log } from "./log.ts";
import { redisPrefix, within } from "./queue.ts";
import type { Queues } from "./queue.ts";
import { parseSettings, settingsPath } from "./settings.ts";
import type { Settings } from "./settings.ts";
import { readStatus, writeStatus } from "./status-comment.ts";
import { isTerminal, renderStatus, replyMark } from "./status.ts";
import type { StatusMarker } from "./status.ts";
import { inlineText } from "./text.ts";
import { branchPrefix, labelTrigger, triggerLabel } from "./triggers.ts";

export interface IntakeDeps {
  host: CodeHost;
  queues: Queues;
  inbox: Inbox;
  log: Log;
}
type Accepted = Exclude<IntakeJob, { kind: "sweep" }>;

/**
 * Decides about one accepted event, which arrived at `askedAt` (milliseconds since the epoch): a refusal, a stop, or a
 * run and its status comment. Safe to repeat.
 */
export async function handleIntake(job: Accepted, deps: IntakeDeps, askedAt?: number): Promise<void> {
  await withLock(deps.queues.redis, `intake-${job.repo.id}-${placeOf(job)}`, 20_000, () => {
    switch (job.kind) {
      case "label":
        return onLabel(job, deps, askedAt);
      case "review":
        return onReview(job, deps);
      case "stop":
        return onStop(job, deps);
      case "comment":
        return onComment(job, deps);
    }
  });
}

/** Events about one place are decided about one after the other. */
function placeOf(job: Accepted): string {
  switch (job.kind) {
    case "review":
      return job.branch.slice(branchPrefix.length);
    case "comment":
      return `issue-${job.number}`;
    case "label":
    case "stop":
      return `issue-${job.issue}`;
  }
}

async function onLabel(
  job: Extract<Accepted, { kind: "label" }>,
  deps: IntakeDeps,
  askedAt: number | undefined,
): Promise<void> {
  const forge = deps.host.forge(job.repo, "report");
  const asked = askAll(forge, job.issue, job.actor);
  const [issue, event] = await Promise.all([forge.issue(job.issue), forge.labelEvent(job.issue, triggerLabel)]);
  // Webhooks arrive late and out of order: what GitHub says now decides.
  if (issue.isPull || issue.state !== "open" || !issue.labels.includes(triggerLabel)) return;
  const actor = event?.actor ?? job.actor;
  if (actor === undefined) return;

  const { number } = issue;
  const subject: Subject = { kind: "issue", number };
  const trigger = event === undefined ? `delivery-${job.delivery}` : labelTrigger(event.id);
  if (!mayWrite(await asked.permission(actor))) {
    await refuse(forge, { number, trigger, actor });
    await forge.removeLabel(number, triggerLabel);
    return;
  }
  const text = job.text ?? { title: issue.title, body: issue.body };
  const run = { ...newRun(job.repo, subject, actor, trigger), ...(askedAt === undefined ? {} : { askedAt }) };
  await startRun({ forge, deps, number, run, text, ...asked });
}

async function onReview(job: Extract<Accepted, { kind: "review" }>, deps: IntakeDeps): Promise<void> {
  const forge = deps.host.forge(job.repo, "report");
  const asked = askAll(forge, job.pull, job.actor);
  const [pull, review] = await Promise.all([forge.pull(job.pull), forge.review(job.pull, job.review)]);
  if (!pull.ours || pull.state !== "open") return;
  if (review.body.trim() === "" && review.comments.length === 0) return;

  const subject: Subject = { kind: "review", pull: job.pull, review: job.review, branch: pull.head.branch };
  const trigger = `review-${job.review}`;
  if (!mayWrite(await asked.permission(job.actor))) {
    await refuse(forge, { number: job.pull, trigger, actor: job.actor });
    return;
  }
  await startRun({ forge, deps, number: job.pull, run: newRun(job.repo, subject, job.actor, trigger), ...asked });
}

/** What most events need to know, asked at once: one question after the other would be most of a run's wait. */
function askAll(forge: Forge, number: number, sender: Actor | undefined) {
  const permission = sender && begin(forge.permission(sender.login));
  return {
    permission: async ({ login }: Actor) =>
      permission !== undefined && login === sender?.login ? permission : forge.permission(login),
    status: begin(readStatus(forge, number)),
    settings: begin(readSettings(forge)),
  };
}

async function onStop(job: Extract<Accepted, { kind: "stop" }>, deps: IntakeDeps): Promise<void> {
  const { queues, inbox, host } = deps;
  const runId = await currentRun(queues.redis, job.repo, `issue-${job.issue}`);
  if (runId === undefined) return;
  const forge = host.forge(job.repo, "report");
  const [issue, ours] = await Promise.all([forge.issue(job.issue), host.app()]);
  const stillWanted = issue.state === "open" && issue.labels.includes(triggerLabel);
  if (stillWanted || job.actor.login === ours.botLogin) return;

  await inbox.send(runId, { kind: "stop", by: job.actor.login, reason: job.reason });
  if (!(await queues.removeWaiting(runId))) return;
  const status = await readStatus(forge, job.issue);
  if (status === undefined || isTerminal(status.state)) return;
  const header = `Stopped by ${inlineText(job.actor.login)}: ${job.reason}`;
  await writeStatus(
    { redis: queues.redis, forge, number: job.issue },
    renderStatus({ ...status, state: "cancelled" }, header, ["The run had not started."]),
  );
  await inbox.delete(runId);
}

/** A word of somebody with write access reaches the run that works there; without one it is not for us. */
async function onComment(job: Extract<Accepted, { kind: "comment" }>, deps: IntakeDeps): Promise<void> {
  const { repo, number, actor, comment: id, text } = job;
  const { queues, inbox } = deps;
  const forge = deps.host.forge(repo, "report");
  const key = job.isPull ? await keyOfPull(forge, number) : `issue-${number}`;
  const runId = key && (await currentRun(queues.redis, repo, key));
  if (runId === undefined || !(await queues.isLive(runId)) || !mayWrite(await forge.permission(actor.login))) return;
  const isThere = (await inbox.read(runId)).some((message) => message.kind === "comment" && message.id === id);
  if (!isThere) await inbox.send(runId, { kind: "comment", id, by: actor.login, text });
}

/** What a run on our pull request is known by; undefined for one that is not ours. */
async function keyOfPull(forge: Forge, number: number): Promise<string | undefined> {
  const { ours, head } = await forge.pull(number);
  const { branch } = head;
  return ours && branch.startsWith(branchPrefix)
    ? subjectKey({ kind: "review", pull: number, review: 0, branch })
    : undefined;
}

interface Start {
  forge: Forge;
  deps: IntakeDeps;
  /** The issue or pull request that carries the status comment. */
  number: number;
  run: RunJob;
  text?: TaskText;
  status: Promise<StatusMarker | undefined>;
  settings: Promise<ReadSettings>;
}

async function startRun(start: Start): Promise<void> {
  const { forge, deps, number, run, text } = start;
  const { queues, inbox } = deps;
  const [status, settings] = await Promise.all([start.status, start.settings]);
  if (status?.trigger === run.trigger && isTerminal(status.state)) return;
  const snapshot = text === undefined ? {} : { snapshot: snapshotHash(text) };
  const marker = { run: run.runId, trigger: run.trigger, ...snapshot };
  const place = { redis: queues.redis, forge, number };
  if (!settings.ok) {
    await writeStatus(place, renderSettingsProblems({ ...marker, state: "needs-input" }, settings.problems));
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
  if (before !== undefined) await answerWaiting(forge, number, run.subject);
  if (before !== undefined || !isOurs) return;
  // Behind the run, which does not wait for it, and may have begun to tell of itself.
  const lines = [
    `Asked for by ${inlineText(run.actor.login)}. I work on the text as it stands now; later edits do not reach the run.`,
  ];
  const queued = renderStatus({ ...marker, state: "queued" }, "Queued", lines);
  await writeStatus(place, queued, (found) => found?.run === run.runId);
}

/** A review behind another run: the status comment is that run's, so the answer stands where the reply will. */
async function answerWaiting(forge: Forge, number: number, subject: Subject): Promise<void> {
  if (subject.kind !== "review") return;
  const mark = replyMark(subject.review);
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
    "Mend the file on the default branch and set the label again.",
  ]);
}

type ReadSettings = { ok: true; settings: Settings } | { ok: false; problems: string[] };

/** The settings on the default branch; the built-in defaults when there is no file. */
export async function readSettings(forge: Forge): Promise<ReadSettings> {
  return parseSettings((await forge.readFile(settingsPath)) ?? "");
}

async function refuse(
  forge: Forge,
  { number, trigger, actor }: { number: number; trigger: string; actor: Actor },
): Promise<void> {
  const mark = `<!-- agent-fix:refused ${trigger} -->`;
  const body = `${mark}\nOnly people with write access can start me, so I leave this as it is. Somebody with write access can set the label \`${triggerLabel}\`. (Asked by ${inlineText(actor.login)}.)`;
  await forge.ensureComment(number, mark, body);
}

/** The job that a trigger asks for. */
export function newRun(repo: RepoRef, subject: Subject, actor: Actor, trigger: string): RunJob {
  return { runId: runIdOf(repo, subject, trigger), repo, subject, actor, trigger };
}

const currentKey = (repo: RepoRef, key: string) => `${redisPrefix}:current:${repo.id}:${key}`;

async function setCurrentRun(redis: Redis, run: RunJob): Promise<void> {
  await within(3000, redis.set(currentKey(run.repo, subjectKey(run.subject)), run.runId, "EX", 7 * 24 * 3600));
}

async function currentRun(redis: Redis, repo: RepoRef, key: string): Promise<string | undefined> {
  return (await within(3000, redis.get(currentKey(repo, key)))) ?? undefined;
}
