import type { Redis } from "ioredis";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";

const keepSeconds = 24 * 3600;
const keyOf = (repo: RepoRef) => `${redisPrefix}:asked:${repo.id}`;

/** Keeps which issues of a repository wait for a person's answer, as the last sweep found them. */
export async function keepQuestions(redis: Redis, repo: RepoRef, numbers: readonly number[]): Promise<void> {
  const writing = redis.multi().del(keyOf(repo));
  if (numbers.length > 0) writing.sadd(keyOf(repo), ...numbers).expire(keyOf(repo), keepSeconds);
  await within(3000, writing.exec());
}

/** The same of one issue whose run has ended. */
export async function keepQuestion(redis: Redis, repo: RepoRef, number: number, isAsked: boolean): Promise<void> {
  const key = keyOf(repo);
  const writing = isAsked ? redis.multi().sadd(key, number).expire(key, keepSeconds) : redis.multi().srem(key, number);
  await within(3000, writing.exec());
}

export async function readQuestions(redis: Redis, repo: RepoRef): Promise<number[]> {
  const kept = await within(3000, redis.smembers(keyOf(repo)));
  return kept.map(Number).toSorted((a, b) => a - b);
}
