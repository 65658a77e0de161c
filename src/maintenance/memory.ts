import type { Redis } from "ioredis";
import { z } from "zod";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";
import type { Schedule } from "./schedule.ts";

const outcome = z.object({
  run: z.string(),
  /** ISO 8601. */
  at: z.iso.datetime(),
  outcome: z.enum(["published", "no-change", "needs-input", "gave-up", "cancelled"]),
  cause: z.string().optional(),
  /** Markdown. */
  detail: z.string().optional(),
  /** What did not pass and is not tried again as it is: by content, such as `left-pad@2`, what names its versions. */
  failed: z.record(z.string(), z.string()).optional(),
});
/** How a task's newest run ended. */
export type LastOutcome = z.infer<typeof outcome>;

const task = z.object({
  /** Cron line and time zone: another one counts as new, so that nothing from before starts at once. */
  schedule: z.string(),
  /** The newest time of the schedule that is done with; before the first, when it was first seen. ISO 8601. */
  slot: z.iso.datetime(),
  /** The newest run, and what a job for it needs. */
  run: z
    .object({ id: z.string(), trigger: z.string(), actor: z.object({ id: z.number(), login: z.string() }) })
    .optional(),
  /** The highest number among the names of its branches: those before need not be looked at. */
  branches: z.number().optional(),
  /** By command, until it is taken back. */
  isIgnored: z.boolean().optional(),
  /** The newest pull request when a person asked for the task again: what they turned down till then counts no more. */
  reopened: z.number().optional(),
  /** The newest pull request that a person closed and renamed, once that was seen to. */
  renamed: z.number().optional(),
  last: outcome.optional(),
});
/** What is remembered of one task. */
export type TaskMemory = z.infer<typeof task>;

export const memorySchema = z.record(z.string(), task);
/** By the tasks' keys. */
export type Memory = z.infer<typeof memorySchema>;

/** Of a task that is seen for the first time, or with another schedule: nothing from before starts at once. */
export function newMemory({ schedule, timezone }: Schedule, now: Date): TaskMemory {
  return { schedule: `${schedule} ${timezone}`, slot: now.toISOString() };
}

/** What counts now of what is remembered of a task. A time that has not come yet was set by a clock that was ahead. */
export function rememberedOf(schedule: Schedule, known: TaskMemory | undefined, now: Date): TaskMemory {
  const fresh = newMemory(schedule, now);
  if (known?.schedule !== fresh.schedule) return { ...known, ...fresh };
  return Date.parse(known.slot) > now.getTime() ? { ...known, slot: fresh.slot } : known;
}

const limitMs = 3000;
const keepSeconds = 400 * 24 * 3600;
const keyOf = (repo: RepoRef) => `${redisPrefix}:tasks:${repo.id}`;
const outcomesOf = (repo: RepoRef) => `${redisPrefix}:outcomes:${repo.id}`;

/**
 * What Redis remembers of a repository's tasks; where it lost that, what the dashboard says. How runs ended is written
 * by workers, so it has a key of its own: neither side overwrites the other.
 */
export async function loadMemory(redis: Redis, repo: RepoRef, backup: Memory): Promise<Memory> {
  const [tasks, outcomes] = await within(
    limitMs,
    Promise.all([redis.get(keyOf(repo)), redis.hgetall(outcomesOf(repo))]),
  );
  const known = tasks === null ? backup : memorySchema.parse(JSON.parse(tasks));
  const withLast = Object.entries(known).map(([key, one]) => {
    const last = outcomes[key] === undefined ? one.last : outcome.parse(JSON.parse(outcomes[key]));
    return [key, { ...one, ...(last !== undefined && { last }) }];
  });
  return Object.fromEntries(withLast) as Memory;
}

export async function saveMemory(redis: Redis, repo: RepoRef, tasks: Memory): Promise<void> {
  await within(limitMs, redis.set(keyOf(repo), JSON.stringify(tasks), "EX", keepSeconds));
}

/** Keeps how a task's run ended; for the worker. */
export async function keepOutcome(redis: Redis, repo: RepoRef, key: string, last: LastOutcome): Promise<void> {
  const writing = redis.multi().hset(outcomesOf(repo), key, JSON.stringify(last)).expire(outcomesOf(repo), keepSeconds);
  await within(limitMs, writing.exec());
}
