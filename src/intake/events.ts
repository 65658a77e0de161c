import { mayWrite } from "../forge.ts";
import type { IntakeJob, Subject } from "../job.ts";
import { labelTrigger, triggerLabel } from "../triggers.ts";
import { onAnswer } from "./command.ts";
import { askAll, currentRun, keyOfPull, newRun, refuse, startRun } from "./start.ts";
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
  if (!mayWrite(await asked.permission(actor))) {
    await refuse(forge, { number, trigger, actor });
    await forge.removeLabel(number, triggerLabel);
    return;
  }
  const text = job.text ?? { title: issue.title, body: issue.body };
  const run = { ...newRun(job.repo, subject, actor, trigger), ...(askedAt === undefined ? {} : { askedAt }) };
  await startRun({ forge, deps, number, run, text, ...asked });
}

export async function onReview(job: Extract<IntakeJob, { kind: "review" }>, deps: IntakeDeps): Promise<void> {
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

export async function onStop(job: Extract<IntakeJob, { kind: "stop" }>, deps: IntakeDeps): Promise<void> {
  const { queues, host } = deps;
  const runId = await currentRun(queues.redis, job.repo, `issue-${job.issue}`);
  if (runId === undefined) return;
  const forge = host.forge(job.repo, "report");
  const [issue, ours] = await Promise.all([forge.issue(job.issue), host.app()]);
  const stillWanted = issue.state === "open" && issue.labels.includes(triggerLabel);
  if (stillWanted || job.actor.login === ours.botLogin) return;

  await stopRun(deps, { runId, forge, number: job.issue, by: job.actor, reason: job.reason });
}

/**
 * A word of somebody with write access reaches the run that works there. Where the last one ended with a question, it is
 * the answer, and a new run goes on with it.
 */
export async function onComment(job: Extract<IntakeJob, { kind: "comment" }>, deps: IntakeDeps): Promise<void> {
  const { repo, number, actor, comment: id, text } = job;
  const { queues, inbox } = deps;
  const forge = deps.host.forge(repo, "report");
  const key = job.isPull ? keyOfPull(await forge.pull(number)) : `issue-${number}`;
  const runId = key && (await currentRun(queues.redis, repo, key));
  if (runId === undefined || !(await queues.isLive(runId))) return job.isPull ? undefined : onAnswer(job, deps, forge);
  if (!mayWrite(await forge.permission(actor.login))) return;
  const isThere = (await inbox.read(runId)).some((message) => message.kind === "comment" && message.id === id);
  if (!isThere) await inbox.send(runId, { kind: "comment", id, by: actor.login, text });
}
