import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { git, gitToken } from "./git.ts";

/** One bare mirror per repository, under DATA_DIR/mirrors. It never holds a token. */
export interface Mirrors {
  /** The mirror's path, brought up to date. Fetches of one repository wait for each other. */
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

export function createMirrors(dataDir: string): Mirrors {
  const turns = new Map<string, Promise<unknown>>();
  return {
    fetch(source, signal) {
      const mirror = join(dataDir, "mirrors", `${source.key}.git`);
      const before = turns.get(source.key) ?? Promise.resolve();
      const turn = before.then(() => fetchInto(mirror, source, signal));
      turns.set(
        source.key,
        turn.catch(() => {}),
      );
      return turn;
    },
  };
}

async function fetchInto(mirror: string, { url, token, env }: MirrorSource, signal: AbortSignal): Promise<string> {
  await initBare(mirror);
  const refs = "+refs/heads/*:refs/heads/*";
  await git(
    ["fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", url, refs],
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
  const out = await git(["for-each-ref", "--format=%(objectname)", `refs/heads/${branch}`], { gitDir: mirror });
  return out.toString().split("\n")[0] || undefined;
}

/** Files of one commit, as data: nothing is checked out. */
export interface CommitFiles {
  /** Names in the top folder; a folder's name ends in "/". */
  top: string[];
  read(path: string): Promise<string | undefined>;
  has(path: string): Promise<boolean>;
}

export async function readCommit(mirror: string, commit: string): Promise<CommitFiles> {
  const listed = await git(["ls-tree", "-z", commit], { gitDir: mirror });
  const rows = listed.toString().split("\0").filter(Boolean);
  const top = rows.map((row) => {
    const [meta = "", name = ""] = row.split("\t");
    return meta.includes(" tree ") ? `${name}/` : name;
  });
  const lookUp = async (path: string) =>
    (await git(["ls-tree", "-z", commit, "--", path], { gitDir: mirror })).toString();
  return {
    top,
    has: async (path) => (await lookUp(path)) !== "",
    async read(path) {
      const row = await lookUp(path);
      if (!/^100(644|755) blob /.test(row)) return undefined;
      return (await git(["cat-file", "blob", `${commit}:${path}`], { gitDir: mirror })).toString("utf8");
    },
  };
}

async function initBare(path: string): Promise<void> {
  if (existsSync(join(path, "HEAD"))) return;
  await mkdir(path, { recursive: true, mode: 0o755 });
  await git(["init", "--quiet", "--bare", "--template=", path], { gitDir: path });
  await mkdir(join(path, "objects", "info"), { recursive: true });
}
