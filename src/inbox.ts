import { setTimeout } from "node:timers/promises";
import type { Redis } from "ioredis";
import { z } from "zod";
import { said } from "./job.ts";
import type { IntakeJob, RepoRef } from "./job.ts";
import { redisPrefix, within } from "./queue.ts";

const message = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("task"), title: z.string(), body: z.string() }),
  /** What our status comment said of the run before, and what a person answered. */
  z.object({ kind: z.literal("earlier"), said: z.string(), by: z.string(), answer: z.string() }),
  z.object({
    kind: z.literal("comment"),
    id: z.number(),
    by: z.string(),
    text: z.string(),
    /** Where it was made, and by whom: what it takes to hear it again. A former version did not say it. */
    at: said.pick({ number: true, isPull: true, inThread: true, inReview: true }).extend({ by: z.number() }).optional(),
  }),
  z.object({ kind: z.literal("stop"), by: z.string(), reason: z.string() }),
]);
/** What may reach a run from outside. */
export type InboxMessage = z.infer<typeof message>;

/** One run's Redis stream: the only way from outside into a run. Kept a week, or until the run ends. */
export interface Inbox {
  /** False where the run has closed it: then nothing is sent. */
  send(runId: string, message: InboxMessage): Promise<boolean>;
  /** Nobody sends to the run any more: all that came, oldest first. For an hour, in which the queue forgets the run. */
  close(runId: string): Promise<InboxMessage[]>;
  /** All messages so far, oldest first; none once it is closed. */
  read(runId: string): Promise<InboxMessage[]>;
  delete(runId: string): Promise<void>;
}

const add =
  "if redis.call('exists', KEYS[2]) == 1 then return 0 end redis.call('xadd', KEYS[1], '*', 'm', ARGV[1]) redis.call('expire', KEYS[1], ARGV[2]) return 1";
const weekSeconds = 7 * 24 * 3600;

export function createInbox(redis: Redis): Inbox {
  const key = (runId: string) => `${redisPrefix}:inbox:${runId}`;
  const closedKey = (runId: string) => `${redisPrefix}:inbox-closed:${runId}`;
  const entriesOf = async (runId: string) => {
    const entries = await within(3000, redis.xrange(key(runId), "-", "+"));
    return entries.map(([, fields]) => message.parse(JSON.parse(fields[1] ?? "")));
  };
  return {
    async send(runId, content) {
      const entry = JSON.stringify(message.parse(content));
      return (await within(3000, redis.eval(add, 2, key(runId), closedKey(runId), entry, weekSeconds))) === 1;
    },
    async close(runId) {
      await within(3000, redis.set(closedKey(runId), "1", "EX", 3600));
      return entriesOf(runId);
    },
    async read(runId) {
      return (await within(3000, redis.exists(closedKey(runId)))) === 1 ? [] : entriesOf(runId);
    },
    async delete(runId) {
      await within(3000, redis.del(key(runId)));
    },
  };
}

type Heard = Extract<IntakeJob, { kind: "comment" }>;

/** The comments among messages that no run read, as events that have just come. */
export function asLate(repo: RepoRef, messages: readonly InboxMessage[]): Heard[] {
  return messages.flatMap((one) => {
    if (one.kind !== "comment" || one.at === undefined) return [];
    const { id: comment, by: login, text, at } = one;
    const { by, ...place } = at;
    const delivery = `late-${repo.id}-${comment}`;
    return [{ kind: "comment", delivery, repo, ...place, actor: { id: by, login }, comment, text, isLate: true }];
  });
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
