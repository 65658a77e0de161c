import type { Redis } from "ioredis";
import { z } from "zod";
import { repoRef } from "./job.ts";
import { connectRedis, redisPrefix, within } from "./queue.ts";

/** That a repository has news which a run may soon ask for. */
export const prefetchHint = z.object({
  repo: repoRef,
  /** Whether the news is worth a first copy of the repository; without, only machines that have one refresh it. */
  mayCreate: z.boolean(),
  /** Whether a run is about to ask for it: then it waits for no rest. */
  urgent: z.boolean().optional(),
});
export type PrefetchHint = z.infer<typeof prefetchHint>;

const channel = `${redisPrefix}:prefetch`;

/**
 * Tells every worker machine that listens now, since each has its own mirrors. A hint that gets lost costs time and
 * nothing else: so it is stored nowhere, and an outage of Redis is no error.
 */
export async function announceHint(redis: Redis, hint: PrefetchHint): Promise<void> {
  await within(1000, redis.publish(channel, JSON.stringify(hint))).catch(() => {});
}

/** Calls `onHint` for every hint announced from now on until disposed, also after outages of Redis. */
export async function listenForHints(redisUrl: string, onHint: (hint: PrefetchHint) => void): Promise<Disposable> {
  const redis = connectRedis(redisUrl, "worker");
  const hear = (_channel: string, text: string) => {
    const hint = parseHint(text);
    if (hint !== undefined) onHint(hint);
  };
  redis.on("message", hear);
  // In an outage the subscription waits in the client until Redis is back; nobody else needs to.
  await within(3000, redis.subscribe(channel)).catch(() => {});
  return {
    [Symbol.dispose]() {
      // What has arrived already would still be told after the connection's end.
      redis.off("message", hear);
      redis.disconnect();
    },
  };
}

function parseHint(text: string): PrefetchHint | undefined {
  try {
    return prefetchHint.parse(JSON.parse(text));
  } catch {
    // From another version of us, or from nobody we know.
    return undefined;
  }
}
