import type { Redis } from "ioredis";
import { z } from "zod";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";

const keyOf = (repo: RepoRef) => `${redisPrefix}:questions:${repo.id}`;

/** Keeps which issues of a repository wait for a person's answer, as the last sweep found them. */
export async function keepQuestions(redis: Redis, repo: RepoRef, numbers: readonly number[]): Promise<void> {
  await within(3000, redis.set(keyOf(repo), JSON.stringify(numbers), "EX", 24 * 3600));
}

export async function readQuestions(redis: Redis, repo: RepoRef): Promise<number[]> {
  const kept = await within(3000, redis.get(keyOf(repo)));
  return kept === null ? [] : z.array(z.number()).parse(JSON.parse(kept));
}
