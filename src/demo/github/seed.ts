import { lstat, readFile, readdir, readlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { branchCommit, resolve, updateRef, writeBlob, writeCommit, writeTree, zero } from "./git.ts";
import type { TreeEntry } from "./git.ts";

/** Contents by path. Undefined takes a file out. */
export type Files = Record<string, string | PackedFile | undefined>;
export interface PackedFile {
  bytes: Uint8Array;
  executable: boolean;
}

export interface SeedCommit {
  branch: string;
  message: string;
  author: string;
}

/** Puts a commit with these files on a branch, as a person's push would. Returns its SHA. */
export async function commitFiles(
  gitDir: string,
  files: Files,
  { branch, message, author }: SeedCommit,
): Promise<string> {
  const entries = Object.entries(files).map(async ([path, content]): Promise<TreeEntry> => {
    const file = typeof content === "string" ? { bytes: content, executable: false } : content;
    if (file === undefined) return { path, mode: "100644", sha: null };
    return { path, mode: file.executable ? "100755" : "100644", sha: await writeBlob(gitDir, file.bytes) };
  });
  return commitEntries(gitDir, await Promise.all(entries), { branch, message, author });
}

/** The same with the files, modes and links of a folder. */
export async function commitFolder(gitDir: string, folder: string, commit: SeedCommit): Promise<string> {
  const entries: TreeEntry[] = [];
  for (const file of await readdir(folder, { recursive: true })) {
    const path = join(folder, file);
    const stat = await lstat(path);
    if (stat.isDirectory()) continue;
    const mode = stat.isSymbolicLink() ? "120000" : (stat.mode & 0o100) === 0 ? "100644" : "100755";
    const content = stat.isSymbolicLink() ? await readlink(path) : await readFile(path);
    entries.push({ path: relative(folder, path), mode, sha: await writeBlob(gitDir, content) });
  }
  return commitEntries(gitDir, entries, commit);
}

async function commitEntries(gitDir: string, entries: readonly TreeEntry[], { branch, message, author }: SeedCommit) {
  const before = await branchCommit(gitDir, branch);
  // A new branch begins at the default branch.
  const parent = before ?? (await resolve(gitDir, "HEAD"));
  const tree = await writeTree(gitDir, parent, entries);
  const parents = parent === undefined ? [] : [parent];
  const who = { name: author, email: `${author}@example.com` };
  const commit = await writeCommit(gitDir, { message, tree, parents, author: who, committer: who });
  await updateRef(gitDir, `refs/heads/${branch}`, commit, before ?? zero);
  return commit;
}
