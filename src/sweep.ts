import { CronExpressionParser } from "cron-parser";
import { messageOf } from "./errors.ts";
import { newRun, readSettings } from "./intake/start.ts";
import type { IntakeDeps } from "./intake/start.ts";
import type { RepoRef } from "./job.ts";
import { redisPrefix, within } from "./queue.ts";
import type { Settings } from "./settings.ts";
import { isTerminal, parseStatus, statusMark } from "./status.ts";
import { branchPrefix, labelTrigger, triggerLabel } from "./triggers.ts";
import { tellPlaces } from "./waiting.ts";

/** How often the sweep runs; what a lost webhook costs at most. */
export const sweepEveryMs = 5 * 60_000;

const lookBackMs = 24 * 3600_000;

/** Finds what webhooks missed and what a schedule is due. One repository's trouble does not stop the others. */
export async function sweep(deps: IntakeDeps, now: Date): Promise<void> {
  const { host, log } = deps;
  const redelivered = await host.redeliver(new Date(now.getTime() - lookBackMs)).catch((error: unknown) => {
    log.warn({ error: messageOf(error) }, "failed deliveries could not be listed");
    return 0;
  });
  if (redelivered > 0) log.info({ redelivered }, "failed deliveries were asked for again");
  for (const repo of await host.repositories()) {
    try {
      await findLabelled(repo, deps);
      await lookAtPulls(repo, deps);
      await startDueTasks(repo, deps, now);
    } catch (error) {
      log.warn({ repo: `${repo.owner}/${repo.name}`, error: messageOf(error) }, "a repository could not be swept");
    }
  }
  await tellPlaces(deps).catch((error: unknown) => {
    log.warn({ error: messageOf(error) }, "the places in the queue could not be told");
  });
}

async function findLabelled(repo: RepoRef, { host, queues }: IntakeDeps): Promise<void> {
  const forge = host.forge(repo, "report");
  for (const issue of await forge.labelledIssues(triggerLabel)) {
    const event = await forge.labelEvent(issue, triggerLabel);
    const status = parseStatus((await forge.findComment(issue, statusMark))?.body ?? "");
    const known = event !== undefined && status?.trigger === labelTrigger(event.id);
    if (known && (isTerminal(status.state) || (await queues.isLive(status.run)))) continue;
    const delivery = `sweep-${repo.id}-${issue}-${event?.id ?? 0}`;
    await queues.addIntake({ kind: "label", delivery, repo, issue }, delivery);
  }
}

/** What was said on our pull requests, or became of their checks, and no webhook told. */
async function lookAtPulls(repo: RepoRef, { host, queues }: IntakeDeps): Promise<void> {
  for (const { number: pull, head } of await host.forge(repo, "report").openPulls()) {
    if (!head.branch.startsWith(branchPrefix)) continue;
    const delivery = `sweep-${repo.id}-pull-${pull}`;
    const about = { delivery, repo, pull, branch: head.branch };
    await queues.addIntake({ kind: "feedback", ...about }, delivery);
    await queues.addIntake({ kind: "watch", ...about }, `${delivery}-checks`);
  }
}

async function startDueTasks(repo: RepoRef, deps: IntakeDeps, now: Date): Promise<void> {
  const { host, queues, log } = deps;
  const settings = await readSettings(host.forge(repo, "report"));
  if (!settings.ok) return;
  for (const [key, task] of Object.entries(settings.settings.maintenance)) {
    const slot = await dueSlot(deps, { repo, key, task, now });
    if (slot === undefined) continue;
    const { id, botLogin } = await host.app();
    const run = newRun(repo, { kind: "task", key }, { id, login: botLogin }, `slot-${slot.time}`);
    // The run has its id from the slot, so that two sweeps start it once; marked before, a death in between would lose it.
    const added = await queues.addRun(run);
    const first = await within(3000, queues.redis.set(slot.mark, "1", "EX", 40 * 24 * 3600, "NX"));
    if (added && first !== null)
      log.info({ repo: `${repo.owner}/${repo.name}`, task: key, run: run.runId }, "a scheduled task is due");
  }
}

interface Due {
  repo: RepoRef;
  key: string;
  task: Settings["maintenance"][string];
  now: Date;
}

/**
 * The newest cron time that has passed since we first saw this schedule, and the key that marks it as started; undefined
 * when there is none or it is marked already. A changed schedule counts as a new one, so that nothing from before starts at once.
 */
async function dueSlot(
  { queues: { redis }, log }: IntakeDeps,
  { repo, key, task, now }: Due,
): Promise<{ time: string; mark: string } | undefined> {
  const seenKey = `${redisPrefix}:seen:${repo.id}:${key}:${task.schedule}:${task.timezone}`;
  await within(3000, redis.set(seenKey, now.getTime(), "EX", 400 * 24 * 3600, "NX"));
  const seen = Number(await within(3000, redis.get(seenKey)));
  try {
    const slot = CronExpressionParser.parse(task.schedule, { currentDate: now, tz: task.timezone }).prev().toDate();
    if (slot.getTime() <= seen) return undefined;
    const mark = `${redisPrefix}:slot:${repo.id}:${key}:${slot.getTime()}`;
    return (await within(3000, redis.exists(mark))) === 1 ? undefined : { time: slot.toISOString(), mark };
  } catch (error) {
    log.warn(
      { repo: `${repo.owner}/${repo.name}`, task: key, error: messageOf(error) },
      "a schedule could not be read",
    );
    return undefined;
  }
}
