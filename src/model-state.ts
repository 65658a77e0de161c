import type { Redis } from "ioredis";
import { z } from "zod";
import { redisPrefix, within } from "./queue.ts";

const state = z.object({
  name: z.string(),
  /** Why requests wait, where they do. */
  waitsFor: z.string().optional(),
  /** Since when it is so; ISO 8601. */
  since: z.string(),
  /** When that was seen last, to the hour; ISO 8601. */
  asked: z.string().optional(),
});
/** What the workers last saw of the model server. */
export type ModelState = z.infer<typeof state>;

const key = `${redisPrefix}:model`;

export async function keepModelState(redis: Redis, seen: ModelState): Promise<void> {
  await within(3000, redis.set(key, JSON.stringify(seen), "EX", 30 * 24 * 3600));
}

/** Undefined before the first request, and after Redis lost its data. */
export async function readModelState(redis: Redis): Promise<ModelState | undefined> {
  const kept = await within(3000, redis.get(key));
  return kept === null ? undefined : state.parse(JSON.parse(kept));
}
