import { z } from "zod";
import { accountOfCaller } from "../auth.ts";
import { parseBody, text } from "../body.ts";
import { ok } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure } from "../failure.ts";
import { branchCommit, mergeTree, updateRef, webFlow, writeCommit } from "../git.ts";
import { deedOf, setState } from "../issue-events.ts";
import { afterPush } from "../pushes.ts";
import { pullOf } from "./pulls.ts";

const wanted = z.object({
  commit_title: z.string().optional(),
  commit_message: text.optional(),
  sha: z.string().optional(),
  merge_method: z.enum(["merge", "squash"]).default("merge"),
});

/** What ends a pull request well. */
export const mergeRoutes: Route[] = [
  {
    method: "PUT",
    path: "/repos/:owner/:repo/pulls/:number/merge",
    on: "repository",
    need: { permission: "contents", level: "write" },
    handle: merge,
  },
];

async function merge(call: RepositoryCall, context: Context) {
  const { repository, caller } = call;
  const { gitDir } = repository;
  const issue = pullOf(call);
  const { pull, number, title } = issue;
  const asked = parseBody(wanted, "PullRequest", call.body);
  const isSquash = asked.merge_method === "squash";
  if (asked.sha !== undefined && asked.sha !== pull.headCommit)
    throw new Failure(409, "Head branch was modified. Review and try the merge again.");
  const before = await branchCommit(gitDir, pull.base);
  const tree = before && (await mergeTree(gitDir, before, pull.headCommit));
  if (issue.state === "closed" || before === undefined || tree === undefined)
    throw new Failure(405, "Pull Request is not mergeable");
  const by = accountOfCaller(caller);
  const usual = isSquash ? `${title} (#${number})` : `Merge pull request #${number} from ${pull.head}`;
  const message = [asked.commit_title ?? usual, asked.commit_message].filter(Boolean).join("\n\n");
  const author = { name: by.login, email: `${by.id}+${by.login}@users.noreply.github.com` };
  const parents = isSquash ? [before] : [before, pull.headCommit];
  const commit = await writeCommit(gitDir, { message, tree, parents, author, committer: webFlow });
  await updateRef(gitDir, `refs/heads/${pull.base}`, commit, before);
  pull.merged = { by, at: context.state.now(), commit };
  await setState(deedOf(call), context, issue, "closed");
  await afterPush(context, repository, {
    sender: by,
    moves: [{ ref: `refs/heads/${pull.base}`, before, after: commit }],
  });
  return ok({ sha: commit, merged: true, message: "Pull Request successfully merged" });
}
