import type { Context } from "./context.ts";
import { branchCommit } from "./git.ts";
import { pushJson } from "./json/push.ts";
import type { Move } from "./json/push.ts";
import type { Account, Repository } from "./state.ts";

/** After references moved: open pull requests show their new heads, and the app is told of each. */
export async function afterPush(
  { state, site, webhooks }: Context,
  repository: Repository,
  { sender, moves }: { sender: Account; moves: readonly Move[] },
): Promise<void> {
  await followBranches(repository, state.now());
  for (const move of moves) {
    if (move.before === move.after) continue;
    const subject = await pushJson(site, repository, move, sender);
    webhooks.emit({ event: "push", repository, sender, subject });
  }
}

async function followBranches(repository: Repository, now: string): Promise<void> {
  for (const issue of repository.issues.values()) {
    if (issue.pull === undefined || issue.state !== "open") continue;
    const head = await branchCommit(repository.gitDir, issue.pull.head);
    if (head === undefined || head === issue.pull.headCommit) continue;
    issue.pull.headCommit = head;
    issue.updatedAt = now;
  }
}
