import { UnrecoverableError, Worker } from "bullmq";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LimitedError } from "../../src/errors.ts";
import type { RepoRef, RunJob } from "../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../src/queue.ts";
import { sweep } from "../../src/sweep.ts";
import { startIntake } from "../../src/intake-worker.ts";
import { patiently, startRelay } from "../support/redis.ts";
import { createLocalDeps, createLocalHost, job, ourPull } from "../worker/support.ts";
import type { LocalDeps, LocalHost } from "../worker/support.ts";

let host: LocalHost;
let deps: LocalDeps;
beforeEach(async () => {
  host = createLocalHost({
    ".github/agent-fix.yml":
      'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1", timezone: Europe/Berlin}\n',
  });
  deps = await createLocalDeps(host.forge);
});
afterEach(async () => {
  await deps[Symbol.asyncDispose]();
  host[Symbol.dispose]();
});

const saturday = new Date("2026-11-21T12:00:00Z");
const monday = new Date("2026-11-23T05:00:00Z");

describe("a task whose time has passed", () => {
  it("is started by a later sweep when Redis went away before its run was stored", async () => {
    const { queues, started } = watchedQueues();
    await sweep({ ...deps, queues, now: () => saturday });
    await using relay = await startRelay(deps.redisUrl.replace("unix://", ""));
    const far = createQueues(connectRedis(relay.url, "producer"));
    const addRun = async (run: RunJob) => {
      await relay.refuse();
      return far.addRun(run);
    };

    await sweep({ ...deps, queues: { ...far, addRun }, now: () => monday });
    await far.close();
    // Of a process that lost Redis the locks run out by themselves, in half a minute.
    await deps.redis.del(`${redisPrefix}:lock:upkeep-7`, `${redisPrefix}:lock:sweep`);
    await sweep({ ...deps, queues, now: () => monday });

    expect(started).toHaveLength(1);
    expect(await storedRuns()).toBe(1);
  });
});

it("has its schedule again when Redis loses its data while the process runs", async () => {
  const queues = createQueues(deps.redis);
  const intake = { ...deps, queues, now: () => saturday };
  await using _worker = await startIntake(deps.redisUrl, intake, { everyMs: 500 });
  expect(await queues.isSweepScheduled()).toBe(true);

  await deps.redis.flushall();

  expect(await queues.isSweepScheduled()).toBe(false);
  await expect.poll(() => queues.isSweepScheduled(), patiently).toBe(true);
});

it("leaves a pull request alone on which nothing changed, and looks again where anything did", async () => {
  const queues = createQueues(deps.redis);
  const added: string[] = [];
  const addIntake: typeof queues.addIntake = async (job) => void added.push(job.kind);
  const now = () => saturday;
  const pull = { ...ourPull, number: 9, head: { branch: "agent-fix/issue-7", commit: host.commits[0] ?? "" } };
  host.pulls.push(pull);
  const swept = async () => {
    added.length = 0;
    await sweep({ ...deps, queues: { ...queues, addIntake }, now });
    return added;
  };

  expect(await swept()).toEqual(["feedback", "watch"]);
  expect(await swept()).toEqual([]);
  host.pulls[0] = { ...pull, updatedAt: "2026-01-01T00:00:09Z" };
  expect(await swept()).toEqual(["feedback", "watch"]);
  const { commit } = await host.forge.createCommit({ base: pull.head.commit, message: "On", files: [], deleted: [] });
  host.git("update-ref", "refs/heads/main", commit);
  expect(await swept()).toEqual(["feedback", "watch"]);
});

it("asks no more for an installation of which the code host takes no questions for now", async () => {
  const queues = createQueues(deps.redis);
  const asked: number[] = [];
  const repositories = [7, 8, 9].map((id) => ({ ...host.forge.repo, id, installationId: id === 9 ? 2 : 1 }));
  const forge = ({ id }: RepoRef) => ({
    ...host.forge,
    async labelledIssues() {
      asked.push(id);
      throw new LimitedError(new Date(Date.now() + 60_000));
    },
  });

  await sweep({
    ...deps,
    host: { ...deps.host, repositories: async () => repositories, forge },
    queues,
    now: () => saturday,
  });

  expect(asked).toEqual([7, 9]);
});

it("has a run taken again whose outcome could be told nobody, also one that no status comment tells of", async () => {
  const queues = createQueues(deps.redis);
  const subject = { kind: "question" as const, number: 7, isPull: false, comment: 23, inThread: false };
  await queues.addRun({ ...job, subject });
  const failing = new Worker("runs", () => Promise.reject(new UnrecoverableError("its outcome was told nobody")), {
    connection: connectRedis(deps.redisUrl, "worker"),
    prefix: redisPrefix,
  });
  await expect.poll(() => queues.isLive(job.runId), { timeout: 10_000 }).toBe(false);
  await failing.close();

  await sweep({ ...deps, queues, now: () => new Date(Date.now() + 4 * 24 * 3600_000) });
  expect(await queues.isLive(job.runId)).toBe(false);
  await sweep({ ...deps, queues, now: () => new Date() });

  expect(await queues.isLive(job.runId)).toBe(true);
});

it("leaves a second sweep undone while one is under way", async () => {
  const queues = createQueues(deps.redis);
  const at = { ...deps, queues, now: () => saturday };

  expect((await Promise.all([sweep(at), sweep(at)])).toSorted()).toEqual([false, true]);
});

const storedRuns = () => deps.redis.zcard(`${redisPrefix}:runs:prioritized`);

/** The real queues, with the ids of the runs that were started. */
function watchedQueues() {
  const queues = createQueues(deps.redis);
  const started: string[] = [];
  const addRun = async (run: RunJob) => {
    const added = await queues.addRun(run);
    if (added) started.push(run.runId);
    return added;
  };
  return { queues: { ...queues, addRun }, started };
}
