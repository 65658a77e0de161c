import { Command } from "commander";
import { SmeeClient } from "smee-client";
import { readConfig } from "../config.ts";
import { ConfigError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { composeLog, productionPace, startWebRole, startWorkerRole } from "./compose.ts";
import { watchVersions } from "./doctor/watch.ts";
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
      stack.use(watchVersions(parts));
      const proxy = config.http.webhookProxyUrl;
      if (proxy !== undefined) stack.use(await forwardWebhooks(proxy, `${web.url}/api/github/webhooks`, log));
      console.log(`agent-fix is up at ${web.url}. Set the label "agent-fix" on an issue to start a run.`);
      await stopped;
      log.info("stopping: runs in work go back to the queue");
    });
}

const connectLimitMs = 10_000;

/** Hands on to `target` what arrives at the webhook proxy, until disposed. Throws a ConfigError when it can't be reached. */
export async function forwardWebhooks(
  source: string,
  target: string,
  log: Log,
  limitMs = connectLimitMs,
): Promise<AsyncDisposable> {
  const logger = {
    info: () => {},
    error: (message: unknown) => log.warn({ message: String(message) }, "the webhook proxy reported an error"),
  };
  const smee = new SmeeClient({ source, target, logger });
  // Its own limit would also end a connection that is lost and on its way back at that moment.
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  try {
    await Promise.race([smee.start(), late.promise]);
  } catch (cause) {
    await smee.stop();
    const why = cause instanceof Event && "message" in cause ? String(cause.message) : messageOf(cause);
    throw new ConfigError(
      `WEBHOOK_PROXY_URL: ${source} can't be reached (${why}). Give the address of a smee.io channel, or leave it unset.`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
  }
  return { [Symbol.asyncDispose]: () => smee.stop() };
}
