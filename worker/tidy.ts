import { join } from "node:path";
import { messageOf } from "../src/errors.ts";
import { deleteRun, lastWritten, listRuns, runsDir } from "../src/runlog.ts";
import { reap } from "../sandbox/reap.ts";
import { revokeLeftTokens } from "./run.ts";
import type { WorkerDeps } from "./run.ts";

type TidyDeps = Pick<WorkerDeps, "engine" | "dataDir" | "host" | "log" | "isLive">;

/** How long a run's log is kept after its last event. */
const keepMs = 30 * 24 * 3600_000;

/**
 * Removes containers and volumes and revokes tokens of runs that this machine does not work on, and deletes old logs. It belongs to the worker,
 * not to the sweep's job: only this machine sees its engine and its DATA_DIR.
 */
export async function tidy(deps: TidyDeps): Promise<void> {
  await removeLeftovers(deps).catch((error: unknown) => {
    deps.log.warn({ error: messageOf(error) }, "left-overs could not be removed");
  });
  for (const runId of listRuns(deps.dataDir)) {
    try {
      // Another worker process may share this machine, so the queue is asked, not this process.
      if (await deps.isLive(runId)) continue;
      await revokeLeftTokens(join(runsDir(deps.dataDir), runId), deps.host);
      const written = lastWritten(deps.dataDir, runId);
      if (written !== undefined && Date.now() - written.getTime() > keepMs) deleteRun(deps.dataDir, runId);
    } catch (error) {
      deps.log.warn({ run: runId, error: messageOf(error) }, "what a dead run left could not be removed");
    }
  }
}

async function removeLeftovers({ engine, isLive, log }: TidyDeps): Promise<void> {
  const dead = new Set<string>();
  for (const runId of new Set((await engine.list()).map((one) => one.run))) if (!(await isLive(runId))) dead.add(runId);
  // What a run has begun since was asked about nobody, and stays.
  const { removed } = await reap(engine, (runId) => !dead.has(runId));
  if (removed.length > 0) log.info({ removed: removed.length }, "left-overs of dead runs were removed");
}
