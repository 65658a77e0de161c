import { RefusedError } from "../errors.ts";
import { mentions } from "../feedback.ts";
import { mayWrite } from "../forge.ts";
import type { Forge } from "../forge.ts";
import type { IntakeJob, RunJob, Subject } from "../job.ts";
import { brokenCause } from "../status.ts";
import type { StatusMarker } from "../status.ts";
import { labelTrigger, triggerLabel } from "../triggers.ts";
import { onAnswer } from "./command.ts";
import { onFeedback } from "./feedback.ts";
import { askAll, currentRun, isDone, keyOfPull, newRun, refuse, setDone, startRun } from "./start.ts";
import type { IntakeDeps } from "./start.ts";
import { stopRun } from "./stop.ts";

export async function onLabel(
  job: Extract<IntakeJob, { kind: "label" }>,
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
  // A bot may have the permission, and would begin what nobody asked for.
  if (actor.login.endsWith("[bot]") || !mayWrite(await asked.permission(actor))) {
    await refuse(forge, { number, trigger, actor });
    await forge.removeLabel(number, triggerLabel);
    return;
  }
  const text = job.text ?? { title: issue.title, body: issue.body };
  const begun =
    job.base === undefined
      ? newRun(job.repo, subject, actor, trigger)
      : onNewBase(newRun(job.repo, subject, actor, `base-${job.base}`), await asked.status, job.base);
  if (begun === undefined) return;
  const run = { ...begun, ...(askedAt === undefined ? {} : { askedAt }) };
  await startRun({ forge, deps, number, run, text, ...asked });
}

/** The run that goes on from the one that found its base broken; none where another word came first. */
function onNewBase(run: RunJob, status: StatusMarker | undefined, base: string): RunJob | undefined {
  if (status?.cause !== brokenCause || status.head === base) return undefined;
  return { ...run, follows: { run: status.run, covers: status.trigger, how: "retry" } };
}

export async function onStop(job: Extract<IntakeJob, { kind: "stop" }>, deps: IntakeDeps): Promise<void> {
  const { queues, host } = deps;
  // A review of the pull request for it has the same branch, and is none of the label's business.
  const runId = await currentRun(queues.redis, job.repo, `issue-${job.issue}`, "issue");
  if (runId === undefined) return;
  const forge = host.forge(job.repo, "report");
  const [issue, ours] = await Promise.all([forge.issue(job.issue).catch(unlessGone), host.app()]);
  const stillWanted = issue?.state === "open" && issue.labels.includes(triggerLabel);
  if (stillWanted || job.actor.login === ours.botLogin) return;

  await stopRun(deps, { runId, forge, number: job.issue, by: job.actor, reason: job.reason });
}

function unlessGone(error: unknown): undefined {
  if (!(error instanceof RefusedError && error.why === "gone")) throw error;
}

/**
 * A word of somebody with write access reaches the run that works there. Where the last one ended with a question, it is
 * the answer, and a new run goes on with it. Where it names us, it is feedback on our own pull request, else a question.
 */
export async function onComment(job: Extract<IntakeJob, { kind: "comment" }>, deps: IntakeDeps): Promise<void> {
  const { repo, number, actor, comment: id, text } = job;
  const { queues, inbox } = deps;
  const forge = deps.host.forge(repo, "report");
  const [{ slug }, pull] = await Promise.all([deps.host.app(), job.isPull ? forge.pull(number) : undefined]);
  const isNamed = mentions(text, slug);
  if (pull?.ours === true && pull.state === "open" && isNamed) return onFeedback({ repo, pull: number, actor }, deps);
  const key = pull === undefined ? `issue-${number}` : keyOfPull(pull);
  const runId = key && (await currentRun(queues.redis, repo, key));
  if (runId !== undefined && (await queues.isLive(runId))) {
    if (!mayWrite(await forge.permission(actor.login))) return;
    const isThere = (await inbox.read(runId)).some((message) => message.kind === "comment" && message.id === id);
    if (!isThere) await inbox.send(runId, { kind: "comment", id, by: actor.login, text });
    return;
  }
  if (!job.isPull && (await onAnswer(job, deps, forge))) return;
  if (isNamed) await onQuestion(job, deps, forge);
}

/** A question to us begins a run that changes nothing. Safe to repeat. */
async function onQuestion(
  { repo, number, isPull, actor, comment, text, inThread = false }: Extract<IntakeJob, { kind: "comment" }>,
  { queues, inbox }: IntakeDeps,
  forge: Forge,
): Promise<void> {
  if (await isDone(queues.redis, repo, comment)) return;
  if (!mayWrite(await forge.permission(actor.login)))
    return refuse(forge, { number, trigger: `question-${actor.id}`, actor });
  const subject: Subject = { kind: "question", number, isPull, comment, inThread };
  const run = newRun(repo, subject, actor, `comment-${comment}`);
  const isThere = (await inbox.read(run.runId)).some(({ kind }) => kind === "task");
  if (!isThere) await inbox.send(run.runId, { kind: "task", title: `question by ${actor.login}`, body: text });
  await queues.addRun(run);
  await forge.react({ kind: inThread ? "review-comment" : "comment", id: comment }, "eyes");
  await setDone(queues.redis, repo, comment);
}
