import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CommitChange } from "../src/forge.ts";
import { OutageError } from "../src/errors.ts";
import type { Change } from "../sandbox/changes.ts";
import { git } from "../sandbox/git.ts";

const author = {
  GIT_AUTHOR_NAME: "agent-fix",
  GIT_AUTHOR_EMAIL: "agent-fix@localhost",
  GIT_COMMITTER_NAME: "agent-fix",
  GIT_COMMITTER_EMAIL: "agent-fix@localhost",
};

/** Builds a commit on `base` from data alone, in a repository of our own. The same change gives the same tree. */
export async function rebuildCommit(
  repository: string,
  base: string,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<{ commit: string; tree: string }> {
  const index = join(repository, "index");
  const at = { gitDir: repository, signal, env: { ...author, GIT_INDEX_FILE: index } };
  // A git that was killed leaves these, and every later one would refuse to work.
  await Promise.all([index, `${index}.lock`].map((path) => rm(path, { force: true })));
  await git(["read-tree", base], at);
  const rows: string[] = [];
  for (const change of changes) {
    if (change.mode === "deleted") rows.push(`0 ${"0".repeat(40)}\t${change.path}`);
    else {
      const oid = await git(["hash-object", "-w", "--no-filters", "--stdin"], { ...at, stdin: change.bytes });
      rows.push(`${change.mode} ${oid.toString().trim()}\t${change.path}`);
    }
  }
  await git(["update-index", "-z", "--index-info"], { ...at, stdin: rows.map((row) => `${row}\0`).join("") });
  const tree = (await git(["write-tree"], at)).toString().trim();

  // update-index drops a path that it dislikes with a warning only, so what came out is compared with what went in.
  const built = await changedPaths(repository, base, tree);
  const wanted = new Set(changes.map((change) => change.path));
  if (built.length !== wanted.size || built.some((path) => !wanted.has(path))) {
    throw new OutageError("the commit that was built does not hold exactly the changes that came out of the sandbox");
  }
  const commit = await git(["commit-tree", tree, "-p", base, "-m", "change"], at);
  return { commit: commit.toString().trim(), tree };
}

/** The difference of two commits as data, for the code host. */
export async function readCommitChange(
  repository: string,
  base: string,
  commit: string,
): Promise<Pick<CommitChange, "files" | "deleted">> {
  const raw = await git(["diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev", base, commit], {
    gitDir: repository,
  });
  const fields = raw.toString("utf8").split("\0");
  const result: Pick<CommitChange, "files" | "deleted"> = { files: [], deleted: [] };
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [, mode = "", , oid = ""] = (fields[i] ?? "").split(" ");
    const path = fields[i + 1] ?? "";
    if (mode === "000000") result.deleted.push(path);
    else if (mode === "100644" || mode === "100755" || mode === "120000") {
      result.files.push({ path, mode, bytes: await git(["cat-file", "blob", oid], { gitDir: repository }) });
    } else throw new OutageError(`unexpected mode ${mode} of a changed file`);
  }
  return result;
}

/** The difference as a unified patch. */
export async function readPatch(repository: string, base: string, commit: string): Promise<string> {
  const out = await git(["diff-tree", "-p", "--no-ext-diff", "--no-textconv", "--binary", "--no-color", base, commit], {
    gitDir: repository,
  });
  return out.toString("utf8");
}

/** What a branch changes against the point where it left another, as a patch of at most 60,000 characters. */
export async function readBranchPatch(mirror: string, from: string, commit: string): Promise<string> {
  const fork = await git(["merge-base", `refs/heads/${from}`, commit], { gitDir: mirror });
  const patch = await readPatch(mirror, fork.toString().trim(), commit);
  return patch.length > 60_000 ? `${patch.slice(0, 60_000)}\n[the rest of the patch is left out]` : patch;
}

async function changedPaths(repository: string, base: string, tree: string): Promise<string[]> {
  const out = await git(["diff-tree", "-r", "-z", "--no-renames", "--name-only", base, tree], { gitDir: repository });
  return out.toString("utf8").split("\0").filter(Boolean);
}
