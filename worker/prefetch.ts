import { existsSync } from "node:fs";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../src/errors.ts";
import type { RepoRef } from "../src/job.ts";
import { listenForHints } from "../src/prefetch.ts";
import type { PrefetchHint } from "../src/prefetch.ts";
import { holdRun, runsDir } from "../src/runlog.ts";
import { commitOf, mirrorPath } from "./checkout.ts";
import { lendToken, revokeLeftTokens } from "./run.ts";
import type { WorkerDeps } from "./run.ts";

export type PrefetchDeps = Pick<WorkerDeps, "host" | "log" | "mirrors" | "kept" | "dataDir" | "gitEnv">;
export interface PrefetchOptions {
  redisUrl: string;
  /** The least time between the end of one fetch ahead and the next of the same repository, in milliseconds. */
  restMs: number;
}

/** Runs come first: a storm of news must not take all of a machine or its network. */
const mostAtOnce = 2;
const limitMs = 20 * 60_000;
const stopLimitMs = 10_000;

/**
 * Fetches ahead of runs what hints tell of, until disposed: a run that starts later finds mirror and base tree there.
 * Nothing depends on it, so that whatever fails is logged and left to the run.
 */
export async function startPrefetch(
  { redisUrl, restMs }: PrefetchOptions,
  deps: PrefetchDeps,
): Promise<AsyncDisposable> {
  const stopping = new AbortController();
  const queue = createHintQueue(restMs, (hint) => prefetch(hint, stopping.signal, deps));
  const listening = await listenForHints(redisUrl, (hint) => queue.add(hint));
  return {
    async [Symbol.asyncDispose]() {
      listening[Symbol.dispose]();
      stopping.abort(new Error("the worker stops"));
      await queue.close();
    },
  };
}

/** Brings mirror and base tree to the default branch's commit. Never throws. */
async function prefetch({ repo, mayCreate }: PrefetchHint, stopping: AbortSignal, deps: PrefetchDeps): Promise<void> {
  if (!mayCreate && !existsSync(mirrorPath(deps.dataDir, String(repo.id)))) return;
  try {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(limitMs)]);
    const found = await fetchMirror(repo, signal, deps);
    if (found === undefined) return;
    const { mirror, defaultBranch } = found;
    const commit = await commitOf(mirror, defaultBranch);
    if (commit !== undefined && !signal.aborted) await deps.kept.base(mirror, { mirror }, commit);
  } catch (error) {
    if (stopping.aborted) return;
    deps.log.warn(
      { repo: `${repo.owner}/${repo.name}`, error: messageOf(error) },
      "a repository was not fetched ahead",
    );
  }
}

/** Undefined for one that nothing more happens in. Where a run fetches the same one, it waits for that. */
async function fetchMirror(
  repo: RepoRef,
  signal: AbortSignal,
  deps: PrefetchDeps,
): Promise<{ mirror: string; defaultBranch: string } | undefined> {
  // Among the runs, so that the tidying revokes what is left of a dead process, and by process, so that none revokes
  // what another one uses.
  const dir = join(runsDir(deps.dataDir), `prefetch-${repo.id}-${process.pid}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    using _held = holdRun(dir);
    await revokeLeftTokens(dir, deps.host);
    return await lendToken({ repo, access: "read", dir }, deps, async (forge, token) => {
      // The address that a token is sent to comes from the code host, not from a message.
      const { archived, cloneUrl: url, defaultBranch } = await forge.repository();
      if (archived) return undefined;
      const mirror = await deps.mirrors.fetch({ key: String(repo.id), url, token, env: deps.gitEnv }, signal);
      return { mirror, defaultBranch };
    });
  } finally {
    // A token that could not be revoked keeps its folder.
    await rmdir(dir).catch(() => {});
  }
}

interface HintQueue {
  add(hint: PrefetchHint): void;
  close(): Promise<void>;
}

/** Of each repository one hint is at work and one waits, however many come; and it rests before one that is not urgent. */
function createHintQueue(restMs: number, work: (hint: PrefetchHint) => Promise<void>): HintQueue {
  const waiting = new Map<number, PrefetchHint>();
  const atWork = new Set<Promise<void>>();
  const resting = new Map<number, NodeJS.Timeout | undefined>();

  function startNext(): void {
    for (const [id, hint] of waiting) {
      if (atWork.size >= mostAtOnce) return;
      if (resting.has(id)) continue;
      waiting.delete(id);
      resting.set(id, undefined);
      const working = work(hint).finally(() => {
        atWork.delete(working);
        resting.set(id, setTimeout(() => wake(id), restMs).unref());
        if (waiting.get(id)?.urgent === true) wake(id);
        else startNext();
      });
      atWork.add(working);
    }
  }
  function wake(id: number): void {
    clearTimeout(resting.get(id));
    resting.delete(id);
    startNext();
  }

  return {
    add({ repo, mayCreate, urgent }) {
      const before = waiting.get(repo.id);
      waiting.set(repo.id, {
        repo,
        mayCreate: mayCreate || before?.mayCreate === true,
        urgent: urgent === true || before?.urgent === true,
      });
      if (urgent === true && resting.get(repo.id) !== undefined) wake(repo.id);
      else startNext();
    },
    async close() {
      waiting.clear();
      let late: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => (late = setTimeout(resolve, stopLimitMs)));
      await Promise.race([Promise.all(atWork), limit]);
      clearTimeout(late);
      for (const timer of resting.values()) clearTimeout(timer);
    },
  };
}
