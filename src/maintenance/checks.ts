import type { Redis } from "ioredis";
import { z } from "zod";
import type { Check, Pull } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";

const kept = z.object({ commit: z.string(), passed: z.number(), failed: z.number(), pending: z.number() });
/** What others' checks say of a pull request's newest commit, in numbers. */
export type CheckCounts = Omit<z.infer<typeof kept>, "commit">;

const keyOf = (repo: RepoRef, pull: number) => `${redisPrefix}:checks:${repo.id}:${pull}`;

/** Keeps what they say, for the dashboard; whether it is news. */
export async function keepChecks(
  redis: Redis,
  repo: RepoRef,
  { number, head }: Pick<Pull, "number" | "head">,
  checks: readonly Check[],
): Promise<boolean> {
  const count = (...states: Check["state"][]) => checks.filter(({ state }) => states.includes(state)).length;
  const counts = {
    commit: head.commit,
    passed: count("passed"),
    failed: count("failed"),
    pending: count("pending", "action-required"),
  };
  const text = JSON.stringify(counts);
  return (await within(3000, redis.set(keyOf(repo, number), text, "EX", 90 * 24 * 3600, "GET"))) !== text;
}

/** Undefined where nobody looked at this commit's checks yet. */
export async function readChecks(
  redis: Redis,
  repo: RepoRef,
  { number, head }: Pick<Pull, "number" | "head">,
): Promise<CheckCounts | undefined> {
  const text = await within(3000, redis.get(keyOf(repo, number)));
  if (text === null) return undefined;
  const { commit, ...counts } = kept.parse(JSON.parse(text));
  return commit === head.commit ? counts : undefined;
}
