import { resolve, statOf } from "../git.ts";
import { knownMergeability } from "../mergeability.ts";
import type { Issue, Repository } from "../state.ts";
import { accountJson } from "./account.ts";
import { issueJson } from "./issue.ts";
import { repositoryJson } from "./repository.ts";
import { nodeId, repoApi } from "./site.ts";
import type { Site } from "./site.ts";

function sideJson(site: Site, repo: Repository, ref: string, sha: string) {
  return {
    label: `${repo.owner.login}:${ref}`,
    ref,
    sha,
    user: accountJson(site, repo.owner),
    repo: repositoryJson(site, repo),
  };
}

export async function pullJson(site: Site, repo: Repository, one: Issue) {
  const { pull: about } = one;
  if (about === undefined) throw new Error(`#${one.number} is no pull request`);
  const at = `${repoApi(site, repo)}/pulls/${one.number}`;
  const issueAt = `${repoApi(site, repo)}/issues/${one.number}`;
  const base = (await resolve(repo.gitDir, `refs/heads/${about.base}`)) ?? about.headCommit;
  const shared = issueJson(site, repo, one);
  const links = {
    self: { href: at },
    html: { href: shared.html_url },
    issue: { href: issueAt },
    comments: { href: `${issueAt}/comments` },
    review_comments: { href: `${at}/comments` },
    review_comment: { href: `${repoApi(site, repo)}/pulls/comments{/number}` },
    commits: { href: `${at}/commits` },
    statuses: { href: `${repoApi(site, repo)}/statuses/${about.headCommit}` },
  };
  return {
    url: at,
    id: one.id,
    node_id: nodeId("PullRequest", one.id),
    html_url: shared.html_url,
    diff_url: `${shared.html_url}.diff`,
    patch_url: `${shared.html_url}.patch`,
    issue_url: issueAt,
    number: one.number,
    state: one.state,
    locked: false,
    title: one.title,
    user: shared.user,
    body: one.body,
    created_at: one.createdAt,
    updated_at: one.updatedAt,
    closed_at: one.closedAt,
    merged_at: about.merged?.at ?? null,
    merge_commit_sha: about.merged?.commit ?? null,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: shared.labels,
    milestone: null,
    draft: about.draft,
    commits_url: links.commits.href,
    review_comments_url: links.review_comments.href,
    review_comment_url: links.review_comment.href,
    comments_url: links.comments.href,
    statuses_url: links.statuses.href,
    head: sideJson(site, repo, about.head, about.headCommit),
    base: sideJson(site, repo, about.base, base),
    _links: links,
    author_association: shared.author_association,
    auto_merge: null,
    active_lock_reason: null,
  };
}

export async function fullPullJson(site: Site, repo: Repository, one: Issue) {
  const simple = await pullJson(site, repo, one);
  const { additions, deletions, files, commits } = await statOf(repo.gitDir, simple.base.sha, simple.head.sha);
  const isClean = await knownMergeability(repo, one);
  const merged = one.pull?.merged ?? null;
  const merge = {
    merged: merged !== null,
    merged_by: merged && accountJson(site, merged.by),
    mergeable: isClean ?? null,
    rebaseable: isClean ?? null,
    mergeable_state: isClean === undefined ? "unknown" : isClean ? "clean" : "dirty",
  };
  const reviewed = (one.pull?.reviews ?? []).flatMap((given) => given.comments).length;
  const counts = { comments: one.comments.length, review_comments: reviewed, commits, additions, deletions };
  return { ...simple, ...merge, ...counts, maintainer_can_modify: false, changed_files: files };
}
