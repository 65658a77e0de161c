import { asLate } from "../src/inbox.ts";
import type { InboxMessage } from "../src/inbox.ts";
import type { Stamped } from "../src/runlog.ts";
import type { Run, WorkerDeps } from "./run.ts";

/** Ends a run's inbox. Comments that the run never took in are heard as if they were made now. Safe to repeat. */
export async function passOn(
  { job, log }: Pick<Run, "job" | "log">,
  { inbox, hear }: Pick<WorkerDeps, "inbox" | "hear">,
): Promise<void> {
  const messages = await inbox.close(job.runId);
  for (const late of asLate(job.repo, unheard(messages, log.events))) await hear(late);
}

/** Pure: of an ended run, what nobody read. What a try read that died after it was lost with it. */
function unheard(messages: readonly InboxMessage[], events: readonly Stamped[]): InboxMessage[] {
  const heard = new Set<number>();
  let read: number[] = [];
  for (const event of events) {
    if (event.type === "note" && event.comment !== undefined) read.push(event.comment);
    else if (event.type === "claimed") read = [];
    else if (event.type === "finished" || (event.type === "gate" && event.passed)) read.forEach((id) => heard.add(id));
  }
  return messages.filter((message) => message.kind === "comment" && !heard.has(message.id));
}
