import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { gitReader } from "./git-reader.ts";

export interface TreeEntry {
  path: string;
  mode: string;
  /** Null takes the path out. */
  sha: string | null;
}
export interface CommitInput {
  message: string;
  tree: string;
  parents: readonly string[];
  author: { name: string; email: string };
  committer: { name: string; email: string };
}
export interface CommitData {
  sha: string;
  tree: string;
  parents: string[];
  message: string;
  author: { name: string; email: string; date: string };
  committer: { name: string; email: string; date: string };
}

/** git refused: its exit code and its message. */
export class GitError extends Error {
  override name = "GitError";
}

export const zero = "0".repeat(40);
const gitLimitMs = 60_000;
/** Who commits what GitHub itself makes and signs. */
export const webFlow = { name: "GitHub", email: "noreply@github.com" };

/** Runs git, on a bare repository where one is given, apart from this machine's own configuration. */
async function git(
  gitDir: string | undefined,
  args: readonly string[],
  { input = "", env = {} }: { input?: string | Uint8Array; env?: Record<string, string> } = {},
): Promise<Buffer> {
  const at = gitDir === undefined ? [] : ["--git-dir", gitDir];
  const child = spawn("git", [...at, ...args], {
    env: { ...gitEnvironment(), ...env },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: gitLimitMs,
  });
  const out: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => complaints.push(chunk));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  const code = await promise;
  if (code !== 0)
    throw new GitError(`git ${args[0]} ended with ${code}: ${Buffer.concat(complaints).toString().trim()}`);
  return Buffer.concat(out);
}

/** No prompt, no hook of the machine, no user configuration. */
export function gitEnvironment(): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
  };
}

async function line(gitDir: string, args: readonly string[], input?: string | Uint8Array): Promise<string> {
  return (await git(gitDir, args, input === undefined ? {} : { input })).toString().trim();
}

async function orNothing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof GitError) return undefined;
    throw error;
  }
}

/** The object that a name means, if there is one of that type. */
export async function resolve(gitDir: string, name: string, type = "commit"): Promise<string | undefined> {
  return (await gitReader(gitDir, gitEnvironment()).find(`${name}^{${type}}`))?.sha;
}

export function branchCommit(gitDir: string, branch: string): Promise<string | undefined> {
  return resolve(gitDir, `refs/heads/${branch}`);
}

export async function isEmpty(gitDir: string): Promise<boolean> {
  return (await git(gitDir, ["for-each-ref", "--count=1"])).length === 0;
}

export function writeBlob(gitDir: string, bytes: Uint8Array | string): Promise<string> {
  return line(gitDir, ["hash-object", "-w", "--stdin"], bytes);
}

/** Throws GitError when an entry is not possible. */
export async function writeTree(gitDir: string, base: string | undefined, entries: readonly TreeEntry[]) {
  const index = join(gitDir, `index-${randomUUID()}`);
  const env = { GIT_INDEX_FILE: index };
  try {
    await git(gitDir, base === undefined ? ["read-tree", "--empty"] : ["read-tree", base], { env });
    const lines = entries.map(({ path, mode, sha }) =>
      sha === null ? `0 ${zero}\t${path}\0` : `${mode} ${sha}\t${path}\0`,
    );
    await git(gitDir, ["update-index", "-z", "--index-info"], { env, input: lines.join("") });
    return (await git(gitDir, ["write-tree"], { env })).toString().trim();
  } finally {
    await rm(index, { force: true });
  }
}

export async function writeCommit(gitDir: string, { message, tree, parents, author, committer }: CommitInput) {
  const env = {
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_COMMITTER_NAME: committer.name,
    GIT_COMMITTER_EMAIL: committer.email,
  };
  const args = ["commit-tree", tree, ...parents.flatMap((parent) => ["-p", parent])];
  return (await git(gitDir, args, { env, input: message })).toString().trim();
}

export async function readCommit(gitDir: string, sha: string): Promise<CommitData | undefined> {
  const commit = await gitReader(gitDir, gitEnvironment()).read(`${sha}^{commit}`);
  if (commit === undefined) return undefined;
  const end = commit.text.indexOf("\n\n");
  const lines = commit.text.slice(0, end).split("\n");
  const valuesOf = (key: string) =>
    lines.flatMap((row) => (row.startsWith(`${key} `) ? [row.slice(key.length + 1)] : []));
  return {
    sha: commit.sha,
    tree: valuesOf("tree")[0] ?? "",
    parents: valuesOf("parent"),
    message: commit.text.slice(end + 2).replace(/\n+$/, ""),
    author: signatureOf(valuesOf("author")[0]),
    committer: signatureOf(valuesOf("committer")[0]),
  };
}

/** `Name <address> seconds zone`; git lets no `>` into an address. */
function signatureOf(row = ""): CommitData["author"] {
  const [, name = "", email = "", seconds = "0"] = /^(.*?) ?<([^>]*)> ([0-9]+)/.exec(row) ?? [];
  return { name, email, date: `${new Date(Number(seconds) * 1_000).toISOString().slice(0, 19)}Z` };
}

export interface TreeItem {
  mode: string;
  type: "blob" | "tree" | "commit";
  sha: string;
  size: number | undefined;
  path: string;
}

