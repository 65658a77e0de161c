import { Command } from "commander";
import { SmeeClient } from "smee-client";
import { readConfig } from "../config.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import { composeLog, productionPace, startWebRole, startWorkerRole } from "./compose.ts";
import { startEmbeddedRedis } from "./embedded-redis.ts";
import { createAppInBrowser } from "./manifest.ts";
import { untilStopped } from "./until-stopped.ts";

export function upCommand(): Command {
  return new Command("up")
    .description("Web and worker in one process, with an own Redis unless REDIS_URL is set")
    .action(async () => {
      const config = readConfig();
      const log = composeLog(config);
      const stopped = untilStopped();
      const credentials = config.app ?? (await createAppInBrowser(config, log, stopped));
      if (credentials === undefined) return;
      await using stack = new AsyncDisposableStack();
      const redisUrl = config.redisUrl ?? stack.use(await startEmbeddedRedis(config.dataDir)).url;
      const parts = { config, credentials, redisUrl, log, pace: productionPace };
      const web = stack.use(await startWebRole(parts));
      stack.use(await startWorkerRole(parts));
      await forwardWebhooks(config, web.url, log);
      console.log(`agent-fix is up at ${web.url}. Set the label "agent-fix" on an issue to start a run.`);
      await stopped;
      log.info("stopping: runs in work go back to the queue");
    });
}

async function forwardWebhooks(config: Config, url: string, log: Log): Promise<void> {
  if (config.http.webhookProxyUrl === undefined) return;
  const logger = {
    info: () => {},
    error: (message: unknown) => log.warn({ message: String(message) }, "the webhook proxy reported an error"),
  };
  const smee = new SmeeClient({ source: config.http.webhookProxyUrl, target: `${url}/api/github/webhooks`, logger });
  await smee.start();
}
