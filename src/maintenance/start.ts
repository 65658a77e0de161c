import { newRun } from "../intake/start.ts";
import type { IntakeDeps } from "../intake/start.ts";
import type { Actor, RepoRef } from "../job.ts";
import type { View } from "./standing.ts";

/**
 * Queues a run of a task, unless another of it waits or works. The same trigger gives the same run; true where it waits,
 * works, or has ended.
 */
export async function startTask(
  { queues, log }: Pick<IntakeDeps, "queues" | "log">,
  repo: RepoRef,
  view: View,
  { trigger, actor }: { trigger: string; actor: Actor },
): Promise<boolean> {
  const run = newRun(repo, { kind: "task", key: view.key }, actor, trigger);
  const added = await queues.addRun(run);
  const isLive = added || (await queues.isLive(run.runId));
  const isKnown = isLive || view.memory.last?.run === run.runId;
  if (isKnown) view.memory = { ...view.memory, run: { id: run.runId, trigger, actor } };
  view.standing = { ...view.standing, isLive };
  if (added) log.info({ repo: `${repo.owner}/${repo.name}`, task: view.key, run: run.runId }, "a task was started");
  return isKnown;
}

/** Queues once more what the queue lost before it ended. */
export async function startTaskAgain(
  deps: Pick<IntakeDeps, "queues" | "log">,
  repo: RepoRef,
  view: View,
): Promise<void> {
  if (view.memory.run !== undefined) await startTask(deps, repo, view, view.memory.run);
}
