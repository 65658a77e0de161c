import type { Octokit } from "@octokit/rest";
import { RefusedError } from "../errors.ts";
import type { Commit, CommitChange } from "../forge.ts";
import { orMissing, statusOf } from "./status.ts";

interface Name {
  owner: string;
  repo: string;
}

const inlineBytes = 256 * 1024;

/**
 * Writes the change as one commit on `base` through the Git Data API, without author fields, so that GitHub signs it as
 * the app. Small text goes into the tree request itself: a blob request each would cost a second of GitHub's write limit.
 */
export async function createCommit(
  octokit: Octokit,
  name: Name,
  change: CommitChange,
): Promise<{ commit: string; tree: string }> {
  const { data: base } = await octokit.rest.git.getCommit({ ...name, commit_sha: change.base });
  const tree = await createTree(octokit, name, { ...change, base: base.tree.sha });
  const { data: commit } = await octokit.rest.git.createCommit({
    ...name,
    message: change.message,
    tree,
    parents: [...(change.parents ?? [change.base])],
  });
  return { commit: commit.sha, tree };
}

/** On a base tree; without a change it is that tree, of which GitHub would make none. */
async function createTree(
  octokit: Octokit,
  name: Name,
  { base, files, deleted }: Pick<CommitChange, "base" | "files" | "deleted">,
): Promise<string> {
  if (files.length === 0 && deleted.length === 0) return base;
  const written: {
    path: string;
    mode: "100644" | "100755" | "120000";
    type: "blob";
    content?: string;
    sha?: string;
  }[] = [];
  for (const { path, mode, bytes } of files) {
    const text = bytes.byteLength <= inlineBytes ? asText(bytes) : undefined;
    const where = { path, mode, type: "blob" } as const;
    written.push(
      text === undefined ? { ...where, sha: await createBlob(octokit, name, bytes) } : { ...where, content: text },
    );
  }
  const gone = deleted.map((path) => ({ path, mode: "100644", type: "blob", sha: null }) as const);
  const { data } = await octokit.rest.git.createTree({ ...name, base_tree: base, tree: [...written, ...gone] });
  return data.sha;
}

export async function readCommit(octokit: Octokit, name: Name, id: string): Promise<Commit> {
  const { data } = await octokit.rest.git.getCommit({ ...name, commit_sha: id });
  const { message, tree, parents, author, committer } = data;
  return {
    message,
    author: author.name,
    committer: committer.name,
    tree: tree.sha,
    parents: parents.map(({ sha }) => sha),
  };
}

export async function branchHead(octokit: Octokit, name: Name, branch: string): Promise<string | undefined> {
  const found = await orEmpty(orMissing(octokit.rest.git.getRef({ ...name, ref: `heads/${branch}` })));
  return found?.data.object.sha;
}

export async function branchesFrom(octokit: Octokit, name: Name, prefix: string): Promise<string[]> {
  const found = await orEmpty(octokit.rest.git.listMatchingRefs({ ...name, ref: `heads/${prefix}` }));
  return (found?.data ?? []).map(({ ref }) => ref.replace(/^refs\/heads\//, ""));
}

/** An empty repository answers questions about references "Git Repository is empty.". */
async function orEmpty<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (statusOf(error) === 409) return undefined;
    throw error;
  }
}

export async function ensureBranch(
  octokit: Octokit,
  name: Name,
  { branch, commit, expected }: { branch: string; commit: string; expected: string | undefined },
): Promise<"done" | "conflict"> {
  const head = await branchHead(octokit, name, branch);
  if (head === commit) return "done";
  if (head !== expected) return "conflict";
  try {
    if (head === undefined) await octokit.rest.git.createRef({ ...name, ref: `refs/heads/${branch}`, sha: commit });
    else await octokit.rest.git.updateRef({ ...name, ref: `heads/${branch}`, sha: commit, force: false });
    return "done";
  } catch (error) {
    if (statusOf(error) !== 422 || error instanceof RefusedError) throw error;
    return (await branchHead(octokit, name, branch)) === commit ? "done" : "conflict";
  }
}

export async function ensureBranchGone(
  octokit: Octokit,
  name: Name,
  { branch, expected }: { branch: string; expected: string },
): Promise<"done" | "moved"> {
  const head = await branchHead(octokit, name, branch);
  if (head === undefined) return "done";
  if (head !== expected) return "moved";
  try {
    await octokit.rest.git.deleteRef({ ...name, ref: `heads/${branch}` });
    return "done";
  } catch (error) {
    if (statusOf(error) !== 422) throw error;
    // Somebody else deleted it in between; or it may not be deleted.
    if ((await branchHead(octokit, name, branch)) === undefined) return "done";
    throw new RefusedError("refused", `A rule of the repository keeps the branch ${branch}.`, {
      status: 422,
      cause: error,
    });
  }
}

export async function readFile(
  octokit: Octokit,
  name: Name,
  { path, ref }: { path: string; ref: string | undefined },
): Promise<string | undefined> {
  const at = ref === undefined ? {} : { ref };
  const found = await orMissing(octokit.rest.repos.getContent({ ...name, path, ...at }));
  if (found === undefined || Array.isArray(found.data) || !("content" in found.data)) return undefined;
  return Buffer.from(found.data.content, "base64").toString("utf8");
}

async function createBlob(octokit: Octokit, name: Name, bytes: Buffer): Promise<string> {
  const { data } = await octokit.rest.git.createBlob({
    ...name,
    content: bytes.toString("base64"),
    encoding: "base64",
  });
  return data.sha;
}

function asText(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  return !text.includes("\0") && Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}
