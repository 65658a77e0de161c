import type { Issue, Repository, Review, ReviewComment } from "../state.ts";
import { accountJson } from "./account.ts";
import { association, nodeId, repoApi, repoPage } from "./site.ts";
import type { Site } from "./site.ts";

export function reviewJson(
  site: Site,
  repo: Repository,
  on: Issue,
  { id, author, body, state, commit, submittedAt }: Review,
) {
  const pullAt = `${repoApi(site, repo)}/pulls/${on.number}`;
  const page = `${repoPage(site, repo)}/pull/${on.number}#pullrequestreview-${id}`;
  return {
    id,
    node_id: nodeId("PullRequestReview", id),
    user: accountJson(site, author),
    body,
    commit_id: commit,
    submitted_at: submittedAt,
    state: state as string,
    html_url: page,
    pull_request_url: pullAt,
    author_association: association(repo, author),
    _links: { html: { href: page }, pull_request: { href: pullAt } },
  };
}

export function reviewCommentJson(
  site: Site,
  repo: Repository,
  on: Issue,
  { of, one }: { of: Review; one: ReviewComment },
) {
  const at = `${repoApi(site, repo)}/pulls/comments/${one.id}`;
  const pullAt = `${repoApi(site, repo)}/pulls/${on.number}`;
  const page = `${repoPage(site, repo)}/pull/${on.number}#discussion_r${one.id}`;
  return {
    id: one.id,
    node_id: nodeId("PullRequestReviewComment", one.id),
    url: at,
    body: one.body,
    diff_hunk: one.hunk,
    path: one.path,
    position: 1,
    original_position: 1,
    commit_id: one.commit,
    original_commit_id: one.commit,
    user: accountJson(site, one.author),
    pull_request_review_id: of.id,
    html_url: page,
    pull_request_url: pullAt,
    author_association: association(repo, one.author),
    created_at: one.createdAt,
    updated_at: one.createdAt,
    line: one.line,
    original_line: one.line,
    side: one.side,
    _links: { self: { href: at }, html: { href: page }, pull_request: { href: pullAt } },
  };
}
