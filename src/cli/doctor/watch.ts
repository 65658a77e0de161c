import { createClient } from "../../../sandbox/docker.ts";
import { readFacts } from "../../../sandbox/facts.ts";
import type { Parts } from "../compose.ts";
import { textOf } from "./finding.ts";
import { redisInfo } from "./services.ts";
import { gitVersion, judgeVersions } from "./versions.ts";

const dayMs = 86_400_000;
type Watched = Pick<Parts, "config" | "redisUrl" | "log">;

/** Logs a warning now and every day for each program whose version is under its floor, until disposed. */
export function watchVersions(watched: Watched, everyMs = dayMs): AsyncDisposable {
  const stop = new AbortController();
  let working = false;
  const work = async () => {
    working = true;
    await warnOfVersions(watched, stop.signal);
    working = false;
  };
  let running = work();
  const timer = setInterval(() => {
    if (!working) running = work();
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await running;
    },
  };
}

async function warnOfVersions({ config, redisUrl, log }: Watched, signal: AbortSignal): Promise<void> {
  const host = config.sandbox.dockerHost;
  const client = createClient(host === undefined ? {} : { host });
  const [engine, git, redis] = await Promise.all([
    readFacts(client, signal).catch(() => undefined),
    gitVersion(),
    redisInfo(redisUrl).catch(() => undefined),
  ]);
  if (signal.aborted) return;
  for (const finding of judgeVersions({ engine, git, redis })) {
    if (finding.level === "ok") continue;
    log.warn({ part: finding.part, saw: textOf(finding) }, "a version is under its floor, or not known");
  }
}