export async function listTree(gitDir: string, tree: string, recursive = false): Promise<TreeItem[]> {
  const out = await git(gitDir, ["ls-tree", "-z", "-l", ...(recursive ? ["-r", "-t"] : []), tree]);
  const rows = out
    .toString()
    .split("\0")
    .filter((row) => row !== "");
  return rows.map((row) => {
    const [meta = "", path = ""] = row.split("\t");
    const [mode = "", type = "blob", sha = "", size = "-"] = meta.split(/ +/);
    return { mode, type: type as TreeItem["type"], sha, size: size === "-" ? undefined : Number(size), path };
  });
}

export function readBlob(gitDir: string, sha: string): Promise<Buffer> {
  return git(gitDir, ["cat-file", "blob", sha]);
}

/** The objects of all references, by full name. */
export async function listRefs(gitDir: string): Promise<Map<string, string>> {
  const rows = (await line(gitDir, ["for-each-ref", "--format=%(objectname) %(refname)"])).split("\n").filter(Boolean);
  return new Map(rows.map((row) => [row.slice(row.indexOf(" ") + 1), row.slice(0, row.indexOf(" "))]));
}

/** The newest commits that lead to `until` and not to `known`, oldest first. */
export async function commitsBetween(gitDir: string, known: string | undefined, until: string): Promise<string[]> {
  const without = known === undefined ? [] : [`^${known}`];
  return (await line(gitDir, ["rev-list", "--reverse", "--max-count=20", until, ...without]))
    .split("\n")
    .filter(Boolean);
}

/** The commits of a branch since it left another, oldest first; at most the first 250, as GitHub shows them. */
export async function commitsOf(gitDir: string, base: string, head: string): Promise<string[]> {
  const commits = await line(gitDir, ["rev-list", "--topo-order", "--reverse", head, `^${base}`]);
  return commits.split("\n").filter(Boolean).slice(0, 250);
}

/** What a commit did to which paths. */
export async function pathsOf(
  gitDir: string,
  commit: string,
): Promise<{ added: string[]; removed: string[]; modified: string[] }> {
  const args = ["diff-tree", "--root", "-r", "-z", "--no-renames", "--no-commit-id", "--name-status", commit];
  const fields = (await git(gitDir, args)).toString().split("\0");
  const found = { added: [] as string[], removed: [] as string[], modified: [] as string[] };
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const to = fields[at] === "A" ? found.added : fields[at] === "D" ? found.removed : found.modified;
    to.push(fields[at + 1] ?? "");
  }
  return found;
}

/** The tree that a merge of two commits gives; undefined where they contradict each other. */
export function mergeTree(gitDir: string, onto: string, commit: string): Promise<string | undefined> {
  return orNothing(line(gitDir, ["merge-tree", "--write-tree", "--no-messages", onto, commit]));
}

/** Moves, makes or deletes (for all zeros) a reference; `old` is what it must be now. */
export async function updateRef(gitDir: string, ref: string, commit: string, old: string): Promise<void> {
  await git(gitDir, ["update-ref", ref, commit, old]);
}

/** What `HEAD` stands for: the default branch. */
export async function setHead(gitDir: string, branch: string): Promise<void> {
  await git(gitDir, ["symbolic-ref", "HEAD", `refs/heads/${branch}`]);
}

export async function isAncestor(gitDir: string, older: string, newer: string): Promise<boolean> {
  return (await orNothing(git(gitDir, ["merge-base", "--is-ancestor", older, newer]))) !== undefined;
}

/** Whether two commits have an ancestor in common. */
export async function haveCommon(gitDir: string, one: string, other: string): Promise<boolean> {
  return (await orNothing(git(gitDir, ["merge-base", one, other]))) !== undefined;
}

/** What a pull request shows: the change since both sides parted. */
export async function diffOf(
  gitDir: string,
  base: string,
  head: string,
  paths: readonly string[] = [],
): Promise<string> {
  return (
    await git(gitDir, ["--literal-pathspecs", "diff", "--no-ext-diff", await since(gitDir, base, head), "--", ...paths])
  ).toString();
}

/** Since the point where they parted, as far as they have one. */
async function since(gitDir: string, base: string, head: string): Promise<string> {
  return (await haveCommon(gitDir, base, head)) ? `${base}...${head}` : `${base}..${head}`;
}

/** The hunks without context by which a file of one commit became that of another. */
export async function changeOf(gitDir: string, from: string, to: string, path: string): Promise<string> {
  return (
    await git(gitDir, ["--literal-pathspecs", "diff", "--no-ext-diff", "--unified=0", from, to, "--", path])
  ).toString();
}

export interface DiffStat {
  additions: number;
  deletions: number;
  files: number;
  commits: number;
}

export async function statOf(gitDir: string, base: string, head: string): Promise<DiffStat> {
  const out = await git(gitDir, ["diff", "--numstat", await since(gitDir, base, head)]);
  const rows = out.toString().split("\n").filter(Boolean);
  const sum = (column: number) => rows.reduce((total, row) => total + (Number(row.split("\t")[column]) || 0), 0);
  const commits = Number(await line(gitDir, ["rev-list", "--count", `${base}..${head}`]));
  return { additions: sum(0), deletions: sum(1), files: rows.length, commits };
}

/** Makes a bare repository whose default branch is `branch`, without a commit. */
export async function createBare(gitDir: string, branch: string): Promise<void> {
  await git(undefined, ["init", "--quiet", "--bare", "-b", branch, gitDir]);
}
