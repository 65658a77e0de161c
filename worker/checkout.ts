import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { lock } from "proper-lockfile";
import { OutageError } from "../src/errors.ts";
import { git, gitToken } from "../sandbox/git.ts";

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
const lockPollMs = 100;

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

async function fetchInto(mirror: string, { url, token, env }: MirrorSource, signal: AbortSignal): Promise<string> {
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

/** The last commit that two commits of a mirror have in common. */
export async function forkOf(mirror: string, one: string, other: string): Promise<string> {
  return (await git(["merge-base", one, other], { gitDir: mirror })).toString().trim();
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
  const entry = async (path: string) => (await listTree(mirror, commit, ["--", path])).find((one) => one.path === path);
  return {
    top: (await listTree(mirror, commit)).map(({ kind, path }) => (kind === "tree" ? `${path}/` : path)),
    has: async (path) => (await entry(path)) !== undefined,
    list: async (folder) => {
      const below = await listTree(mirror, commit, ["--", `${folder}/`]);
      return below.map(({ kind, path }) => path.slice(folder.length + 1) + (kind === "tree" ? "/" : ""));
    },
    async read(path) {
      const found = await entry(path);
      if (found?.mode !== "100644" && found?.mode !== "100755") return undefined;
      return (await git(["cat-file", "blob", found.oid], { gitDir: mirror })).toString("utf8");
    },
  };
}

interface TreeEntry {
  mode: string;
  kind: string;
  oid: string;
  path: string;
}

/** What `git ls-tree` with these further arguments lists at a commit. */
export async function listTree(mirror: string, commit: string, more: readonly string[] = []): Promise<TreeEntry[]> {
  const out = await git(["ls-tree", "-z", commit, ...more], { gitDir: mirror });
  const rows = out.toString().split("\0").filter(Boolean);
  return rows.map((row) => {
    const tab = row.indexOf("\t");
    const [mode = "", kind = "", oid = ""] = row.slice(0, tab).split(" ");
    return { mode, kind, oid, path: row.slice(tab + 1) };
  });
}

async function initBare(path: string): Promise<void> {
  if (existsSync(join(path, "HEAD"))) return;
  await mkdir(path, { recursive: true, mode: 0o755 });
  await git(["init", "--quiet", "--bare", "--template=", path], { gitDir: path });
  await mkdir(join(path, "objects", "info"), { recursive: true });
}
