import { DelayedError, UnrecoverableError, Worker } from "bullmq";
import { begin } from "../src/begin.ts";
import { OutageError, RefusedError, messageOf } from "../src/errors.ts";
import type { Refusal } from "../src/errors.ts";
import { runJob, subjectKey } from "../src/job.ts";
import type { RunJob } from "../src/job.ts";
import { tryLock } from "../src/lock.ts";
import { pauseAsked } from "../src/pause.ts";
import { connectRedis, redisPrefix } from "../src/queue.ts";
import { repeat } from "../src/repeat.ts";
import { lastEvent } from "../src/runlog.ts";
import { keepDuration } from "../src/waiting.ts";
import { EngineAway } from "../sandbox/docker.ts";
import { forEpoch } from "../sandbox/engine.ts";
import { GitFailed } from "../sandbox/git.ts";
import { reap } from "../sandbox/reap.ts";
import { passOn } from "./late.ts";
import { cancelled, gaveUp, refusedBy } from "./outcome.ts";
import { elapsed } from "./report.ts";
import { openRun } from "./run.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "./run.ts";
import { tidy } from "./tidy.ts";
import { checksWorkflow } from "./workflows/checks.ts";
import { issueWorkflow } from "./workflows/issue.ts";
import { maintenanceWorkflow } from "./workflows/maintenance.ts";
import { mergeWorkflow } from "./workflows/merge.ts";
import { onboardingWorkflow } from "./workflows/onboarding.ts";
import { questionWorkflow } from "./workflows/question.ts";
import { reviewWorkflow } from "./workflows/review.ts";

export interface WorkerOptions {
  redisUrl: string;
  concurrency: number;
  /** BullMQ's lock and its check for dead workers, in milliseconds: what a crash costs at most. */
  lockMs: number;
  stalledMs: number;
  tidyEveryMs: number;
}
export interface RunningWorker extends AsyncDisposable {
  /** Ids of the runs that this process works on. */
  active: ReadonlySet<string>;
}

/** How long a graceful stop waits for runs to end before it gives them back. */
const stopLimitMs = 20_000;
const busyRetryMs = 5000;
/** How often a run is taken before it is given up: outages and crashes count, graceful stops do not. */
const mostClaims = 6;
/** Where nobody can be told anything, the log alone has the outcome. */
const unspeakable: readonly Refusal[] = ["gone", "locked"];
/** What says that a dependency failed us, and nothing about the issue. */
const outages = [OutageError, EngineAway, GitFailed];

/** Takes runs from the queue until disposed; a run in work is then aborted and goes back to the queue. */
export async function startWorker(options: WorkerOptions, deps: WorkerDeps): Promise<RunningWorker> {
  const active = new Set<string>();
  const connection = connectRedis(options.redisUrl, "worker");
  const stopping = new AbortController();
  const worker = new Worker<RunJob, Outcome>(
    "runs",
    // BullMQ hands the signal over only to a processor that declares three parameters.
    async (job, token, signal) => {
      const data = runJob.parse(job.data);
      await using turn = await takeTurn(data, options, deps);
      if (turn === undefined) {
        await job.moveToDelayed(Date.now() + busyRetryMs, token);
        throw new DelayedError();
      }
      active.add(data.runId);
      void begin(deps.lookAfter(data));
      try {
        const signals = [stopping.signal, ...(signal === undefined ? [] : [signal])];
        const ended = await processJob(data, AbortSignal.any(signals), deps);
        // A sweep has a failed run taken again, and then it is told.
        if (ended.outcome !== undefined && !ended.isTold) throw new UnrecoverableError("its outcome was told nobody");
        if (ended.outcome !== undefined) return ended.outcome;
        await job.moveToDelayed(Date.now() + ended.retryAfterMs, token);
        throw new DelayedError();
      } finally {
        active.delete(data.runId);
      }
    },
    {
      connection,
      prefix: redisPrefix,
      concurrency: options.concurrency,
      lockDuration: options.lockMs,
      stalledInterval: options.stalledMs,
      // The second crash must not lose the run: how often a run may crash is our own count.
      maxStalledCount: 20,
    },
  );
  worker.on("error", (error) => deps.log.warn({ error: messageOf(error) }, "the queue reported an error"));
  worker.on("failed", (job, error) => deps.log.error({ run: job?.id, error: messageOf(error) }, "a run's try failed"));
  worker.on("active", () => void begin(deps.tellPlaces()));
  worker.on("completed", ({ data, processedOn, finishedOn }, { outcome }) => {
    void begin(deps.lookAfter(data, outcome));
    if (processedOn !== undefined && finishedOn !== undefined)
      void begin(keepDuration(deps.redis, finishedOn - processedOn));
  });
  // BullMQ cancels nobody when a lock is lost: the loser would go on beside its successor.
  worker.on("lockRenewalFailed", (ids) => ids.forEach((id) => worker.cancelJob(id, "the lock was lost")));

  const tidying = repeat(options.tidyEveryMs, () =>
    tidy(deps).catch((error: unknown) => deps.log.warn({ error: messageOf(error) }, "tidying failed")),
  );
  await worker.waitUntilReady();
  return {
    active,
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error("the worker stops"));
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, stopLimitMs);
      await Promise.race([Promise.allSettled([worker.close(), tidying[Symbol.asyncDispose]()]), late.promise]);
      clearTimeout(timer);
      connection.disconnect();
    },
  };
}

/**
 * The only run on its branch; of what nobody waits for, the only one anywhere. Workers take that only while nothing else
 * waits, by its priority in the queue.
 */
