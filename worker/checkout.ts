import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { lock } from "proper-lockfile";
import { OutageError } from "../src/errors.ts";
import { GitFailed, git, gitToken } from "../sandbox/git.ts";
import { trackedAt } from "../sandbox/tracked.ts";

/** One bare mirror per repository, under DATA_DIR/mirrors. It never holds a token. */
export interface Mirrors {
  /** The mirror's path, brought up to date. Fetches of one repository wait for each other, also between processes. */
  fetch(source: MirrorSource, signal: AbortSignal): Promise<string>;
}
export interface MirrorSource {
  /** Names the folder: the repository's id, or a hash of a local path. */
  key: string;
  url: string;
  token?: string;
  env?: Record<string, string>;
}

const fetchLimitMs = 15 * 60_000;
const lockPollMs = 25;

export function createMirrors(dataDir: string): Mirrors {
  return {
    async fetch(source, signal) {
      const mirror = mirrorPath(dataDir, source.key);
      await mkdir(dirname(mirror), { recursive: true });
      await using turn = await takeTurn(mirror, signal);
      return await fetchInto(mirror, source, AbortSignal.any([signal, turn.lost]));
    },
  };
}

/** Where the mirror with this key is, or will be. */
export function mirrorPath(dataDir: string, key: string): string {
  return join(dataDir, "mirrors", `${key}.git`);
}

/** Whether a fetch of a mirror that began at `since` (milliseconds since the epoch) or later has succeeded, or does now. */
export async function fetchedSince(mirror: string, since: number, signal: AbortSignal): Promise<boolean> {
  if (!existsSync(mirror)) return false;
  await using _turn = await takeTurn(mirror, signal);
  return (await lastFetch(mirror)) >= since;
}

/** The only turn on a path among all processes of this machine; `lost` aborts when it was taken away. */
async function takeTurn(path: string, signal: AbortSignal): Promise<{ lost: AbortSignal } & AsyncDisposable> {
  const lost = new AbortController();
  const onCompromised = (cause: Error) =>
    lost.abort(new OutageError(`the lock of ${path} was lost: ${cause.message}`, { cause }));
  for (;;) {
    signal.throwIfAborted();
    try {
      const release = await lock(path, { realpath: false, stale: 10_000, update: 2000, onCompromised });
      return {
        lost: lost.signal,
        async [Symbol.asyncDispose]() {
          if (!lost.signal.aborted) await release();
        },
      };
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ELOCKED")) throw error;
    }
    await setTimeout(lockPollMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Lock files that a killed git left would fail every later fetch. Only for the holder of the mirror's turn. */
async function removeStaleLocks(mirror: string): Promise<void> {
  // No branch's name ends in .lock: git refuses it.
  const refs = (await readdir(join(mirror, "refs"), { recursive: true })).map((name) => join("refs", name));
  const names = [...(await readdir(mirror)), ...refs].filter((name) => name.endsWith(".lock"));
  await Promise.all(names.map((name) => rm(join(mirror, name), { force: true })));
}

const lastFetchFile = (mirror: string) => join(mirror, "last-fetch");

/** When the last fetch that succeeded began, in milliseconds since the epoch; 0 where none did. */
async function lastFetch(mirror: string): Promise<number> {
  return Number(await readFile(lastFetchFile(mirror), "utf8").catch(() => "0"));
}

async function fetchInto(mirror: string, { url, token, env }: MirrorSource, signal: AbortSignal): Promise<string> {
  const began = Date.now();
  await initBare(mirror);
  await removeStaleLocks(mirror);
  const refs = "+refs/heads/*:refs/heads/*";
  await git(
    ["fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--", url, refs],
    {
      gitDir: mirror,
      env: { ...env, ...(token === undefined ? {} : gitToken(url, token)) },
      timeoutMs: fetchLimitMs,
      signal,
    },
  );
  await writeFile(lastFetchFile(mirror), String(began));
  return mirror;
}

/** The run's own repository: what the agent made is built here, on the mirror's objects. */
export async function createRunRepository(runDir: string, mirror: string): Promise<string> {
  const path = join(runDir, "repo.git");
  await initBare(path);
  await writeFile(join(path, "objects", "info", "alternates"), `${join(mirror, "objects")}\n`);
  return path;
}

/** The commit at a branch of a mirror; undefined when there is no such branch. */
export async function commitOf(mirror: string, branch: string): Promise<string | undefined> {
  const ref = `refs/heads/${branch}`;
  const out = await git(["for-each-ref", "--format=%(objectname) %(refname)", ref], { gitDir: mirror });
  // git takes the name for a pattern, and for the folder of other branches.
  const rows = out.toString().split("\n");
  return rows.find((row) => row.endsWith(` ${ref}`))?.split(" ")[0];
}

/** The last commit that two commits of a mirror have in common; undefined where they share nothing. */
export async function forkOf(mirror: string, one: string, other: string): Promise<string | undefined> {
  try {
    return (await git(["merge-base", one, other], { gitDir: mirror })).toString().trim();
  } catch (error) {
    if (error instanceof GitFailed && error.code === 1) return undefined;
    throw error;
  }
}

/** Files of one commit, as data: nothing is checked out. */
export interface CommitFiles {
  /** Names in the top folder; a folder's name ends in "/". */
  top: string[];
  read(path: string): Promise<string | undefined>;
  has(path: string): Promise<boolean>;
  /** Names in a folder, a folder's name ending in "/"; none where there is no such folder. */
  list(folder: string): Promise<string[]>;
}

export async function readCommit(mirror: string, commit: string): Promise<CommitFiles> {
  const tracked = await trackedAt({ mirror }, commit);
  const list = (folder: string) => namesIn(folder, tracked.keys());
  const fileAt = (path: string) => tracked.get(Buffer.from(path).toString("latin1"));
  return {
    top: list(""),
    list: async (folder) => list(`${folder}/`),
    has: async (path) => fileAt(path) !== undefined || list(`${path}/`).length > 0,
    async read(path) {
      const found = fileAt(path);
      if (found?.mode !== "100644" && found?.mode !== "100755") return undefined;
      return (await git(["cat-file", "blob", found.oid], { gitDir: mirror })).toString("utf8");
    },
  };
}

/** The names right below a folder ("" or with "/" at its end), of paths in latin1. */
function namesIn(folder: string, paths: Iterable<string>): string[] {
  const prefix = Buffer.from(folder).toString("latin1");
  const names = new Set<string>();
  for (const path of paths) {
    if (!path.startsWith(prefix)) continue;
    const slash = path.indexOf("/", prefix.length);
    names.add(path.slice(prefix.length, slash === -1 ? undefined : slash + 1));
  }
  return Array.from(names, textOf);
}

/** A path of `trackedAt` as text. */
export function textOf(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

async function initBare(path: string): Promise<void> {
  if (existsSync(join(path, "HEAD"))) return;
  await mkdir(path, { recursive: true, mode: 0o755 });
  await git(["init", "--quiet", "--bare", "--template=", path], { gitDir: path });
  await mkdir(join(path, "objects", "info"), { recursive: true });
}
