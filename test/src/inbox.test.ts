import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { OutageError } from "../../src/errors.ts";
import { createInbox, watchInbox } from "../../src/inbox.ts";
import type { InboxMessage } from "../../src/inbox.ts";
import { connectRedis } from "../../src/queue.ts";
import { patiently, startRedis, startRelay } from "../support/redis.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const inbox = createInbox(redis);
const task: InboxMessage = { kind: "task", title: "It breaks", body: "Badly: \n\u{1F525}" };
const stop: InboxMessage = { kind: "stop", by: "ann", reason: "label removed" };

beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

describe("an inbox", () => {
  it("gives a run's messages in order, as often as it is asked, and nobody else's", async () => {
    await inbox.send("one", task);
    await inbox.send("two", task);
    await inbox.send("one", stop);

    expect(await inbox.read("one")).toEqual([task, stop]);
    expect(await inbox.read("one")).toEqual([task, stop]);
    expect(await inbox.read("two")).toEqual([task]);
    expect(await inbox.read("three")).toEqual([]);
  });

  it("is empty when it was deleted, and is forgotten by itself after a week", async () => {
    await inbox.send("one", stop);
    const [key] = await redis.keys("*");

    expect(await redis.ttl(key ?? "")).toBeGreaterThan(6 * 24 * 3600);
    expect(key).toMatch(/^\{agent-fix\}:/);
    await inbox.delete("one");
    expect(await inbox.read("one")).toEqual([]);
  });

  it("takes nothing more when it was closed, and gives what came before that as often as it is closed", async () => {
    expect(await inbox.send("one", task)).toBe(true);

    expect(await inbox.close("one")).toEqual([task]);
    expect(await inbox.send("one", stop)).toBe(false);
    expect(await inbox.close("one")).toEqual([task]);
    expect(await inbox.read("one")).toEqual([]);
    await inbox.delete("one");
    expect(await inbox.send("one", stop)).toBe(false);
    expect(await inbox.send("two", stop)).toBe(true);
  });

  it("refuses a message of no known kind", async () => {
    const wrong = { kind: "steer" } as unknown as InboxMessage;

    await expect(inbox.send("one", wrong)).rejects.toThrow("kind");
  });

  it("says that Redis is away, refused or hung", async () => {
    await using relay = await startRelay(server.socket);
    const far = connectRedis(relay.url, "producer");
    const farInbox = createInbox(far);
    await expect.poll(() => farInbox.read("one").catch(String), patiently).toEqual([]);

    relay.hang();
    await expect(farInbox.send("one", stop)).rejects.toThrow(OutageError);
    await relay.refuse();
    await expect(farInbox.read("one")).rejects.toThrow(OutageError);
    far.disconnect();
  });
});

describe("watchInbox", () => {
  it("gives each message once, also those from before, until it is ended", async () => {
    const closed = new AbortController();
    const seen: InboxMessage[] = [];
    await inbox.send("one", task);
    const watching = watch(inbox, closed.signal, seen);

    await expect.poll(() => seen, patiently).toEqual([task]);
    await inbox.send("one", stop);
    await inbox.send("one", task);
    await expect.poll(() => seen, patiently).toEqual([task, stop, task]);
    closed.abort();

    await watching;
    await inbox.send("one", stop);
    expect(seen).toEqual([task, stop, task]);
  });

  it("misses nothing over an outage", async () => {
    await using relay = await startRelay(server.socket);
    const far = connectRedis(relay.url, "producer");
    const closed = new AbortController();
    const seen: InboxMessage[] = [];
    let failed = 0;
    const farInbox = createInbox(far);
    const counting = {
      ...farInbox,
      read: (runId: string) => farInbox.read(runId).catch((error: unknown) => (failed++, Promise.reject(error))),
    };
    await inbox.send("one", task);
    const watching = watch(counting, closed.signal, seen);
    await expect.poll(() => seen, patiently).toEqual([task]);

    await relay.refuse();
    const before = failed;
    await expect.poll(() => failed, patiently).toBeGreaterThan(before);
    await inbox.send("one", stop);
    await relay.recover();

    await expect.poll(() => seen, patiently).toEqual([task, stop]);
    closed.abort();
    await watching;
    far.disconnect();
  });

  it("ends at once when it is over before it begins", async () => {
    const seen: InboxMessage[] = [];

    await watch(inbox, AbortSignal.abort(), seen);

    expect(seen).toEqual([]);
  });
});

function watch(from: typeof inbox, signal: AbortSignal, seen: InboxMessage[]): Promise<void> {
  return watchInbox(from, "one", { everyMs: 10, signal, onMessage: (message) => seen.push(message) });
}