async function takeTurn(
  { repo, subject }: RunJob,
  { lockMs }: Pick<WorkerOptions, "lockMs">,
  { redis }: Pick<WorkerDeps, "redis">,
): Promise<AsyncDisposable | undefined> {
  await using locks = new AsyncDisposableStack();
  const isUnattended = subject.kind === "task" || subject.kind === "onboarding";
  const names = [...(isUnattended ? ["unattended"] : []), `run-${repo.id}-${subjectKey(subject)}`];
  for (const name of names) {
    const lock = await tryLock(redis, name, lockMs);
    if (lock === undefined) return undefined;
    locks.use(lock);
  }
  return locks.move();
}

export type Ended = { outcome: Outcome; isTold: boolean } | Left;
interface Left {
  outcome: undefined;
  retryAfterMs: number;
}

/**
 * One run from claim to its last status edit. The one place that catches: whatever is thrown becomes an ending, but for
 * an outage with tries left and a worker that stops; then the run is to be taken again.
 */
export async function processJob(job: RunJob, signal: AbortSignal, deps: WorkerDeps): Promise<Ended> {
  await using run = await claim(job, signal, deps);
  if (run === undefined) return { outcome: undefined, retryAfterMs: busyRetryMs };
  const claims = countOf(run, "claimed") - countOf(run, "released");

  const before = lastEvent(run.log.events, "finished");
  const ended = before === undefined ? await runWorkflow(run, deps, claims) : { outcome: before };
  if (ended.outcome === undefined) return ended;
  const { outcome } = ended;
  if (before === undefined) await run.log.append({ type: "finished", ...outcome });
  try {
    await workflows[job.subject.kind].report(run, outcome, deps);
  } catch (error) {
    deps.log.error({ run: job.runId, error: messageOf(error) }, "the outcome could not be reported");
    const pauseMs = pauseAsked(error);
    if (pauseMs !== undefined) return await giveBack(run, pauseMs);
    if (!(error instanceof RefusedError)) return claims < mostClaims ? again(claims) : { outcome, isTold: false };
    if (!unspeakable.includes(error.why)) return { outcome, isTold: false };
  }
  try {
    await passOn(run, deps);
  } catch (error) {
    deps.log.error({ run: job.runId, error: messageOf(error) }, "what came too late for a run could not be passed on");
    return claims < mostClaims ? again(claims) : { outcome, isTold: false };
  }
  // What stays of it expires by itself.
  await deps.inbox.delete(job.runId).catch((error: unknown) => {
    deps.log.warn({ run: job.runId, error: messageOf(error) }, "the inbox of a run could not be removed");
  });
  deps.log.info(
    { run: job.runId, outcome: outcome.outcome, cause: outcome.cause, took: elapsed(run.log.events) },
    "run finished",
  );
  return { outcome, isTold: true };
}

function again(claims: number): Left {
  return { outcome: undefined, retryAfterMs: busyRetryMs * 2 ** Math.min(claims, 6) };
}

/** To be taken again, without a count of this try: nothing was wrong with it. */
async function giveBack(run: Run, retryAfterMs: number): Promise<Left> {
  await run.log.append({ type: "released" });
  return { outcome: undefined, retryAfterMs };
}

/** Undefined in an outage of Redis or of the disk: a claim that could not be written down does not count. */
async function claim(job: RunJob, signal: AbortSignal, deps: WorkerDeps): Promise<Run | undefined> {
  try {
    return await openRun(job, signal, deps);
  } catch (error) {
    deps.log.error({ run: job.runId, error: messageOf(error) }, "run could not be claimed");
    return undefined;
  }
}

function countOf(run: Run, type: "claimed" | "released"): number {
  return run.log.events.filter((event) => event.type === type).length;
}

const workflows: Record<RunJob["subject"]["kind"], Workflow> = {
  issue: issueWorkflow,
  review: reviewWorkflow,
  checks: checksWorkflow,
  merge: mergeWorkflow,
  question: questionWorkflow,
  task: maintenanceWorkflow,
  onboarding: onboardingWorkflow,
};

async function runWorkflow(run: Run, deps: WorkerDeps, claims: number): Promise<{ outcome: Outcome } | Left> {
  if (claims > mostClaims) return { outcome: gaveUp("crashed", `That was ${claims - 1} times.`) };
  try {
    // What an earlier claim left behind when its worker died would hold memory and files of this one.
    await reap(deps.engine, (owned) => owned.run !== run.job.runId || owned.epoch === run.epoch);
    const own = { ...deps, engine: forEpoch(deps.engine, run.epoch) };
    return { outcome: await workflows[run.job.subject.kind].work(run, own) };
  } catch (error) {
    // One that has just come would be heard when the run is taken again, after a wait.
    await run.inboxMessages().catch(() => []);
    const stop = run.stopped();
    if (stop !== undefined) return { outcome: cancelled(stop.reason) };
    if (run.signal.aborted) return giveBack(run, 0);
    const pauseMs = pauseAsked(error);
    if (pauseMs !== undefined) {
      deps.log.info({ run: run.job.runId, pauseMs, why: messageOf(error) }, "run waits");
      return giveBack(run, pauseMs);
    }
    deps.log.error(
      { run: run.job.runId, error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
      "run failed",
    );
    // What was made a moment ago may not be seen yet.
    const isSure = error instanceof RefusedError && (error.why !== "gone" || claims > 1);
    if (isSure) return { outcome: refusedBy(error) };
    if (claims < mostClaims) return again(claims);
    const cause = outages.some((kind) => error instanceof kind) ? "outage" : "internal error";
    const details = `The operator finds the details with \`agent-fix runs show ${run.job.runId}\`.`;
    return { outcome: gaveUp(cause, `${messageOf(error)}\n\n${details}`) };
  }
}
