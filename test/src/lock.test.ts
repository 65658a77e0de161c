import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { OutageError } from "../../src/errors.ts";
import { tryLock, withLock } from "../../src/lock.ts";
import { connectRedis } from "../../src/queue.ts";
import { patiently, startRedis, startRelay } from "../support/redis.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const ttlMs = 3000;

beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

describe("tryLock", () => {
  it("gives a name to one holder at a time, and frees it when that is disposed", async () => {
    {
      await using first = await tryLock(redis, "name", ttlMs);
      await using other = await tryLock(redis, "another name", ttlMs);

      expect(first).toBeDefined();
      expect(other).toBeDefined();
      expect(await tryLock(redis, "name", ttlMs)).toBeUndefined();
    }
    await using next = await tryLock(redis, "name", ttlMs);

    expect(next).toBeDefined();
  });

  it("leaves a lock that it lost to whoever took it", async () => {
    const lost = await tryLock(redis, "name", ttlMs);
    await redis.flushall();
    await using successor = await tryLock(redis, "name", ttlMs);

    await lost?.[Symbol.asyncDispose]();

    expect(successor).toBeDefined();
    expect(await tryLock(redis, "name", ttlMs)).toBeUndefined();
  });

  it("renews what it holds, and only that", async () => {
    await using _held = await tryLock(redis, "held", ttlMs);
    await using _lost = await tryLock(redis, "lost", ttlMs);
    const [held = "", lost = ""] = (await redis.keys("*")).toSorted();
    await redis.pexpire(held, 60_000);
    await redis.set(lost, "somebody else", "PX", 60_000);

    await expect.poll(() => redis.pttl(held), patiently).toBeLessThanOrEqual(ttlMs);

    expect(await redis.exists(held)).toBe(1);
    expect(await redis.pttl(lost)).toBeGreaterThan(ttlMs);
    expect(lost).toMatch(/^\{agent-fix\}:lock:lost$/);
  });

  it("runs out by itself when its holder dies", async () => {
    await using _held = await tryLock(redis, "name", ttlMs);
    const [key = ""] = await redis.keys("*");

    const left = await redis.pttl(key);

    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(ttlMs);
  });

  it("says that Redis is away, and ends quietly where it cannot give back", async () => {
    await using relay = await startRelay(server.socket);
    const far = connectRedis(relay.url, "producer");
    await expect.poll(() => far.ping().catch(String), patiently).toBe("PONG");
    const held = await tryLock(far, "name", ttlMs);

    await relay.refuse();

    await expect(tryLock(far, "another", ttlMs)).rejects.toThrow(OutageError);
    await held?.[Symbol.asyncDispose]();
    far.disconnect();
  });
});

describe("withLock", () => {
  it("lets one work at a time, and gives back what the work gave", async () => {
    let working = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++working);
      await redis.ping();
      return working--;
    };

    const results = await Promise.all([1, 2, 3].map(() => withLock(redis, "name", 10_000, work)));

    expect(results).toEqual([1, 1, 1]);
    expect(most).toBe(1);
  });

  it("frees the name when the work throws", async () => {
    const broken = withLock(redis, "name", 1000, () => Promise.reject(new Error("disk full")));

    await expect(broken).rejects.toThrow("disk full");
    expect(await withLock(redis, "name", 0, async () => "done")).toBe("done");
  });

  it("gives up with an OutageError when its turn does not come", async () => {
    await using _held = await tryLock(redis, "name", 60_000);

    const late = withLock(redis, "name", 100, async () => "done");

    await expect(late).rejects.toThrow(OutageError);
  });
});
