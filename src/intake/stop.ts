import { randomUUID } from "node:crypto";
import { RefusedError } from "../errors.ts";
import type { Forge } from "../forge.ts";
import { asLate } from "../inbox.ts";
import type { Actor, RunJob, Subject } from "../job.ts";
import { keepOutcome } from "../maintenance/memory.ts";
import type { LiveRun } from "../queue.ts";
import { amendStatus, readStatus, writeStatus } from "../status-comment.ts";
import { answerMark, isTerminal, renderStatus } from "../status.ts";
import type { StatusMarker } from "../status.ts";
import { inlineText } from "../text.ts";
import { statusPlaceOf } from "../waiting.ts";
import { replyStopped } from "../queued-reply.ts";
import type { IntakeDeps } from "./start.ts";

interface Stop {
  forge: Forge;
  by: Actor;
  reason: string;
}

/** Stops the runs that a comment on the issue or pull request `number` is about, and answers it for what nobody sees there. */
export async function stopAll(
  deps: IntakeDeps,
  runs: readonly LiveRun[],
  { number, comment, ...stop }: Stop & { number: number; comment: number },
): Promise<void> {
  const unseen: string[] = [];
  for (const live of runs) {
    const isTold = await stopRun(deps, live, stop);
    const { subject } = live.run;
    if (!isTold || statusPlaceOf(subject) !== number) unseen.push(`I stop ${nameOf(subject)}.`);
  }
  if (unseen.length === 0) return;
  const mark = answerMark(comment);
  await stop.forge.ensureComment(number, mark, `${mark}\n${unseen.join(" ")}`);
}

function nameOf(subject: Subject): string {
  switch (subject.kind) {
    case "task":
      return `the run of the task \`${subject.key}\``;
    case "question":
      return "looking into what was asked here";
    case "onboarding":
      return "the run for the first settings";
    case "issue":
    case "review":
    case "checks":
    case "merge":
      return `the run on #${statusPlaceOf(subject)}`;
  }
}

/**
 * Tells a run to end, and ends it here where no worker has claimed it. True where that is to be seen in its status comment
 * or in the reply to its review, now or when its worker ends it.
 */
export async function stopRun(deps: IntakeDeps, { run, isWorking }: LiveRun, stop: Stop): Promise<boolean> {
  const { queues, inbox } = deps;
  const { runId, subject } = run;
  const { forge, by, reason } = stop;
  // Before its worker knows of it, whose own words come last.
  const isReplied =
    subject.kind === "review" && (await unlessRefused(replyStopped(forge, subject.pull, { runId, by, reason })));
  await unlessRefused(keepHandled(deps, run, forge));
  await inbox.send(runId, { kind: "stop", by: by.login, reason });
  const isUnbegun = !isWorking && mayEndHere(subject) && (await queues.isUnclaimed(runId));
  // Told before it is taken out: what fails in between is done again, and nobody takes the run for lost.
  const isTold = isWorking
    ? statusPlaceOf(subject) !== undefined
    : await unlessRefused(tell(deps, run, stop, isUnbegun));
  if (isUnbegun && (await queues.removeWaiting(runId))) await forget(deps, run, reason);
  else await queues.hasten(runId);
  return isReplied === true || isTold === true;
}

/** Of a question and of first settings a worker tells. */
function mayEndHere({ kind }: Subject): boolean {
  return kind !== "question" && kind !== "onboarding";
}

/** Also where a conversation is locked, the run is stopped. */
async function unlessRefused<T>(speaking: Promise<T>): Promise<T | undefined> {
  return speaking.catch((error: unknown) => {
    if (!(error instanceof RefusedError)) throw error;
    return undefined;
  });
}

/** In the status comment, where that is the run's: that it ended, or else that it will. */
async function tell(
  { queues }: IntakeDeps,
  { runId, subject }: RunJob,
  { forge, by, reason }: Stop,
  isUnbegun: boolean,
): Promise<boolean> {
  const number = statusPlaceOf(subject);
  const status = number === undefined ? undefined : await readStatus(forge, number);
  const isOthers = (found: StatusMarker | undefined) => found?.run !== runId || isTerminal(found.state);
  if (number === undefined || status === undefined || isOthers(status)) return false;
  const name = inlineText(by.login);
  const body = isUnbegun
    ? renderStatus({ ...status, state: "cancelled" }, `Stopped by ${name}: ${reason}`, [
        `The run had not started. ${again[subject.kind] ?? ""}`,
      ])
    : renderStatus(status, `Stopping, as ${name} asked`, ["The run is paused, and ends as soon as a worker takes it."]);
  await writeStatus({ redis: queues.redis, forge, number }, body, isOthers);
  return true;
}

/** Checks or a conflict that a person wants left alone are not found anew. */
async function keepHandled({ queues }: IntakeDeps, { subject }: RunJob, forge: Forge): Promise<void> {
  if (subject.kind !== "checks" && subject.kind !== "merge") return;
  const place = { redis: queues.redis, forge, number: subject.pull };
  await amendStatus(place, (status) => ({
    ...status,
    watch: { attempts: 0, ...status.watch, handled: subject.key },
  }));
}

const again: Partial<Record<Subject["kind"], string>> = {
  issue: "Set the label again, or say `/agent-fix retry`, to have it after all.",
  review: "Another review, or `/agent-fix continue`, has me answer after all.",
  checks: "I see to checks again when they fail on another commit.",
  merge: "`/agent-fix continue` has me merge the base after all.",
};

/** Of a task, the memory has to know: what it takes for lost is begun again. */
async function forget(
  { queues, inbox, now }: IntakeDeps,
  { runId, repo, subject }: RunJob,
  reason: string,
): Promise<void> {
  if (subject.kind === "task") {
    const last = { run: runId, at: now().toISOString(), outcome: "cancelled" as const, cause: reason };
    await keepOutcome(queues.redis, repo, subject.key, last);
    const delivery = `stopped-${randomUUID()}`;
    await queues.addIntake({ kind: "upkeep", delivery, repo }, delivery);
  }
  for (const late of asLate(repo, await inbox.close(runId))) await queues.addIntake(late, late.delivery);
  await inbox.delete(runId);
}
