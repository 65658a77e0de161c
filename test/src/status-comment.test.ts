import { afterAll, expect, it } from "vitest";
import { connectRedis } from "../../src/queue.ts";
import { createStatusWriter, readStatus, writeStatus } from "../../src/status-comment.ts";
import { parseStatus, renderStatus, statusMark } from "../../src/status.ts";
import { startRedis } from "../support/redis.ts";
import { createLocalHost } from "../worker/support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");

afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

const statusOf = (run: string, state: "queued" | "working") => renderStatus({ run, state, trigger: "label-1" }, state);

/** A code host that looks for comments one after the other, as one far away does: whoever looks first writes last. */
function slowHost() {
  const host = createLocalHost();
  const created: string[] = [];
  const ensureComment: typeof host.forge.ensureComment = async (number, mark, body) => {
    const found = await host.forge.findComment(number, mark);
    await new Promise((resolve) => setImmediate(resolve));
    if (found === undefined) created.push(body);
    return host.forge.ensureComment(number, mark, body);
  };
  return { host, created, forge: { ...host.forge, ensureComment }, [Symbol.dispose]: () => host[Symbol.dispose]() };
}

it("two writers at once make one comment", async () => {
  using slow = slowHost();
  const place = { redis, forge: slow.forge, number: 5 };

  await Promise.all([writeStatus(place, statusOf("a", "queued")), writeStatus(place, statusOf("a", "working"))]);

  expect(slow.created).toHaveLength(1);
  expect(slow.host.comments.size).toBe(1);
});

it("what a run tells of itself stands, when the news that it waits comes late", async () => {
  using slow = slowHost();
  const place = { redis, forge: slow.forge, number: 5 };
  await writeStatus(place, statusOf("a", "working"));

  await writeStatus(place, statusOf("a", "queued"), (found) => found?.run === "a");
  const kept = await readStatus(slow.forge, 5);
  await writeStatus(place, statusOf("b", "queued"), (found) => found?.run === "b");

  expect(kept).toMatchObject({ run: "a", state: "working" });
  expect(await readStatus(slow.forge, 5)).toMatchObject({ run: "b", state: "queued" });
});

/** A code host on which every comment that is made has a number of its own, and a person can delete ours. */
function deletingHost() {
  const host = createLocalHost();
  const key = `5 ${statusMark}`;
  let made = 0;
  const ensureComment: typeof host.forge.ensureComment = async (number, mark, body) => {
    if (!host.comments.has(key)) made++;
    await host.forge.ensureComment(number, mark, body);
    const comment = { id: made, body };
    host.comments.set(key, comment);
    return comment;
  };
  return {
    place: { redis, forge: { ...host.forge, ensureComment }, number: 5 },
    made: () => made,
    shown: () => parseStatus(host.comments.get(key)?.body ?? "")?.state,
    deleteIt: () => host.comments.delete(key),
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

it("a status comment that a person deletes is made anew once; deleted again, the run tells nothing more", async () => {
  using host = deletingHost();
  const writer = createStatusWriter(host.place);

  await writer.tell(statusOf("a", "working"));
  await writer.tell(statusOf("a", "working"));
  host.deleteIt();
  await writer.tell(statusOf("a", "working"));
  expect(host.shown()).toBe("working");
  await writer.tell(statusOf("a", "working"));
  host.deleteIt();
  for (let i = 0; i < 3; i++) await writer.tell(statusOf("a", "working"));

  expect(host.shown()).toBeUndefined();
  expect(host.made()).toBe(2);
});

it("the end is told all the same, since nothing else remembers the run", async () => {
  using host = deletingHost();
  const writer = createStatusWriter(host.place);
  for (let i = 0; i < 3; i++) {
    await writer.tell(statusOf("a", "working"));
    host.deleteIt();
  }

  await writer.end(renderStatus({ run: "a", state: "gave-up", trigger: "label-1" }, "Stopped"));

  expect(host.shown()).toBe("gave-up");
});
