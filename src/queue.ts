import { Queue } from "bullmq";
import type { JobsOptions } from "bullmq";
import { Redis } from "ioredis";
import { OutageError, messageOf } from "./errors.ts";
import { intakeJob, runJob, subjectKey } from "./job.ts";
import type { IntakeJob, RunJob } from "./job.ts";

/** Every key lies under this hash tag, so that Redis Cluster keeps them on one node. */
export const redisPrefix = "{agent-fix}";

export interface LiveRun {
  run: RunJob;
  isWorking: boolean;
  /** When a worker took it that has it, in milliseconds since the epoch. */
  since?: number;
}

/** The two queues that carry the work. Whatever is asked settles within 3 s, with an OutageError when Redis does not. */
export interface Queues {
  /** Has stored the job durably when it resolves. One with the same id that waits or works stands for it; one that failed does not. */
  addIntake(job: IntakeJob, id: string): Promise<void>;
  /**
   * False when a run with the same id or on the same subject already waits or works, or the same run has just ended. Of two
   * that add the same run at one moment, which is stored once, both may be told true.
   */
  addRun(job: RunJob): Promise<boolean>;
  /** Whether no worker has ever taken it. */
  isUnclaimed(runId: string): Promise<boolean>;
  /** Takes a run out that no worker has claimed; false when one has, or when it is gone. */
  removeWaiting(runId: string): Promise<boolean>;
  /** Ends the wait of a run that is to be taken again later, if it is one. */
  hasten(runId: string): Promise<void>;
  /**
   * Has runs of these repositories that failed taken again, at most so many, which failed first, of those asked for since a
   * time; returns how many.
   */
  retryFailed(of: { repos: ReadonlySet<number>; most: number; since: Date }): Promise<number>;
  isLive: (runId: string) => Promise<boolean>;
  /** Whether it is kept as failed: a sweep has it taken again. */
  hasFailed(runId: string): Promise<boolean>;
  /** The runs that wait, at most so many, in the order in which workers take them; and how many are at work. */
  waiting(most: number): Promise<{ runs: RunJob[]; atWork: number }>;
  /** A repository's runs: first those at work, in the order in which they began, then those that wait. */
  liveIn(repo: number): Promise<LiveRun[]>;
  scheduleSweep(everyMs: number): Promise<void>;
  /** Whether the sweep has a next time: a Redis that lost its data has none. */
  isSweepScheduled(): Promise<boolean>;
  ping(): Promise<void>;
  redis: Redis;
  close(): Promise<void>;
}

/** `unix:///path`, `/path` or `redis://...`. `producer` fails fast; `worker` waits for Redis to come back. */
export function connectRedis(url: string, kind: "producer" | "worker"): Redis {
  const address = url.startsWith("unix://") ? url.slice("unix://".length) : url;
  const patient = { maxRetriesPerRequest: null, retryStrategy: (times: number) => Math.min(times * 200, 5000) };
  // A hung Redis answers nothing and reports nothing: only a command time-out ends the wait.
  const fast = { maxRetriesPerRequest: 1, commandTimeout: 2000, connectTimeout: 2000 };
  const redis = new Redis(address, kind === "worker" ? patient : { ...fast, retryStrategy: patient.retryStrategy });
  // Without a listener an outage would end the process; the outage itself is reported by whoever asked.
  redis.on("error", () => {});
  return redis;
}

export interface QueueOptions {
  /** How long a comment that stands alone waits for the next one; in milliseconds. */
  debounceMs: number;
}

