import { z } from "zod";
import type { IntakeDeps } from "../intake/start.ts";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";
import { parseSettings } from "../settings.ts";
import type { Settings } from "../settings.ts";
import { dueOf } from "./due.ts";
import { loadMemory } from "./memory.ts";

/** How long a sweep trusts what was seen last: events tell of what changes, and each look costs a dozen calls. */
const restMs = 30 * 60_000;

const look = z.object({ at: z.number(), settings: z.string(), live: z.array(z.string()) });
const keyOf = (repo: RepoRef) => `${redisPrefix}:looked:${repo.id}`;

type Deps = Pick<IntakeDeps, "queues" | "now">;

/** Keeps when a repository was looked after, what was at work then, and the text of the settings by which. */
export async function keepLook(repo: RepoRef, { queues, now }: Deps, settings: string): Promise<void> {
  const live = (await queues.liveIn(repo.id)).map(({ run }) => run.runId);
  const text = JSON.stringify({ at: now().getTime(), settings, live });
  await within(3000, queues.redis.set(keyOf(repo), text, "EX", 24 * 3600));
}

/**
 * Whether a sweep has to look: by what was seen last something is due, lost or over, or that was long ago. Asks Redis
 * alone.
 */
export async function needsLook(repo: RepoRef, deps: Deps): Promise<boolean> {
  const { queues } = deps;
  const kept = await within(3000, queues.redis.get(keyOf(repo)));
  if (kept === null) return true;
  const { at, settings, live } = look.parse(JSON.parse(kept));
  if (Math.abs(deps.now().getTime() - at) >= restMs) return true;
  for (const run of live) if (!(await queues.isLive(run))) return true;
  const parsed = parseSettings(settings);
  return parsed.ok && isAnyDue(repo, deps, parsed.settings.maintenance);
}

async function isAnyDue(repo: RepoRef, { queues, now }: Deps, tasks: Settings["maintenance"]): Promise<boolean> {
  const memory = await loadMemory(queues.redis, repo, {});
  for (const [key, task] of Object.entries(tasks)) {
    const known = memory[key];
    if (known === undefined || dueOf(task, known, { now: now() }) !== undefined) return true;
    const { run, last } = known;
    if (run !== undefined && last?.run !== run.id && !(await queues.isLive(run.id))) return true;
  }
  return false;
}
