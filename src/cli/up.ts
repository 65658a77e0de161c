import { Command } from "commander";
import { readConfig } from "../config.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import { composeLog, productionPace, startWebRole, startWorkerRole } from "./compose.ts";
import { crash, endOnCrash } from "./crash.ts";
import { watchVersions } from "./doctor/watch.ts";
import { startEmbeddedRedis } from "./embedded-redis.ts";
import { createAppInBrowser } from "./manifest.ts";
import { untilStopped } from "./until-stopped.ts";
import { forwardWebhooks } from "./webhook-proxy.ts";

export function upCommand(): Command {
  return new Command("up")
    .description("Web and worker in one process, with an own Redis unless REDIS_URL is set")
    .action(async () => {
      const config = readConfig();
      const log = composeLog(config);
      endOnCrash(log);
      const stopped = untilStopped();
      const credentials = config.app ?? (await createAppInBrowser(config, log, stopped));
      if (credentials === undefined) return;
      await using stack = new AsyncDisposableStack();
      const redisUrl = config.redisUrl ?? (await startOwnRedis(config, log, stack));
      const parts = { config, credentials, redisUrl, log, pace: productionPace };
      const web = stack.use(await startWebRole(parts));
      stack.use(await startWorkerRole(parts));
      stack.use(watchVersions(parts));
      const proxy = config.http.webhookProxyUrl;
      if (proxy !== undefined) stack.use(await forwardWebhooks(proxy, `${web.url}/api/github/webhooks`, log));
      console.log(`agent-fix is up at ${web.url}. Set the label "agent-fix" on an issue to start a run.`);
      await stopped;
      log.info("stopping: runs in work go back to the queue");
    });
}

async function startOwnRedis({ dataDir }: Config, log: Log, stack: AsyncDisposableStack): Promise<string> {
  const { url, lost } = stack.use(await startEmbeddedRedis(dataDir));
  void lost.then((error) => crash(log, error));
  return url;
}
