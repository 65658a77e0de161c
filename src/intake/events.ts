import { RefusedError } from "../errors.ts";
import { isAside, mentions } from "../feedback.ts";
import { mayWrite } from "../forge.ts";
import type { Forge } from "../forge.ts";
import type { Inbox } from "../inbox.ts";
import type { IntakeJob, RunJob, Subject } from "../job.ts";
import { answerMark, brokenCause } from "../status.ts";
import type { StatusMarker } from "../status.ts";
import { labelTrigger, triggerLabel } from "../triggers.ts";
import { onAnswer } from "./command.ts";
import { tellEarlier } from "./earlier.ts";
import { onFeedback } from "./feedback.ts";
import { askAll, goingOn, isDone, keyOfPull, liveOn, lostRun, newRun, refuse, setDone, startRun } from "./start.ts";
import type { IntakeDeps } from "./start.ts";
import { stopRun } from "./stop.ts";

type Said = Extract<IntakeJob, { kind: "comment" }>;

export async function onLabel(
  job: Extract<IntakeJob, { kind: "label" }>,
  deps: IntakeDeps,
  askedAt: number | undefined,
): Promise<void> {
  const forge = deps.host.forge(job.repo, "report");
  const asked = askAll(deps, forge, job.issue, job.actor);
  const [issue, event] = await Promise.all([forge.issue(job.issue), forge.labelEvent(job.issue, triggerLabel)]);
  // Webhooks arrive late and out of order: what GitHub says now decides.
  if (issue.isPull || issue.state !== "open" || !issue.labels.includes(triggerLabel)) return;
  const actor = event?.actor ?? job.actor;
  if (actor === undefined) return;

  const { number } = issue;
  const subject: Subject = { kind: "issue", number };
  const trigger = event === undefined ? `delivery-${job.delivery}` : labelTrigger(event.id);
  // A bot may have the permission, and would begin what nobody asked for.
  if (actor.login.endsWith("[bot]") || !mayWrite(await asked.permission(actor))) {
    await refuse(forge, number, actor);
    await forge.removeLabel(number, triggerLabel);
    return;
  }
  const text = job.text ?? { title: issue.title, body: issue.body };
  const status = await asked.status;
  const begun = await runOf(newRun(job.repo, subject, actor, trigger), { deps, forge, status, job });
  if (begun === undefined) return;
  const run = { ...begun, ...(askedAt === undefined ? {} : { askedAt }) };
  await startRun({ forge, deps, number, run, text, ...asked });
}

/** The label's own run, or the one that goes on from it. */
async function runOf(
  own: RunJob,
  at: {
    deps: IntakeDeps;
    forge: Forge;
    status: StatusMarker | undefined;
    job: Extract<IntakeJob, { kind: "label" }>;
  },
): Promise<RunJob | undefined> {
  const { deps, forge, status, job } = at;
  // A word after the label may have begun it, which the label's own run knows nothing of.
  const lost = status?.trigger === own.trigger ? await lostRun(deps, forge, job.issue, status) : undefined;
  if (lost !== undefined) return lost;
  if (job.base !== undefined) return onNewBase(own, status, job.base);
  return job.unanswered === undefined ? own : onSilence(own, job.unanswered, at);
}

/** The run that goes on from the one whose questions nobody answered; none where another word came first. */
async function onSilence(
  { repo, subject, actor }: RunJob,
  unanswered: string,
  { deps, forge, status, job }: Parameters<typeof runOf>[1],
): Promise<RunJob | undefined> {
  if (status?.run !== unanswered || status.until === undefined) return undefined;
  const run = newRun(repo, subject, actor, `silence-${unanswered}`);
  await tellEarlier(deps, forge, job.issue, { runId: run.runId, by: actor.login, answer: "" });
  return { ...run, follows: goingOn(status, "default") };
}

/** The run that goes on from the one that found its base broken; none where another word came first. */
function onNewBase(
  { repo, subject, actor }: RunJob,
  status: StatusMarker | undefined,
  base: string,
): RunJob | undefined {
  if (status?.cause !== brokenCause || status.head === base) return undefined;
  const run = newRun(repo, subject, actor, `base-${base}`);
  return { ...run, follows: goingOn(status, "retry") };
}

