import { DelayedError, Worker } from "bullmq";
import type { Processor } from "bullmq";
import { RefusedError, messageOf } from "./errors.ts";
import { handleIntake } from "./intake.ts";
import type { IntakeDeps } from "./intake/start.ts";
import { intakeJob } from "./job.ts";
import { pauseAsked } from "./pause.ts";
import { connectRedis, intakeBackoffMs, redisPrefix } from "./queue.ts";
import { repeat } from "./repeat.ts";
import { sweep, sweepEveryMs } from "./sweep.ts";

const concurrency = 20;
const sweepAgainMs = 10_000;
const stopLimitMs = 10_000;

/**
 * Serves the intake queue and keeps the sweep on its schedule, until disposed; also when Redis loses its data meanwhile.
 * `everyMs`: between two sweeps.
 */
export async function startIntake(
  redisUrl: string,
  deps: IntakeDeps,
  { everyMs = sweepEveryMs }: { everyMs?: number } = {},
): Promise<AsyncDisposable> {
  const connection = connectRedis(redisUrl, "worker");
  const worker = new Worker("intake", handling(deps), {
    connection,
    prefix: redisPrefix,
    concurrency,
    maxStalledCount: 20,
    settings: { backoffStrategy: intakeBackoffMs },
  });
  worker.on("error", (error) => deps.log.warn({ error: messageOf(error) }, "the intake queue reported an error"));
  worker.on("failed", (job, error) =>
    deps.log.error(
      { kind: job?.name, tries: job?.attemptsMade, error: messageOf(error) },
      "an event could not be handled",
    ),
  );
  await worker.waitUntilReady();
  await deps.queues.scheduleSweep(everyMs);
  const keeping = repeat(everyMs, () => keepSweep(deps, everyMs));
  return {
    async [Symbol.asyncDispose]() {
      await keeping[Symbol.asyncDispose]();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, stopLimitMs);
      await Promise.race([worker.close().catch(() => {}), late.promise]);
      clearTimeout(timer);
      connection.disconnect();
    },
  };
}

/** What has to wait for the code host waits in the queue. */
function handling(deps: IntakeDeps): Processor {
  return async (waiting, token) => {
    const { data, name, timestamp } = waiting;
    const job = intakeJob.parse(data);
    if (job.kind === "sweep") {
      const isScheduled = waiting.repeatJobKey !== undefined;
      if ((await sweep(deps)) || isScheduled) return;
      // What asks for it may be newer than the sweep that is under way.
      await waiting.moveToDelayed(Date.now() + sweepAgainMs, token);
      throw new DelayedError();
    }
    deps.log.info({ kind: name, repo: `${job.repo.owner}/${job.repo.name}`, delivery: job.delivery }, "event accepted");
    try {
      await handleIntake(job, deps, timestamp);
    } catch (error) {
      const pauseMs = pauseAsked(error);
      if (pauseMs !== undefined) {
        await waiting.moveToDelayed(Date.now() + pauseMs, token);
        throw new DelayedError();
      }
      if (!(error instanceof RefusedError)) throw error;
      deps.log.warn(
        { kind: name, delivery: job.delivery, why: error.why, error: error.message },
        "an event was given up, since the code host refused it for good",
      );
    }
  };
}

async function keepSweep({ queues, log }: IntakeDeps, everyMs: number): Promise<void> {
  try {
    if (await queues.isSweepScheduled()) return;
    log.warn({}, "the sweep had lost its schedule, as when Redis loses its data; it has one again");
    await queues.scheduleSweep(everyMs);
  } catch (error) {
    log.warn({ error: messageOf(error) }, "whether the sweep is scheduled could not be seen to");
  }
}
