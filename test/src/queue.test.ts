import { once } from "node:events";
import { DelayedError, UnrecoverableError, Worker } from "bullmq";
import type { Job } from "bullmq";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { OutageError } from "../../src/errors.ts";
import type { IntakeJob, RunJob } from "../../src/job.ts";
import { connectRedis, createQueues, epochKey, intakeBackoffMs, redisPrefix, within } from "../../src/queue.ts";
import type { Queues } from "../../src/queue.ts";
import { patiently, startRedis, startRelay } from "../support/redis.ts";

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

const repo = { id: 1, owner: "o", name: "r", installationId: 7 };
const actor = { id: 2, login: "ann" };
const stop: IntakeJob = { kind: "stop", delivery: "d", repo, issue: 5, actor, reason: "label removed" };
const subjects = {
  issue: { kind: "issue", number: 5 },
  review: { kind: "review", pull: 9, branch: "agent-fix/issue-6" },
  task: { kind: "task", key: "lint" },
} as const;
const run = (runId: string, subject: RunJob["subject"] = subjects.issue): RunJob => {
  return { runId, repo, subject, actor, trigger: "t" };
};

describe("addIntake", () => {
  it("keeps a job that is added twice under one id once", async () => {
    await queues.addIntake(stop, "delivery");
    await queues.addIntake(stop, "delivery");
    await queues.addIntake(stop, "another");

    expect(await redis.llen(`${redisPrefix}:intake:wait`)).toBe(2);
  });

  it.each(["1234567890", "0", "a:b", "a:b:c:d", "0:x"])("accepts the id %s", async (id) => {
    await queues.addIntake(stop, id);

    expect(await redis.llen(`${redisPrefix}:intake:wait`)).toBe(1);
  });

  it("keeps a job until it has succeeded, and then nothing of it", async () => {
    const text = { title: "A title nobody may find", body: "" };
    await queues.addIntake({ kind: "label", delivery: "d", repo, issue: 5, actor, text }, "d");
    const seen: unknown[] = [];
    await using _worker = startWorker("intake", async (data) => {
      seen.push(data);
    });

    await expect.poll(() => keysWith("e-d"), patiently).toEqual([]);
    expect(seen).toEqual([{ kind: "label", delivery: "d", repo, issue: 5, actor, text }]);
  });

  it("takes an event again that failed for good, since a person or the sweep asks anew", async () => {
    await queues.addIntake(stop, "delivery");
    await failAll("intake");

    await queues.addIntake(stop, "delivery");

    expect(await redis.llen(`${redisPrefix}:intake:wait`)).toBe(1);
    expect(await redis.zcard(`${redisPrefix}:intake:failed`)).toBe(0);
  });

  it("is tried for hours before it is given up, at most five minutes apart", async () => {
    await queues.addIntake(stop, "delivery");

    const { attempts } = JSON.parse((await redis.hget(`${redisPrefix}:intake:e-delivery`, "opts")) ?? "{}");
    const waits = Array.from({ length: attempts - 1 }, (_, i) => intakeBackoffMs(i + 1));

    expect(Math.max(...waits)).toBeLessThanOrEqual(5 * 60_000);
    expect(waits[0]).toBeLessThanOrEqual(1000);
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeGreaterThan(4 * 3600_000);
  });

  it("refuses what is no intake job", async () => {
    const wrong = { ...stop, repo: "o/r" } as unknown as IntakeJob;

    await expect(queues.addIntake(wrong, "delivery")).rejects.toThrow("repo");
  });
});

