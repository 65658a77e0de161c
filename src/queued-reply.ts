import type { Forge } from "./forge.ts";
import type { Actor, RunJob } from "./job.ts";
import { replyMark } from "./status.ts";
import { inlineText } from "./text.ts";

const queued = (runId: string) =>
  `${replyMark(runId)}\nQueued: I answer this review when the run before it on this pull request has ended.`;
const stopped = (runId: string) => `${replyMark(runId)}<!-- agent-fix:stopped -->`;

/** A review behind another run: the status comment is that run's, so the answer stands where the reply will. */
export async function replyQueued(forge: Forge, pull: number, { runId, subject }: RunJob): Promise<void> {
  if (subject.kind === "review") await forge.ensureComment(pull, replyMark(runId), queued(runId));
}

/** Says in the reply to a review that it gets none; true where it says so, false where its run has replied already. */
export async function replyStopped(
  forge: Forge,
  pull: number,
  { runId, by, reason }: { runId: string; by: Actor; reason: string },
): Promise<boolean> {
  const found = await forge.findComment(pull, replyMark(runId));
  if (found !== undefined && found.body !== queued(runId)) return found.body.startsWith(stopped(runId));
  const again = "Another review brings an answer to this one too, and so does `/agent-fix continue`.";
  const body = `${stopped(runId)}\nStopped by ${inlineText(by.login)}: ${reason}. ${again}`;
  await forge.ensureComment(pull, replyMark(runId), body);
  return true;
}

/** Says in the reply to a review that still waits what became of it; where its run has replied, that stands. */
export async function replyEnded(forge: Forge, pull: number, runId: string, text: string): Promise<void> {
  if ((await forge.findComment(pull, replyMark(runId)))?.body !== queued(runId)) return;
  await forge.ensureComment(pull, replyMark(runId), `${replyMark(runId)}\n${text}`);
}

/** Whether a person stopped the run before it replied: nothing but a person's word begins it again. */
export async function wasStopped(forge: Forge, pull: number, runId: string): Promise<boolean> {
  return (await forge.findComment(pull, replyMark(runId)))?.body.startsWith(stopped(runId)) ?? false;
}