export function createQueues(redis: Redis, { debounceMs }: QueueOptions = { debounceMs: 90_000 }): Queues {
  const options = {
    connection: redis,
    prefix: redisPrefix,
    streams: { events: { maxLen: 1000 } },
    // BullMQ remembers for ever when its first question fails: an outage at that moment would never end.
    skipVersionCheck: true,
  };
  const intake = new Queue<IntakeJob>("intake", options);
  const runs = new Queue<RunJob>("runs", options);
  intake.on("error", () => {});
  runs.on("error", () => {});

  return {
    redis,
    async addIntake(job, id) {
      const parsed = intakeJob.parse(job);
      await within(3000, addEvent(intake, parsed, { jobId: safeId(id), ...waitOf(parsed, debounceMs) }));
    },
    addRun: (job) => within(3000, addOnce(runs, runJob.parse(job))),
    isUnclaimed: async (runId) => (await within(3000, redis.exists(epochKey(runId)))) === 0,
    removeWaiting: (runId) => within(3000, removeUnclaimed(runs, redis, runId)),
    hasten: (runId) => within(3000, promoteDelayed(runs, runId)),
    retryFailed: (of) => within(3000, retryOldest(runs, of)),
    isLive: (runId) => within(3000, isHeld(runs, runId)),
    hasFailed: async (runId) => (await within(3000, runs.getJobState(runId))) === "failed",
    async waiting(most) {
      const asked = Promise.all([runs.getJobs(["wait", "prioritized"], 0, most - 1, true), runs.getActiveCount()]);
      const [jobs, atWork] = await within(3000, asked);
      return { runs: jobs.slice(0, most).flatMap(({ data }) => runJob.safeParse(data).data ?? []), atWork };
    },
    liveIn: (repo) => within(3000, liveRuns(runs, repo)),
    async scheduleSweep(everyMs) {
      await within(
        3000,
        intake.upsertJobScheduler(
          "sweep",
          { every: everyMs },
          { name: "sweep", data: { kind: "sweep" }, opts: { removeOnComplete: true, removeOnFail: 10 } },
        ),
      );
    },
    async isSweepScheduled() {
      const { next = 0, every = 0 } = (await within(3000, intake.getJobScheduler("sweep"))) ?? {};
      return next > Date.now() - every;
    },
    async ping() {
      await within(1000, redis.ping());
    },
    async close() {
      await Promise.allSettled([within(2000, intake.close()), within(2000, runs.close())]);
      redis.disconnect();
    },
  };
}

// With the waits below, an accepted event outlives an outage of the code host of some five hours.
const intakeRetries = { attempts: 100, backoff: { type: "capped" } } as const;
const longestWaitMs = 5 * 60_000;
// How often a run may fail is counted in its log; these are for what fails outside it, such as its lock in Redis.
const ticksMs = 5000;
/** So many of the failed runs are looked at. */
const mostFailed = 1000;
const runRetries = { attempts: 100, backoff: { type: "fixed", delay: 4000, jitter: 0.5 } } as const;
const priorities = { issue: 1, question: 1, review: 2, checks: 2, merge: 2, task: 3, onboarding: 3 } as const;

/** How long an event waits before its next try. BullMQ's own strategies know no longest wait. */
export function intakeBackoffMs(attemptsMade: number): number {
  const wait = Math.min(1000 * 2 ** (attemptsMade - 1), longestWaitMs);
  return Math.round(wait * (0.5 + Math.random() / 2));
}

async function addEvent(
  intake: Queue<IntakeJob>,
  job: IntakeJob,
  options: Pick<JobsOptions, "delay" | "deduplication"> & { jobId: string },
): Promise<void> {
  // A failed job stays to be looked at, and BullMQ would take the new one for its duplicate.
  if ((await intake.getJobState(options.jobId)) === "failed") await intake.remove(options.jobId);
  await intake.add(job.kind, job, { ...options, removeOnComplete: true, removeOnFail: 200, ...intakeRetries });
}

/** One comment after another is one round: each puts the look at them off until its author has been silent for a while. */
function waitOf(job: IntakeJob, debounceMs: number): Pick<JobsOptions, "delay" | "deduplication"> {
  if (job.kind === "feedback" && job.isSingle === true)
    return quietFor(debounceMs, `feedback-${job.repo.id}-${job.pull}`);
  // The code host tells of every box that is ticked, and people tick several in a row.
  const upkeepMs = Math.min(debounceMs, ticksMs);
  if (job.kind === "upkeep" && job.ticked !== undefined) return quietFor(upkeepMs, `upkeep-${job.repo.id}`);
  // The first of several looks sees what all of them are about.
  if (job.kind === "upkeep") return { delay: upkeepMs, deduplication: { id: `look-${job.repo.id}`, ttl: upkeepMs } };
  // Whoever puts the app on repositories one by one wants one sweep.
  if (job.kind === "sweep") return quietFor(Math.min(debounceMs, ticksMs), "sweep");
  return {};
}