describe("addRun", () => {
  it("is false for the same run, and for another run on the same subject, until it ends", async () => {
    expect(await queues.addRun(run("one"))).toBe(true);
    expect(await queues.addRun(run("one"))).toBe(false);
    expect(await queues.addRun(run("two"))).toBe(false);
    expect(await queues.addRun(run("one", { kind: "issue", number: 6 }))).toBe(false);
    expect(await queues.addRun(run("three", { kind: "issue", number: 6 }))).toBe(true);

    await using _worker = startWorker("runs", async () => {});

    await expect.poll(() => queues.isLive("one"), patiently).toBe(false);
    expect(await queues.addRun(run("one"))).toBe(false);
    expect(await queues.addRun(run("two"))).toBe(true);
  });

  it("keeps the same subject in two repositories, and two rounds of one pull request, apart", async () => {
    expect(await queues.addRun(run("one"))).toBe(true);
    expect(await queues.addRun({ ...run("two"), repo: { ...repo, id: 99 } })).toBe(true);
    expect(await queues.addRun(run("three", subjects.review))).toBe(true);
    expect(await queues.addRun(run("four", subjects.review))).toBe(true);
    expect(await queues.addRun(run("four", subjects.review))).toBe(false);
  });

  it("keeps no label away while the pull request's checks or its base are seen to", async () => {
    const branch = "agent-fix/issue-5";
    expect(await queues.addRun(run("merge", { kind: "merge", pull: 9, branch, key: "k" }))).toBe(true);
    expect(await queues.addRun(run("checks", { kind: "checks", pull: 9, branch, key: "k" }))).toBe(true);

    expect(await queues.addRun(run("label", { kind: "issue", number: 5 }))).toBe(true);
  });

  it("takes a run again that threw, since it still owes an answer", async () => {
    await queues.addRun(run("one"));
    await failAll("runs");

    expect(await queues.isLive("one")).toBe(false);
    expect(await queues.addRun(run("one"))).toBe(true);
    expect(await queues.isLive("one")).toBe(true);
  });

  it("keeps a run that threw once for another try", async () => {
    await queues.addRun(run("one"));
    await using _worker = startWorker("runs", async () => {
      throw new Error("Redis went away in the middle");
    });

    await expect.poll(() => redis.zcard(`${redisPrefix}:runs:delayed`), patiently).toBe(1);
    expect(await queues.isLive("one")).toBe(true);
  });

  it("has issues served before reviews, and reviews before tasks", async () => {
    await queues.addRun(run("task", subjects.task));
    await queues.addRun(run("review", subjects.review));
    await queues.addRun(run("issue"));
    const order: string[] = [];
    await using _worker = startWorker("runs", async (data) => {
      order.push((data as RunJob).runId);
    });

    await expect.poll(() => order, patiently).toEqual(["issue", "review", "task"]);
  });

  it("stores ids and no text", async () => {
    const wide = { ...run("one"), title: "A title nobody may find" };

    await queues.addRun(wide);

    expect(await redis.hget(`${redisPrefix}:runs:one`, "data")).toBe(JSON.stringify(run("one")));
  });
});

describe("removeWaiting", () => {
  it("takes out a run that has not started, once", async () => {
    await queues.addRun(run("one"));

    expect(await queues.isLive("one")).toBe(true);
    expect(await queues.removeWaiting("one")).toBe(true);
    expect(await queues.removeWaiting("one")).toBe(false);
    expect(await queues.isLive("one")).toBe(false);
    expect(await queues.addRun(run("two"))).toBe(true);
  });

  it("leaves a run that works, and one that has ended, as it is", async () => {
    await queues.addRun(run("one"));
    const hold = Promise.withResolvers<void>();
    await using _worker = startWorker("runs", () => hold.promise);

    await expect.poll(() => redis.llen(`${redisPrefix}:runs:active`), patiently).toBe(1);
    expect(await queues.removeWaiting("one")).toBe(false);
    hold.resolve();
    await expect.poll(() => queues.isLive("one"), patiently).toBe(false);
    expect(await queues.removeWaiting("one")).toBe(false);
  });
});

