import { join } from "node:path";
import { messageOf } from "../src/errors.ts";
import { listRuns, runsDir } from "../src/runlog.ts";
import { reap } from "../sandbox/reap.ts";
import { revokeLeftTokens } from "./run.ts";
import type { WorkerDeps } from "./run.ts";

/**
 * Removes containers and volumes and revokes tokens of runs that this machine does not work on. It belongs to the worker,
 * not to the sweep's job: only this machine sees its engine and its DATA_DIR.
 */
export async function tidy(deps: Pick<WorkerDeps, "engine" | "dataDir" | "host" | "log" | "isLive">): Promise<void> {
  const live = new Set<string>();
  try {
    // Another worker process may share this engine, so the queue is asked, not this process.
    const known = [...listRuns(deps.dataDir), ...(await deps.engine.list()).map((one) => one.run)];
    for (const runId of new Set(known)) if (await deps.isLive(runId)) live.add(runId);
    const { removed } = await reap(deps.engine, (runId) => live.has(runId));
    if (removed.length > 0) deps.log.info({ removed: removed.length }, "left-overs of dead runs were removed");
  } catch (error) {
    deps.log.warn({ error: messageOf(error) }, "left-overs could not be removed");
    return;
  }
  for (const runId of listRuns(deps.dataDir).filter((one) => !live.has(one))) {
    try {
      await revokeLeftTokens(join(runsDir(deps.dataDir), runId), deps.host);
    } catch (error) {
      deps.log.warn({ run: runId, error: messageOf(error) }, "a dead run's token could not be revoked");
    }
  }
}
