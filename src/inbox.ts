import { setTimeout } from "node:timers/promises";
import type { Redis } from "ioredis";
import { z } from "zod";
import { redisPrefix, within } from "./queue.ts";

const message = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("task"), title: z.string(), body: z.string() }),
  /** What our status comment said of the run before, and what a person answered. */
  z.object({ kind: z.literal("earlier"), said: z.string(), by: z.string(), answer: z.string() }),
  z.object({ kind: z.literal("comment"), id: z.number(), by: z.string(), text: z.string() }),
  z.object({ kind: z.literal("stop"), by: z.string(), reason: z.string() }),
]);
/** What may reach a run from outside. */
export type InboxMessage = z.infer<typeof message>;

/** One run's Redis stream: the only way from outside into a run. Kept a week, or until the run ends. */
export interface Inbox {
  send(runId: string, message: InboxMessage): Promise<void>;
  /** All messages so far, oldest first. */
  read(runId: string): Promise<InboxMessage[]>;
  delete(runId: string): Promise<void>;
}

export function createInbox(redis: Redis): Inbox {
  const key = (runId: string) => `${redisPrefix}:inbox:${runId}`;
  return {
    async send(runId, content) {
      await within(
        3000,
        redis
          .multi()
          .xadd(key(runId), "*", "m", JSON.stringify(message.parse(content)))
          .expire(key(runId), 7 * 24 * 3600)
          .exec(),
      );
    },
    async read(runId) {
      const entries = await within(3000, redis.xrange(key(runId), "-", "+"));
      return entries.map(([, fields]) => message.parse(JSON.parse(fields[1] ?? "")));
    },
    async delete(runId) {
      await within(3000, redis.del(key(runId)));
    },
  };
}

/** Calls `onMessage` once for each message, also for those that wait already, looking every `everyMs`, until the signal aborts. */
export async function watchInbox(
  inbox: Inbox,
  runId: string,
  { everyMs, signal, onMessage }: { everyMs: number; signal: AbortSignal; onMessage: (message: InboxMessage) => void },
): Promise<void> {
  let seen = 0;
  while (!signal.aborted) {
    // An outage of Redis does not stop a run; the next look catches up.
    const messages = await inbox.read(runId).catch(() => []);
    for (const arrived of messages.slice(seen)) onMessage(arrived);
    seen = Math.max(seen, messages.length);
    await setTimeout(everyMs, undefined, { signal }).catch(() => {});
  }
}
