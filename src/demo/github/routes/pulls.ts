import { z } from "zod";
import { parseBody, text, title } from "../body.ts";
import { created, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { invalid, notFound } from "../failure.ts";
import { branchCommit, commitsOf, diffOf, haveCommon, isAncestor, readCommit } from "../git.ts";
import { deedOf, emitIssue } from "../issue-events.ts";
import { accountedCommitJson } from "../json/commit.ts";
import { fullPullJson, pullJson } from "../json/pull.ts";
import { askMergeability } from "../mergeability.ts";
import type { Issue, PullRequest, Repository } from "../state.ts";
import { changedIssue, issueOf, newIssueOf, rewritten } from "./issues.ts";

const permission = "pull_requests";
const read = { permission, level: "read" } as const;
const write = { permission, level: "write" } as const;

const newPull = z.object({
  title,
  head: z.string().min(1),
  base: z.string().min(1),
  body: text.nullish(),
  draft: z.boolean().default(false),
});
/** Pull requests, without what is said on them. */
export const pullRoutes: Route[] = [
  { method: "GET", path: "/repos/:owner/:repo/pulls", on: "repository", need: read, handle: listPulls },
  { method: "POST", path: "/repos/:owner/:repo/pulls", on: "repository", need: write, handle: createPull },
  { method: "GET", path: "/repos/:owner/:repo/pulls/:number", on: "repository", need: read, handle: getPull },
  { method: "PATCH", path: "/repos/:owner/:repo/pulls/:number", on: "repository", need: write, handle: changePull },
  {
    method: "GET",
    path: "/repos/:owner/:repo/pulls/:number/commits",
    on: "repository",
    need: read,
    handle: listCommits,
  },
];

export type Pull = Issue & { pull: PullRequest };

export function isPull(issue: Issue): issue is Pull {
  return issue.pull !== undefined;
}

export function pullOf(call: RepositoryCall): Pull {
  const issue = issueOf(call);
  if (!isPull(issue)) throw notFound();
  return issue;
}

async function listPulls(call: RepositoryCall, { site }: Context) {
  const { repository, query } = call;
  const { state = "open", head, base } = query;
  const found = [...repository.issues.values()]
    .filter(isPull)
    .filter((one) => state === "all" || one.state === state)
    .filter((one) => head === undefined || head === `${repository.owner.login}:${one.pull.head}`)
    .filter((one) => base === undefined || base === one.pull.base)
    .toReversed();
  const shown = await Promise.all(found.map((one) => pullJson(site, repository, one)));
  return paged(call, shown);
}

async function createPull(call: RepositoryCall, context: Context) {
  const { repository } = call;
  const wanted = parseBody(newPull, "PullRequest", call.body);
  const head = wanted.head.replace(`${repository.owner.login}:`, "");
  const commit = await refuseUnlessPossible(repository, head, wanted.base);
  const issue = newIssueOf(call, context, { title: wanted.title, body: wanted.body ?? null });
  issue.pull = {
    base: wanted.base,
    head,
    headCommit: commit,
    draft: wanted.draft,
    reviews: [],
    resolved: new Set(),
    merged: null,
    mergeable: undefined,
  };
  await emitIssue(deedOf(call), context, issue, { action: "opened" });
  return created(await fullPullJson(context.site, repository, issue));
}

async function refuseUnlessPossible(repository: Repository, head: string, base: string): Promise<string> {
  const [commit, onto] = [await branchCommit(repository.gitDir, head), await branchCommit(repository.gitDir, base)];
  if (commit === undefined) throw invalid("PullRequest", "head");
  if (onto === undefined) throw invalid("PullRequest", "base");
  const refuse = (message: string) => invalid("PullRequest", "", { code: "custom", message });
  if (await isAncestor(repository.gitDir, commit, onto)) throw refuse(`No commits between ${base} and ${head}`);
  if (!(await haveCommon(repository.gitDir, commit, onto)))
    throw refuse(`The ${head} branch has no history in common with ${base}`);
  const open = [...repository.issues.values()].filter(isPull).filter((one) => one.state === "open");
  if (open.some(({ pull }) => pull.head === head && pull.base === base))
    throw refuse(`A pull request already exists for ${repository.owner.login}:${head}.`);
  return commit;
}

async function getPull(call: RepositoryCall, { site }: Context) {
  const issue = pullOf(call);
  const { gitDir } = call.repository;
  if (!/[./]diff\b/.test(call.accept)) {
    const shown = await fullPullJson(site, call.repository, issue);
    await askMergeability(call.repository, issue);
    return ok(shown);
  }
  return ok(await diffOf(gitDir, `refs/heads/${issue.pull.base}`, issue.pull.headCommit), {
    "content-type": "application/vnd.github.diff; charset=utf-8",
  });
}

async function listCommits(call: RepositoryCall, { state, site }: Context) {
  const { repository } = call;
  const { pull } = pullOf(call);
  // What was merged is in its base.
  const base = pull.merged === null ? `refs/heads/${pull.base}` : `${pull.merged.commit}^1`;
  const ids = await commitsOf(repository.gitDir, base, pull.headCommit);
  const commits = await Promise.all(ids.map((id) => readCommit(repository.gitDir, id)));
  return paged(call, commits, (page) =>
    page.flatMap((data) => (data === undefined ? [] : accountedCommitJson({ state, site }, repository, data))),
  );
}

async function changePull(call: RepositoryCall, context: Context) {
  const issue = pullOf(call);
  const change = parseBody(changedIssue, "PullRequest", call.body);
  if (change.state === "open" && issue.state === "closed") await refuseUnlessReopenable(call.repository, issue);
  await rewritten(call, context, issue, change);
  return ok(await fullPullJson(context.site, call.repository, issue));
}

async function refuseUnlessReopenable({ gitDir }: Repository, { pull }: Pull): Promise<void> {
  const head = await branchCommit(gitDir, pull.head);
  if (head === undefined || pull.merged !== null) throw invalid("PullRequest", "state");
  pull.headCommit = head;
}