export async function onStop(job: Extract<IntakeJob, { kind: "stop" }>, deps: IntakeDeps): Promise<void> {
  const { queues, host } = deps;
  // A review of the pull request for it has the same branch, and is none of the label's business.
  const live = (await liveOn(queues, job.repo, `issue-${job.issue}`)).filter(({ run }) => run.subject.kind === "issue");
  if (live.length === 0) return;
  const forge = host.forge(job.repo, "report");
  const [issue, ours] = await Promise.all([forge.issue(job.issue).catch(unlessGone), host.app()]);
  const stillWanted = issue?.state === "open" && issue.labels.includes(triggerLabel);
  if (stillWanted || job.actor.login === ours.botLogin) return;

  for (const run of live) await stopRun(deps, run, { forge, by: job.actor, reason: job.reason });
}

function unlessGone(error: unknown): undefined {
  if (!(error instanceof RefusedError && error.why === "gone")) throw error;
}

/**
 * A word of somebody with write access reaches the run that works there, or is next. Where the last one ended with a
 * question, it is the answer, and a new run goes on with it. What people say to each other is neither. Where it names us,
 * it is feedback on our own pull request, else a question.
 */
export async function onComment(job: Said, deps: IntakeDeps): Promise<void> {
  const { repo, number, actor, text } = job;
  const forge = deps.host.forge(repo, "report");
  const [{ slug }, pull] = await Promise.all([deps.host.app(), job.isPull ? forge.pull(number) : undefined]);
  const isNamed = mentions(text, slug);
  if (pull?.ours === true && pull.state === "open" && isNamed) return onFeedback({ repo, pull: number, actor }, deps);
  const key = pull === undefined ? `issue-${number}` : keyOfPull(pull);
  const isHeard = !isAside(text, slug) && (await onWord(job, deps, { forge, key, isNamed }));
  if (isNamed && !isHeard) await onQuestion(job, deps, forge);
}

/** False where no run hears it, and the last one asked nothing. */
async function onWord(
  job: Said,
  deps: IntakeDeps,
  { forge, key, isNamed }: { forge: Forge; key: string | undefined; isNamed: boolean },
): Promise<boolean> {
  const { redis } = deps.queues;
  // What a run took in begins another one when it is delivered again after that has ended.
  if (job.isLate !== true && (await isDone(redis, job.repo, job.comment))) return true;
  const live = key === undefined ? [] : await liveOn(deps.queues, job.repo, key);
  if (live.length > 0 && !mayWrite(await forge.permission(job.actor.login))) return true;
  for (const { run } of live) {
    if (!(await steer(deps.inbox, run.runId, job))) continue;
    await setDone(redis, job.repo, job.comment);
    return true;
  }
  if (!job.isPull && (await onAnswer(job, deps, forge))) return true;
  const isLate = !isNamed && (live.length > 0 || job.isLate === true);
  if (isLate) await sayLate(job, forge);
  return isLate;
}

/** False where the run has just ended, and reads nothing more. */
async function steer(inbox: Inbox, runId: string, { comment: id, actor, text, ...at }: Said): Promise<boolean> {
  const isThere = (await inbox.read(runId)).some((message) => message.kind === "comment" && message.id === id);
  return (
    isThere || (await inbox.send(runId, { kind: "comment", id, by: actor.login, text, at: { ...at, by: actor.id } }))
  );
}

async function sayLate({ isPull, comment, number }: Said, forge: Forge): Promise<void> {
  const next = isPull
    ? "Say it again with my name in it, and I take it in."
    : "`/agent-fix continue` has me take it in.";
  const mark = answerMark(comment);
  await forge.ensureComment(number, mark, `${mark}\nThe run ended before it came to read this. ${next}`);
}

/** A question to us begins a run that changes nothing. Safe to repeat. */
async function onQuestion(
  { repo, number, isPull, actor, comment, text, isLate, inThread = false, inReview = false }: Said,
  { queues, inbox }: IntakeDeps,
  forge: Forge,
): Promise<void> {
  if (isLate !== true && (await isDone(queues.redis, repo, comment))) return;
  if (!mayWrite(await forge.permission(actor.login))) return refuse(forge, number, actor);
  const subject: Subject = { kind: "question", number, isPull, comment, inThread };
  const run = newRun(repo, subject, actor, `${inReview ? "review" : "comment"}-${comment}`);
  const isThere = (await inbox.read(run.runId)).some(({ kind }) => kind === "task");
  if (!isThere) await inbox.send(run.runId, { kind: "task", title: `question by ${actor.login}`, body: text });
  await queues.addRun(run);
  // A review's own text takes no reaction.
  if (!inReview) await forge.react({ kind: inThread ? "review-comment" : "comment", id: comment }, "eyes");
  await setDone(queues.redis, repo, comment);
}
