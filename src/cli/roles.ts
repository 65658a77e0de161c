import { Command } from "commander";
import { readConfig, requireApp } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { composeLog, productionPace, startWebRole, startWorkerRole } from "./compose.ts";
import type { Parts } from "./compose.ts";
import { endOnCrash } from "./crash.ts";
import { watchVersions } from "./doctor/watch.ts";
import { untilStopped } from "./until-stopped.ts";

export function webCommand(): Command {
  return new Command("web").description("Receive webhooks and decide about them; needs REDIS_URL").action(async () => {
    await using _web = await startWebRole(partsFromEnvironment());
    await untilStopped();
  });
}

export function workerCommand(): Command {
  return new Command("worker")
    .description("Take runs and work on them; needs REDIS_URL and Docker")
    .action(async () => {
      const parts = partsFromEnvironment();
      await using _worker = await startWorkerRole(parts);
      await using _watch = watchVersions(parts);
      await untilStopped();
    });
}

function partsFromEnvironment(): Parts {
  const config = readConfig();
  const credentials = requireApp(config);
  if (config.redisUrl === undefined) {
    throw new ConfigError(
      "REDIS_URL is not set. `web` and `worker` share one Redis: set it to that server's address, or run `agent-fix up` on one machine.",
    );
  }
  const log = composeLog(config);
  endOnCrash(log);
  return { config, credentials, redisUrl: config.redisUrl, log, pace: productionPace };
}
