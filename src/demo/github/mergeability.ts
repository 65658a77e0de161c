import { branchCommit, mergeTree } from "./git.ts";
import type { Issue, Repository } from "./state.ts";

/** Whether the merge would be clean; undefined where nobody has asked since a push, and of what is closed. */
export async function knownMergeability(repository: Repository, issue: Issue): Promise<boolean | undefined> {
  const sides = await sidesOf(repository, issue);
  const known = issue.pull?.mergeable;
  return sides === undefined || known?.of !== sides.join(" ") ? undefined : known.isClean;
}

/** Begins to work it out, as GitHub does when it is asked for a pull request. */
export async function askMergeability(repository: Repository, issue: Issue): Promise<void> {
  const sides = await sidesOf(repository, issue);
  const of = sides?.join(" ");
  if (issue.pull === undefined || sides === undefined || of === undefined || issue.pull.mergeable?.of === of) return;
  const [base, head] = sides;
  issue.pull.mergeable = { of, isClean: mergeTree(repository.gitDir, base, head).then((tree) => tree !== undefined) };
}

async function sidesOf({ gitDir }: Repository, { pull, state }: Issue): Promise<[string, string] | undefined> {
  const base = pull && (await branchCommit(gitDir, pull.base));
  return pull === undefined || base === undefined || state === "closed" ? undefined : [base, pull.headCommit];
}
