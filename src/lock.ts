import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { OutageError } from "./errors.ts";
import { redisPrefix, within } from "./queue.ts";

const extend =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";
const release = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

/** Takes a lock that renews itself until it is disposed; undefined when somebody else holds it. */
export async function tryLock(redis: Redis, name: string, ttlMs: number): Promise<AsyncDisposable | undefined> {
  const key = `${redisPrefix}:lock:${name}`;
  const owner = randomUUID();
  if ((await within(3000, redis.set(key, owner, "PX", ttlMs, "NX"))) === null) return undefined;
  // A renewal that fails lets the lock run out; what it protects checks its epoch before every outside effect.
  const timer = setInterval(() => void redis.eval(extend, 1, key, owner, ttlMs).catch(() => {}), ttlMs / 3);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await within(3000, redis.eval(release, 1, key, owner)).catch(() => {});
    },
  };
}

/** Runs `work` while nobody else runs under the same name; waits up to `waitMs` for its turn. */
export async function withLock<T>(redis: Redis, name: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    await using lock = await tryLock(redis, name, 30_000);
    if (lock !== undefined) return await work();
    if (Date.now() > deadline) throw new OutageError(`Another process works on ${name} for over ${waitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
