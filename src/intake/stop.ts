import type { Forge } from "../forge.ts";
import type { Actor } from "../job.ts";
import { readStatus, writeStatus } from "../status-comment.ts";
import { isTerminal, renderStatus } from "../status.ts";
import { inlineText } from "../text.ts";
import type { IntakeDeps } from "./start.ts";

/** Tells a run to end, and ends it here where no worker has begun it. `number`: where its status comment stands. */
export async function stopRun(
  { queues, inbox }: IntakeDeps,
  { runId, forge, number, by, reason }: { runId: string; forge: Forge; number: number; by: Actor; reason: string },
): Promise<void> {
  await inbox.send(runId, { kind: "stop", by: by.login, reason });
  if (!(await queues.removeWaiting(runId))) return;
  const status = await readStatus(forge, number);
  if (status === undefined || isTerminal(status.state)) return;
  await writeStatus(
    { redis: queues.redis, forge, number },
    renderStatus({ ...status, state: "cancelled" }, `Stopped by ${inlineText(by.login)}: ${reason}`, [
      "The run had not started. Set the label again, or say `/agent-fix retry`, to have it after all.",
    ]),
  );
  await inbox.delete(runId);
}
