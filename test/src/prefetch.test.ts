import { afterAll, expect, it } from "vitest";
import { announceHint, listenForHints } from "../../src/prefetch.ts";
import type { PrefetchHint } from "../../src/prefetch.ts";
import { connectRedis, redisPrefix } from "../../src/queue.ts";
import { patiently, startRedis, startRelay } from "../support/redis.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "producer");
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

const repo = { id: 1, owner: "o", name: "r", installationId: 7 };
const hint = { repo, mayCreate: true };
const other = { repo: { ...repo, id: 2 }, mayCreate: false };

async function startListener(url = server.url) {
  const heard: PrefetchHint[] = [];
  return { heard, listening: await listenForHints(url, (one) => heard.push(one)) };
}

it("a hint reaches every machine that listens, in order, and none that does not any more", async () => {
  const [one, two, gone] = [await startListener(), await startListener(), await startListener()];
  using _one = one.listening;
  using _two = two.listening;
  gone.listening[Symbol.dispose]();

  await announceHint(redis, hint);
  await announceHint(redis, other);

  await expect
    .poll(() => [one.heard, two.heard])
    .toEqual([
      [hint, other],
      [hint, other],
    ]);
  expect(gone.heard).toEqual([]);
});

it("what is no hint is passed over", async () => {
  const { heard, listening } = await startListener();
  using _listening = listening;
  const channel = `${redisPrefix}:prefetch`;

  for (const text of ["", "{", "{}", "null", JSON.stringify({ ...hint, repo: { id: "1" } })])
    await redis.publish(channel, text);
  await announceHint(redis, hint);

  await expect.poll(() => heard).toEqual([hint]);
});

it("an outage of Redis is no error to either side, and hints are heard again after it", async () => {
  await using relay = await startRelay(server.socket);
  const away = connectRedis(relay.url, "producer");
  const { heard, listening } = await startListener(relay.url);
  using _listening = listening;

  await relay.refuse();
  await expect(announceHint(away, hint)).resolves.toBeUndefined();
  await relay.recover();

  await expect
    .poll(async () => {
      await announceHint(redis, other);
      return heard.length;
    }, patiently)
    .toBeGreaterThan(0);
  expect(heard[0]).toEqual(other);
  away.disconnect();
});

it("a listener that starts during an outage hears what is told after it", async () => {
  await using relay = await startRelay(server.socket);
  await relay.refuse();
  const { heard, listening } = await startListener(relay.url);
  using _listening = listening;

  await relay.recover();

  await expect
    .poll(async () => {
      await announceHint(redis, hint);
      return heard.length;
    }, patiently)
    .toBeGreaterThan(0);
});
