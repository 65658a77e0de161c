import { messageOf } from "./errors.ts";
import type { Forge } from "./forge.ts";
import type { IntakeDeps } from "./intake/start.ts";
import type { RepoRef } from "./job.ts";
import { tryLock } from "./lock.ts";
import { needsLook } from "./maintenance/looked.ts";
import { keepQuestions } from "./maintenance/questions.ts";
import { upkeep } from "./maintenance/upkeep.ts";
import { pauseAsked } from "./pause.ts";
import { redisPrefix, within } from "./queue.ts";
import { parseSettings, settingsPath } from "./settings.ts";
import { recallStatus } from "./status-comment.ts";
import { brokenCause, isTerminal } from "./status.ts";
import type { StatusMarker } from "./status.ts";
import { branchPrefix, labelTrigger, triggerLabel } from "./triggers.ts";
import { tellPlaces } from "./waiting.ts";

/** How often the sweep runs; what a lost webhook costs at most. */
export const sweepEveryMs = 5 * 60_000;

const lockMs = 30_000;
const lookBackMs = 24 * 3600_000;
/** How long a run that could not tell its outcome is taken again, from when it was asked for. */
const owedMs = 3 * 24 * 3600_000;
const mostRetried = 20;

/**
 * Finds what webhooks missed and what a schedule is due. One repository's trouble does not stop the others. False where
 * another sweep is under way, in whichever process: both would ask for the same deliveries.
 */
export async function sweep(deps: IntakeDeps): Promise<boolean> {
  await using lock = await tryLock(deps.queues.redis, "sweep", lockMs);
  if (lock === undefined) return false;
  await sweepAll(deps);
  return true;
}

async function sweepAll(deps: IntakeDeps): Promise<void> {
  const { host, queues, log, now } = deps;
  const redelivered = await host.redeliver(new Date(now().getTime() - lookBackMs)).catch((error: unknown) => {
    log.warn({ error: messageOf(error) }, "failed deliveries could not be listed");
    return 0;
  });
  if (redelivered > 0) log.info({ redelivered }, "failed deliveries were asked for again");
  const repositories = await host.repositories();
  // Those of an archived repository, or of an installation that is suspended, would fail again.
  const repos = new Set(repositories.map(({ id }) => id));
  const since = new Date(now().getTime() - owedMs);
  const retried = await queues.retryFailed({ repos, most: mostRetried, since }).catch((error: unknown) => {
    log.warn({ error: messageOf(error) }, "failed runs could not be listed");
    return 0;
  });
  if (retried > 0) log.info({ retried }, "failed runs are taken again");
  const limited = new Set<number>();
  for (const repo of repositories) {
    // The code host limits an installation, whichever of its repositories is asked about.
    if (limited.has(repo.installationId)) continue;
    try {
      await findLabelled(repo, deps);
      await lookAtPulls(repo, deps);
      if (await needsLook(repo, deps)) await upkeep(repo, deps);
    } catch (error) {
      if (pauseAsked(error) !== undefined) limited.add(repo.installationId);
      log.warn({ repo: `${repo.owner}/${repo.name}`, error: messageOf(error) }, "a repository could not be swept");
    }
  }
  await tellPlaces(deps).catch((error: unknown) => {
    log.warn({ error: messageOf(error) }, "the places in the queue could not be told");
  });
}

async function findLabelled(repo: RepoRef, { host, queues, now }: IntakeDeps): Promise<void> {
  const forge = host.forge(repo, "report");
  const questions: number[] = [];
  for (const issue of await forge.labelledIssues(triggerLabel)) {
    const event = await forge.labelEvent(issue, triggerLabel);
    const status = await recallStatus({ redis: queues.redis, forge, number: issue });
    if (status?.state === "needs-input") questions.push(issue);
    const isKnown = event !== undefined && status?.trigger === labelTrigger(event.id);
    if (isKnown) await seeToKnown({ repo, queues, forge, now }, issue, status);
    if (isKnown && (isTerminal(status.state) || (await queues.isLive(status.run)))) continue;
    const delivery = `sweep-${repo.id}-${issue}-${event?.id ?? 0}`;
    await queues.addIntake({ kind: "label", delivery, repo, issue }, delivery);
  }
  await keepQuestions(queues.redis, repo, questions);
}

/**
 * Where its run ended since the checks can't run on the base: once for each commit that the base moves to. Where it asked
 * something and nobody answered in time: once.
 */
async function seeToKnown(
  { repo, queues, forge, now }: Pick<IntakeDeps, "queues" | "now"> & { repo: RepoRef; forge: Forge },
  issue: number,
  { run, cause, head, until }: StatusMarker,
): Promise<void> {
  if (until !== undefined && now().toISOString() > until) {
    const delivery = `sweep-${repo.id}-${issue}-silence-${run}`;
    await queues.addIntake({ kind: "label", delivery, repo, issue, unanswered: run }, delivery);
  }
  if (cause !== brokenCause || head === undefined) return;
  const settings = parseSettings((await forge.readFile(settingsPath)) ?? "");
  const named = settings.ok ? settings.settings.base : undefined;
  const base = await forge.branchHead(named ?? (await forge.repository()).defaultBranch);
  if (base === undefined || base === head) return;
  const delivery = `sweep-${repo.id}-${issue}-base-${base}`;
  await queues.addIntake({ kind: "label", delivery, repo, issue, base }, delivery);
}

/** How long a pull request on which nothing changed is left alone: a look costs a dozen calls, and events tell of most. */
const restSeconds = 30 * 60;

/** What was said on our pull requests, or became of their checks and base, and no webhook told. */
async function lookAtPulls(repo: RepoRef, { host, queues }: IntakeDeps): Promise<void> {
  const forge = host.forge(repo, "report");
  const tips = new Map<string, Promise<string | undefined>>();
  for (const { number: pull, head, base, updatedAt } of await forge.openPulls()) {
    if (!head.branch.startsWith(branchPrefix)) continue;
    const tip = tips.get(base) ?? forge.branchHead(base);
    tips.set(base, tip);
    const seen = `${head.commit} ${updatedAt} ${await tip}`;
    const key = `${redisPrefix}:looked-pull:${repo.id}:${pull}`;
    if ((await within(3000, queues.redis.get(key))) === seen) continue;
    const delivery = `sweep-${repo.id}-pull-${pull}`;
    const about = { delivery, repo, pull, branch: head.branch };
    await queues.addIntake({ kind: "feedback", ...about }, delivery);
    await queues.addIntake({ kind: "watch", ...about }, `${delivery}-checks`);
    await within(3000, queues.redis.set(key, seen, "EX", restSeconds));
  }
}
