import { createClient } from "../../../sandbox/docker.ts";
import { readFacts } from "../../../sandbox/facts.ts";
import { repeat } from "../../repeat.ts";
import type { Parts } from "../compose.ts";
import { textOf } from "./finding.ts";
import { redisInfo } from "./services.ts";
import { gitVersion, judgeVersions } from "./versions.ts";

const dayMs = 86_400_000;
type Watched = Pick<Parts, "config" | "redisUrl" | "log">;

/** Logs a warning now and every day for each program whose version is under its floor, until disposed. */
export function watchVersions(watched: Watched, everyMs = dayMs): AsyncDisposable {
  return repeat(everyMs, (signal) => warnOfVersions(watched, signal));
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
