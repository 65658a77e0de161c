import { Worker } from "bullmq";
import { messageOf } from "./errors.ts";
import { handleIntake } from "./intake.ts";
import type { IntakeDeps } from "./intake/start.ts";
import { statusOf } from "./github/status.ts";
import { intakeJob } from "./job.ts";
import { connectRedis, intakeBackoffMs, redisPrefix } from "./queue.ts";
import { sweep, sweepEveryMs } from "./sweep.ts";

const concurrency = 20;
const stopLimitMs = 10_000;

/** Serves the intake queue and keeps the sweep on its schedule, until disposed. */
export async function startIntake(redisUrl: string, deps: IntakeDeps): Promise<AsyncDisposable> {
  const connection = connectRedis(redisUrl, "worker");
  const worker = new Worker(
    "intake",
    async ({ data, name, timestamp }) => {
      const job = intakeJob.parse(data);
      if (job.kind === "sweep") return sweep(deps, new Date());
      deps.log.info(
        { kind: name, repo: `${job.repo.owner}/${job.repo.name}`, delivery: job.delivery },
        "event accepted",
      );
      try {
        await handleIntake(job, deps, timestamp);
      } catch (error) {
        if (statusOf(error) !== 404 && statusOf(error) !== 410) throw error;
        deps.log.warn({ kind: name, delivery: job.delivery }, "what an event is about is gone");
      }
    },
    {
      connection,
      prefix: redisPrefix,
      concurrency,
      maxStalledCount: 20,
      settings: { backoffStrategy: intakeBackoffMs },
    },
  );
  worker.on("error", (error) => deps.log.warn({ error: messageOf(error) }, "the intake queue reported an error"));
  worker.on("failed", (job, error) =>
    deps.log.error(
      { kind: job?.name, tries: job?.attemptsMade, error: messageOf(error) },
      "an event could not be handled",
    ),
  );
  await worker.waitUntilReady();
  await deps.queues.scheduleSweep(sweepEveryMs);
  return {
    async [Symbol.asyncDispose]() {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, stopLimitMs);
      await Promise.race([worker.close().catch(() => {}), late.promise]);
      clearTimeout(timer);
      connection.disconnect();
    },
  };
}
