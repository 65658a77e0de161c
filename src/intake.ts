import { readTaskCommand } from "./commands.ts";
import { onCommand } from "./intake/command.ts";
import { onComment, onLabel, onStop } from "./intake/events.ts";
import { onFeedback } from "./intake/feedback.ts";
import { onTaskCommand } from "./intake/task.ts";
import { onUpkeep } from "./intake/upkeep.ts";
import { onWatch } from "./intake/watch.ts";
import type { IntakeDeps } from "./intake/start.ts";
import type { IntakeJob } from "./job.ts";
import { withLock } from "./lock.ts";
import { refresh } from "./maintenance/refresh.ts";
import type { Queues } from "./queue.ts";
import { branchPrefix } from "./triggers.ts";

type Accepted = Exclude<IntakeJob, { kind: "sweep" }>;

/**
 * Decides about one accepted event, which arrived at `askedAt` (milliseconds since the epoch): a refusal, a stop, or a
 * run and its status comment. Safe to repeat.
 */
export async function handleIntake(job: Accepted, deps: IntakeDeps, askedAt?: number): Promise<void> {
  const { redis } = deps.queues;
  let hasStarted = false;
  const addRun: Queues["addRun"] = async (run) => {
    const isNew = await deps.queues.addRun(run);
    hasStarted ||= isNew;
    return isNew;
  };
  const noting = { ...deps, queues: { ...deps.queues, addRun } };
  await withLock(redis, `intake-${job.repo.id}-${placeOf(job)}`, 20_000, () => decide(job, noting, askedAt));
  // That shows the dashboard itself.
  if (hasStarted && job.kind !== "upkeep") await refresh(deps.queues, job.repo);
}

function decide(job: Accepted, deps: IntakeDeps, askedAt: number | undefined): Promise<void> {
  switch (job.kind) {
    case "label":
      return onLabel(job, deps, askedAt);
    case "feedback":
      return onFeedback(job, deps);
    case "watch":
      return onWatch(job, deps);
    case "upkeep":
      return onUpkeep(job, deps);
    case "stop":
      return onStop(job, deps);
    case "comment":
      return onComment(job, deps);
    case "command":
      return readTaskCommand(job.text) === undefined ? onCommand(job, deps) : onTaskCommand(job, deps);
  }
}

/** Events about one place are decided about one after the other. */
function placeOf(job: Accepted): string {
  switch (job.kind) {
    case "feedback":
    case "watch":
      return job.branch.slice(branchPrefix.length);
    case "comment":
    case "command":
      return `issue-${job.number}`;
    case "upkeep":
      return "upkeep";
    case "label":
    case "stop":
      return `issue-${job.issue}`;
  }
}
