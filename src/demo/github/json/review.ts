import { placeNow } from "../diff-lines.ts";
import type { Issue, Repository, Review } from "../state.ts";
import type { Entry } from "../threads.ts";
import { accountJson } from "./account.ts";
import { reactionsJson } from "./reaction.ts";
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

export async function reviewCommentJson(site: Site, repo: Repository, on: Issue, { of, one }: Entry) {
  if (on.pull === undefined) throw new Error(`#${on.number} is no pull request`);
  const at = `${repoApi(site, repo)}/pulls/comments/${one.id}`;
  const pullAt = `${repoApi(site, repo)}/pulls/${on.number}`;
  const page = reviewCommentPage(site, repo, on, one);
  const now = await placeNow(repo, on.pull, one);
  return {
    id: one.id,
    node_id: nodeId("PullRequestReviewComment", one.id),
    url: at,
    body: one.body,
    diff_hunk: one.hunk,
    path: one.path,
    original_position: 1,
    commit_id: now.line === null ? one.commit : on.pull.headCommit,
    original_commit_id: one.commit,
    user: accountJson(site, one.author),
    pull_request_review_id: of.id,
    html_url: page,
    pull_request_url: pullAt,
    author_association: association(repo, one.author),
    created_at: one.createdAt,
    updated_at: one.updatedAt,
    // Of a line that is gone, GitHub's description has no number.
    ...(now.line === null ? {} : { line: now.line, position: 1 }),
    original_line: one.line,
    side: one.side,
    start_line: now.startLine,
    original_start_line: one.startLine,
    start_side: one.startSide,
    subject_type: "line",
    ...(one.inReplyTo === null ? {} : { in_reply_to_id: one.inReplyTo }),
    reactions: reactionsJson(at, one.reactions),
    _links: { self: { href: at }, html: { href: page }, pull_request: { href: pullAt } },
  };
}

export function reviewCommentPage(site: Site, repo: Repository, on: Issue, { id }: { id: number }): string {
  return `${repoPage(site, repo)}/pull/${on.number}#discussion_r${id}`;
}
