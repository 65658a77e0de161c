import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Worker } from "bullmq";
import type { RunJob } from "../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../src/queue.ts";
import { parseStatus, renderStatus, statusMark } from "../../src/status.ts";
import { keepDuration, renderQueued, tellPlaces, waitOf } from "../../src/waiting.ts";
import { startRedis } from "../support/redis.ts";
import { createLocalApp, createLocalHost } from "../worker/support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const queues = createQueues(redis);

beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  await queues.close();
  await server[Symbol.asyncDispose]();
});

const minute = 60_000;
const runOn = (issue: number): RunJob => ({
  runId: `run-${issue}`,
  repo: { id: 7, owner: "o", name: "r", installationId: 1 },
  subject: { kind: "issue", number: issue },
  actor: { id: 2, login: "ann" },
  trigger: `label-${issue}`,
});

/** A worker with so many runs at work, none of which ends before it is disposed of. */
async function busyWorker(runs: RunJob[]): Promise<AsyncDisposable> {
  const connection = connectRedis(server.url, "worker");
  const { promise, resolve } = Promise.withResolvers<void>();
  const begun = new Set<string | undefined>();
  const work = async ({ id }: { id?: string | undefined }) => {
    begun.add(id);
    await promise;
  };
  const worker = new Worker("runs", work, { connection, prefix: redisPrefix, concurrency: runs.length });
  for (const run of runs) await queues.addRun(run);
  await expect.poll(() => begun.size).toBe(runs.length);
  return {
    async [Symbol.asyncDispose]() {
      resolve();
      await worker.close();
      connection.disconnect();
    },
  };
}

describe("where a run stands", () => {
  it("is its place among those that wait, by what is taken first", async () => {
    await using _worker = await busyWorker([runOn(1)]);
    const task: RunJob = { ...runOn(2), subject: { kind: "task", key: "lint" } };
    await queues.addRun(task);
    await queues.addRun(runOn(3));
    await queues.addRun(runOn(4));

    expect(await waitOf(queues, "run-3")).toEqual({ place: 1, expectedMs: undefined });
    expect(await waitOf(queues, "run-4")).toEqual({ place: 2, expectedMs: undefined });
    expect(await waitOf(queues, "run-2")).toEqual({ place: 3, expectedMs: undefined });
    expect(await waitOf(queues, "run-1")).toBeUndefined();
  });

  it("comes with when it may start, by how long runs took, half of them longer, and how many are at work", async () => {
    await using _worker = await busyWorker([runOn(1), runOn(2)]);
    for (const issue of [3, 4, 5]) await queues.addRun(runOn(issue));
    for (const minutes of [10, 300, 10, 9, 12]) await keepDuration(redis, minutes * minute);

    expect(await waitOf(queues, "run-5")).toEqual({ place: 3, expectedMs: 15 * minute });
  });

  it("forgets how long runs took before the last twenty", async () => {
    await using _worker = await busyWorker([runOn(1)]);
    await queues.addRun(runOn(2));
    for (let i = 0; i < 30; i++) await keepDuration(redis, 60 * minute);
    for (let i = 0; i < 20; i++) await keepDuration(redis, 2 * minute);

    expect((await waitOf(queues, "run-2"))?.expectedMs).toBe(2 * minute);
  });

  it("is not told where a worker is free to take it", async () => {
    await queues.addRun(runOn(1));

    expect(await waitOf(queues, "run-1")).toBeUndefined();
  });
});

describe("the status comment of a run that waits", () => {
  const marker = { run: "run-5", trigger: "label-5", snapshot: "abc" };

  it("says the place, when it may start, and who asked", () => {
    const body = renderQueued(marker, runOn(5), { place: 3, expectedMs: 14.4 * minute });

    expect(body).toContain("**Queued: place 3, about 14 min**");
    expect(body).toContain("Asked for by ann. I work on the text as it stands now");
    expect(body).toContain("`/agent-fix stop`");
    expect(parseStatus(body)).toEqual({ ...marker, state: "queued" });
    expect(renderQueued(marker, runOn(5), { place: 1, expectedMs: 1000 })).toContain("place 1, about 1 min");
    expect(renderQueued(marker, runOn(5), { place: 1, expectedMs: undefined })).toContain("**Queued: place 1**");
    expect(renderQueued(marker, runOn(5), undefined)).toContain("**Queued**");
  });

  it("is edited when its place has changed, and only then", async () => {
    using host = createLocalHost();
    const shown = (issue: number) => /\*\*(.*)\*\*/.exec(host.comments.get(`${issue} ${statusMark}`)?.body ?? "")?.[1];
    const show = async ({ runId, trigger }: RunJob, issue: number) =>
      host.forge.ensureComment(issue, statusMark, renderStatus({ run: runId, trigger, state: "queued" }, "Queued"));
    const deps = { host: createLocalApp(host.forge), queues };
    await using _worker = await busyWorker([runOn(1)]);
    for (const issue of [2, 3]) {
      await queues.addRun(runOn(issue));
      await show(runOn(issue), issue);
    }

    await tellPlaces(deps);
    expect([shown(2), shown(3)]).toEqual(["Queued: place 1", "Queued: place 2"]);
    host.writes.length = 0;
    await tellPlaces(deps);
    expect(host.writes).toEqual([]);
    await queues.removeWaiting("run-2");
    await tellPlaces(deps);

    expect([shown(2), shown(3)]).toEqual(["Queued: place 1", "Queued: place 1"]);
    expect(host.writes).toEqual(["comment 3"]);
  });

  it("is left alone when it is another run's, or tells of work", async () => {
    using host = createLocalHost();
    const deps = { host: createLocalApp(host.forge), queues };
    await using _worker = await busyWorker([runOn(1)]);
    await queues.addRun(runOn(2));
    await queues.addRun(runOn(3));
    await host.forge.ensureComment(
      2,
      statusMark,
      renderStatus({ run: "other", trigger: "t", state: "queued" }, "Queued"),
    );
    await host.forge.ensureComment(
      3,
      statusMark,
      renderStatus({ run: "run-3", trigger: "t", state: "working" }, "Working"),
    );
    host.writes.length = 0;

    await tellPlaces(deps);

    expect(host.writes).toEqual([]);
  });
});
