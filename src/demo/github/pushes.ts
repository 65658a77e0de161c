import type { Context } from "./context.ts";
import { branchCommit } from "./git.ts";
import { emitIssue, setState } from "./issue-events.ts";
import { pushJson } from "./json/push.ts";
import type { Move } from "./json/push.ts";
import type { Account, Issue, Repository } from "./state.ts";

/** After references moved: open pull requests show their new heads, or are closed, and the app is told of all. */
export async function afterPush(
  context: Context,
  repository: Repository,
  { sender, moves }: { sender: Account; moves: readonly Move[] },
): Promise<void> {
  const deed = { sender, repository };
  const followed = await followBranches(repository, context.state.now());
  for (const move of moves) {
    if (move.before === move.after) continue;
    const subject = await pushJson(context.site, repository, move, sender);
    context.webhooks.emit({ event: "push", repository, sender, subject });
  }
  for (const { issue, before, after } of followed) {
    if (after === undefined) await setState(deed, context, issue, "closed");
    else await emitIssue(deed, context, issue, { action: "synchronize", before, after });
  }
}

/** Open pull requests whose head moved, with its commits; undefined where the branch is gone. */
async function followBranches(repository: Repository, now: string) {
  const followed: { issue: Issue; before: string; after: string | undefined }[] = [];
  for (const issue of repository.issues.values()) {
    const { pull } = issue;
    if (pull === undefined || issue.state !== "open") continue;
    const before = pull.headCommit;
    const after = await branchCommit(repository.gitDir, pull.head);
    if (after === before) continue;
    followed.push({ issue, before, after });
    pull.headCommit = after ?? before;
    issue.updatedAt = now;
  }
  return followed;
}