function quietFor(ttl: number, id: string): Pick<JobsOptions, "delay" | "deduplication"> {
  return { delay: ttl, deduplication: { id, ttl, extend: true, replace: true } };
}

async function addOnce(runs: Queue<RunJob>, job: RunJob): Promise<boolean> {
  const { runId, repo, subject } = job;
  // A round behind another takes in what was said meanwhile, and what we see to by ourselves keeps nobody's label away.
  const round = "pull" in subject ? `-${runId}` : "";
  const before = await runs.getJob(runId);
  if (before !== undefined && !(await before.isFailed())) return false;
  // What threw without an outcome still owes an answer.
  await before?.remove();
  const added = await runs.add(subject.kind, job, {
    jobId: runId,
    deduplication: { id: `${repo.id}-${subjectKey(subject)}${round}` },
    priority: priorities[subject.kind],
    removeOnComplete: { age: 3600 },
    removeOnFail: { age: 24 * 3600 },
    ...runRetries,
  });
  return added.id === runId;
}

async function liveRuns(runs: Queue<RunJob>, repo: number): Promise<LiveRun[]> {
  const [active, waiting] = await Promise.all([
    runs.getJobs(["active"]),
    runs.getJobs(["wait", "prioritized", "delayed"], 0, -1, true),
  ]);
  // One that finds its branch taken is active for a moment, again and again: the one that has it began before that.
  const working = active.toSorted((a, b) => (a.processedOn ?? 0) - (b.processedOn ?? 0));
  return [working, waiting].flatMap((jobs, index) =>
    jobs.flatMap(({ data, processedOn }) => {
      const run = runJob.safeParse(data).data;
      if (run?.repo.id !== repo) return [];
      const isWorking = index === 0;
      return [{ run, isWorking, ...(isWorking && processedOn !== undefined && { since: processedOn }) }];
    }),
  );
}

async function isHeld(runs: Queue<RunJob>, runId: string): Promise<boolean> {
  const state = await runs.getJobState(runId);
  return state !== "unknown" && state !== "completed" && state !== "failed";
}

/** Where the newest claim of a run is written down. */
export const epochKey = (runId: string) => `${redisPrefix}:epoch:${runId}`;

async function removeUnclaimed(runs: Queue<RunJob>, redis: Redis, runId: string): Promise<boolean> {
  const job = await runs.getJob(runId);
  if (job === undefined || (await redis.exists(epochKey(runId))) === 1 || !(await isHeld(runs, runId))) return false;
  try {
    await job.remove();
    return true;
  } catch (error) {
    // A worker took it in between.
    if (await job.isActive()) return false;
    throw error;
  }
}

async function retryOldest(
  runs: Queue<RunJob>,
  { repos, most, since }: Parameters<Queues["retryFailed"]>[0],
): Promise<number> {
  const failed = await runs.getJobs(["failed"], 0, mostFailed - 1, true);
  const owed = failed
    .filter(({ timestamp, data }) => timestamp >= since.getTime() && repos.has(data.repo.id))
    .slice(0, most);
  for (const job of owed)
    await job.retry("failed").catch(async (error: unknown) => {
      // Somebody asked for it again in between.
      if (await job.isFailed()) throw error;
    });
  return owed.length;
}

async function promoteDelayed(runs: Queue<RunJob>, runId: string): Promise<void> {
  const job = await runs.getJob(runId);
  if (job === undefined || !(await job.isDelayed())) return;
  await job.promote().catch(async (error: unknown) => {
    // Its time came in between.
    if (await job.isDelayed()) throw error;
  });
}

/** Bounds a wait on Redis; throws OutageError. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () =>
        reject(new OutageError(`Redis did not answer within ${ms} ms. Look at REDIS_URL and at the server's load.`)),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } catch (cause) {
    if (cause instanceof OutageError) throw cause;
    throw new OutageError(`Redis refused: ${messageOf(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

// BullMQ refuses a job id with a colon and one of digits only.
function safeId(id: string): string {
  return `e-${id.replaceAll(/[^\w-]/g, "-")}`;
}
