// A worker process that kills itself with SIGKILL right after the run log's N-th event: node dying-worker.ts N
import { composeLog, startWorkerRole } from "../../../src/cli/compose.ts";
import type { Pace } from "../../../src/cli/compose.ts";
import { teeRunLog } from "../../../src/cli/progress.ts";
import { readConfig, requireApp } from "../../../src/config.ts";
import { openRunLog } from "../../../src/runlog.ts";

const last = Number(process.argv[2]);
const pace = JSON.parse(process.argv[3] ?? "") as Pace;
const config = readConfig();
const parts = {
  config,
  credentials: requireApp(config),
  redisUrl: config.redisUrl ?? "",
  log: composeLog(config),
  pace,
};
await startWorkerRole(parts, (runId) =>
  teeRunLog(openRunLog(config.dataDir, runId), ({ n }) => {
    if (n === last) process.kill(process.pid, "SIGKILL");
  }),
);
