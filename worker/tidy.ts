import { join } from "node:path";
import { messageOf } from "../src/errors.ts";
import { deleteRun, isRunId, lastWritten, listRuns, runsDir } from "../src/runlog.ts";
import type { Owned } from "../sandbox/engine.ts";
import { reap } from "../sandbox/reap.ts";
import { createBaselines } from "./baseline.ts";
import { trimLedgers } from "./ledger.ts";
import { revokeLeftTokens } from "./run.ts";
import type { WorkerDeps } from "./run.ts";

type TidyDeps = Pick<WorkerDeps, "engine" | "kept" | "dataDir" | "host" | "log" | "isLive">;

/** How long a run's log is kept after its last event. */
const keepMs = 30 * 24 * 3600_000;
const longestChoreMs = 3600_000;

/**
 * Removes containers and volumes and revokes tokens of runs that this machine does not work on, and deletes old logs, and
 * trees and baselines that were not used for long, and old lines of the ledgers. It belongs to the worker,
 * not to the sweep's job: only this machine sees its engine and its DATA_DIR.
 */
export async function tidy(deps: TidyDeps): Promise<void> {
  await removeLeftovers(deps).catch((error: unknown) => {
    deps.log.warn({ error: messageOf(error) }, "left-overs could not be removed");
  });
  await deps.kept.evict().catch((error: unknown) => {
    deps.log.warn({ error: messageOf(error) }, "kept trees could not be looked through");
  });
  await createBaselines(deps.dataDir)
    .evict()
    .catch((error: unknown) => {
      deps.log.warn({ error: messageOf(error) }, "kept baselines could not be looked through");
    });
  await trimLedgers(deps.dataDir).catch((error: unknown) => {
    deps.log.warn({ error: messageOf(error) }, "the ledgers of flaky tests could not be trimmed");
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
  const runs = new Set((await engine.list()).map((one) => one.run));
  for (const run of runs) if (isRunId(run) && !(await isLive(run))) dead.add(run);
  // What a run has begun since was asked about nobody, and stays. What belongs to no run, such as the making of a base, is
  // dead when it is older than it may become.
  const isOver = ({ run, created }: Owned) =>
    isRunId(run) ? dead.has(run) : Date.now() - created.getTime() > longestChoreMs;
  const { removed } = await reap(engine, (owned) => !isOver(owned));
  if (removed.length > 0) log.info({ removed: removed.length }, "left-overs of dead runs were removed");
}