describe("a run that waits for its next try", () => {
  const claimedWait = async () => {
    await queues.addRun(run("one"));
    await redis.set(epochKey("one"), 1);
    const takes: string[] = [];
    const worker = startWorker("runs", async (_data, job, token) => {
      takes.push("one");
      if (takes.length > 1) return;
      await job.moveToDelayed(Date.now() + 600_000, token);
      throw new DelayedError();
    });
    await expect.poll(() => redis.zcard(`${redisPrefix}:runs:delayed`), patiently).toBe(1);
    return { takes, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
  };

  it("is not taken out once a worker has claimed it, who alone knows what it did", async () => {
    await using _on = await claimedWait();

    expect(await queues.removeWaiting("one")).toBe(false);
    expect(await queues.isLive("one")).toBe(true);
  });

  it("is taken at once when its wait is ended, and left as it is where it is not waiting", async () => {
    await using on = await claimedWait();

    await queues.hasten("one");
    await expect.poll(() => queues.isLive("one"), patiently).toBe(false);
    await queues.hasten("one");
    await queues.hasten("nobody");

    expect(on.takes).toHaveLength(2);
  });
});

it("names a repository's runs, the one that has worked longest first and those that wait last", async () => {
  const hold = Promise.withResolvers<void>();
  await using _worker = startWorker("runs", () => hold.promise, 2);
  const working = () => redis.llen(`${redisPrefix}:runs:active`);
  for (const [at, id] of ["first", "second", "third"].entries()) {
    await queues.addRun(run(id, { ...subjects.review, pull: at }));
    await expect.poll(working, patiently).toBe(Math.min(at + 1, 2));
  }
  await queues.addRun({ ...run("elsewhere"), repo: { ...repo, id: 99 } });

  const live = await queues.liveIn(repo.id);
  hold.resolve();

  expect(live.map(({ run: { runId }, isWorking }) => [runId, isWorking])).toEqual([
    ["first", true],
    ["second", true],
    ["third", false],
  ]);
});

it("schedules the sweep once, however often it is asked for", async () => {
  await queues.scheduleSweep(60_000);
  await queues.scheduleSweep(60_000);
  const sweeps: unknown[] = [];
  await using _worker = startWorker("intake", async (data) => {
    sweeps.push(data);
  });

  await expect.poll(() => redis.zcard(`${redisPrefix}:intake:delayed`), patiently).toBe(1);
  expect(await redis.zcard(`${redisPrefix}:intake:repeat`)).toBe(1);
  expect(sweeps).toEqual([{ kind: "sweep" }]);
});

it("keeps every key under one hash tag", async () => {
  await queues.addIntake(stop, "delivery");
  await queues.addRun(run("one"));
  await queues.scheduleSweep(60_000);

  const keys = await redis.keys("*");

  expect(keys.length).toBeGreaterThan(5);
  expect(keys.filter((key) => !key.startsWith("{agent-fix}:"))).toEqual([]);
});

describe("an outage of Redis", () => {
  const asked: [string, (queues: Queues) => Promise<unknown>][] = [
    ["addIntake", (queues) => queues.addIntake(stop, "delivery")],
    ["addRun", (queues) => queues.addRun(run("one"))],
    ["removeWaiting", (queues) => queues.removeWaiting("one")],
    ["retryFailed", (queues) => queues.retryFailed({ repos: new Set([7]), most: 9, since: new Date(0) })],
    ["isLive", (queues) => queues.isLive("one")],
    ["scheduleSweep", (queues) => queues.scheduleSweep(60_000)],
    ["isSweepScheduled", (queues) => queues.isSweepScheduled()],
    ["ping", (queues) => queues.ping()],
  ];

  it.concurrent.for(asked)(
    "%s is an OutageError when Redis is refused, and works when it is back",
    async ([_name, ask], { expect }) => {
      await using far = await farQueues();
      await far.relay.refuse();

      await expect(before5s(ask(far.queues))).rejects.toThrow(OutageError);
      await far.relay.recover();

      await expect.poll(() => ask(far.queues).then(() => "works", String), patiently).toBe("works");
    },
  );

  it.concurrent.for(asked)("%s is an OutageError when Redis hangs", async ([_name, ask], { expect }) => {
    await using far = await farQueues();
    far.relay.hang();

    await expect(before5s(ask(far.queues))).rejects.toThrow(OutageError);
  });

  it.concurrent("is told also where Redis never was there", async ({ expect }) => {
    await using relay = await startRelay(server.socket);
    await relay.refuse();
    const nowhere = createQueues(connectRedis(relay.url, "producer"));

    await expect(before5s(nowhere.addIntake(stop, "delivery"))).rejects.toThrow(OutageError);
    await nowhere.close();
  });
});

it("within passes on what arrives in time, and names what was refused", async () => {
  expect(await within(3000, Promise.resolve("value"))).toBe("value");
  await expect(within(3000, Promise.reject(new Error("READONLY")))).rejects.toThrow("Redis refused: READONLY");
  await expect(within(1, new Promise(() => {}))).rejects.toThrow(/REDIS_URL/);
});

/** Queues that reach Redis through a relay. */
async function farQueues() {
  const relay = await startRelay(server.socket);
  const redis = connectRedis(relay.url, "producer");
  const queues = createQueues(redis);
  await once(redis, "ready");
  return {
    relay,
    queues,
    async [Symbol.asyncDispose]() {
      await queues.close();
      await relay[Symbol.asyncDispose]();
    },
  };
}

function before5s<T>(work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("nothing was settled within 5 s")), 5000);
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function startWorker(
  name: "intake" | "runs",
  work: (data: unknown, job: Job, token: string | undefined) => Promise<void>,
  concurrency = 1,
): AsyncDisposable {
  const connection = connectRedis(server.url, "worker");
  const options = { connection, prefix: redisPrefix, concurrency };
  const worker = new Worker(name, async (job, token) => work(job.data, job, token), options);
  return {
    async [Symbol.asyncDispose]() {
      await worker.close();
      connection.disconnect();
    },
  };
}

async function failAll(name: "intake" | "runs"): Promise<void> {
  await using _worker = startWorker(name, async () => {
    throw new UnrecoverableError("no try is left");
  });
  await expect.poll(() => redis.zcard(`${redisPrefix}:${name}:failed`), patiently).toBe(1);
}

async function keysWith(part: string): Promise<string[]> {
  const keys = await redis.keys("*");
  return keys.filter((key) => key.includes(part));
}
