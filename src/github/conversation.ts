import type { Octokit } from "@octokit/rest";
import type { Remark, ReviewFacts, Thread } from "../forge.ts";
import { allPages, authorFragment, toAuthor } from "./graphql.ts";
import type { Actor, Page } from "./graphql.ts";
import { orMissing } from "./status.ts";

interface Name {
  owner: string;
  repo: string;
}
type Numbered = Name & { number: number };

// The older `databaseId` is a 32-bit number, which the comments of github.com have outgrown.
const remarkFields = "fullDatabaseId body createdAt lastEditedAt url author { ...author }";
const pageInfo = "pageInfo { hasNextPage endCursor }";

interface RemarkNode {
  fullDatabaseId: string;
  body: string;
  createdAt: string;
  lastEditedAt: string | null;
  url: string;
  author: Actor | null;
}

const remarksQuery = `query ($owner: String!, $repo: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $repo) {
    issueOrPullRequest(number: $number) {
      ... on Issue { comments(first: 100, after: $after) { ...remarks } }
      ... on PullRequest { comments(first: 100, after: $after) { ...remarks } }
    }
  }
}
fragment remarks on IssueCommentConnection { nodes { ${remarkFields} } ${pageInfo} }
${authorFragment}`;

interface RemarksAnswer {
  repository: { issueOrPullRequest: { comments: Page<RemarkNode> } };
}

/** The comments under an issue or pull request; only GraphQL tells when they were edited by a person. */
export async function listRemarks(octokit: Octokit, name: Numbered): Promise<Remark[]> {
  const nodes = await allPages(async (after) => {
    const { repository } = await octokit.graphql<RemarksAnswer>(remarksQuery, { ...name, after });
    return repository.issueOrPullRequest.comments;
  });
  return nodes.map(toRemark);
}

interface ThreadNode {
  id: string;
  path: string;
  line: number | null;
  startLine: number | null;
  isResolved: boolean;
  isOutdated: boolean;
  comments: Page<ThreadRemarkNode>;
}
type ThreadRemarkNode = RemarkNode & { diffHunk: string; pullRequestReview: { fullDatabaseId: string } | null };

const threadRemarksFragment = `fragment remarks on PullRequestReviewCommentConnection {
  nodes { ${remarkFields} diffHunk pullRequestReview { fullDatabaseId } } ${pageInfo}
}
${authorFragment}`;

const threadsQuery = `query ($owner: String!, $repo: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $repo) {
    pullRequest(number: $number) {
      reviewThreads(first: 50, after: $after) {
        nodes { id path line startLine isResolved isOutdated comments(first: 100) { ...remarks } }
        ${pageInfo}
      }
    }
  }
}
${threadRemarksFragment}`;

const threadRemarksQuery = `query ($id: ID!, $after: String) {
  node(id: $id) { ... on PullRequestReviewThread { comments(first: 100, after: $after) { ...remarks } } }
}
${threadRemarksFragment}`;

interface ThreadsAnswer {
  repository: { pullRequest: { reviewThreads: Page<ThreadNode> } };
}
interface ThreadRemarksAnswer {
  node: { comments: Page<ThreadRemarkNode> };
}

export async function listThreads(octokit: Octokit, name: Numbered): Promise<Thread[]> {
  const nodes = await allPages(async (after) => {
    const { repository } = await octokit.graphql<ThreadsAnswer>(threadsQuery, { ...name, after });
    return repository.pullRequest.reviewThreads;
  });
  const threads: Thread[] = [];
  for (const { id, path, line, startLine, isResolved, isOutdated, comments } of nodes) {
    const remarks = await allPages(
      async (after) => (await octokit.graphql<ThreadRemarksAnswer>(threadRemarksQuery, { id, after })).node.comments,
      comments,
    );
    threads.push({
      id,
      path,
      line: line ?? undefined,
      startLine: startLine ?? undefined,
      hunk: remarks[0]?.diffHunk ?? "",
      isResolved,
      isOutdated,
      remarks: remarks.map((one) => ({ ...toRemark(one), review: toId(one.pullRequestReview) })),
    });
  }
  return threads.toSorted((a, b) => (a.remarks[0]?.id ?? 0) - (b.remarks[0]?.id ?? 0));
}

function toRemark({ fullDatabaseId, author, body, createdAt, lastEditedAt, url }: RemarkNode): Remark {
  const editedAt = lastEditedAt ?? undefined;
  return { id: Number(fullDatabaseId), author: toAuthor(author), body, createdAt, editedAt, url };
}

function toId(node: { fullDatabaseId: string } | null): number | undefined {
  return node === null ? undefined : Number(node.fullDatabaseId);
}

/** Resolving what is resolved changes nothing. */
export async function resolveThread(octokit: Octokit, id: string): Promise<void> {
  const mutation = `mutation ($id: ID!) { resolveReviewThread(input: { threadId: $id }) { thread { isResolved } } }`;
  await octokit.graphql(mutation, { id });
}

const reviewStates: Record<string, ReviewFacts["state"]> = {
  APPROVED: "approved",
  CHANGES_REQUESTED: "changes-requested",
  COMMENTED: "commented",
  DISMISSED: "dismissed",
};

/** What is still being written (GitHub shows us our own) is left out. */
export async function listReviews(octokit: Octokit, { number, ...name }: Numbered): Promise<ReviewFacts[]> {
  const found = await octokit.paginate(octokit.rest.pulls.listReviews, {
    ...name,
    pull_number: number,
    per_page: 100,
  });
  return found.flatMap(({ id, user, state: word, body, submitted_at, commit_id, html_url: url }) => {
    const state = reviewStates[word];
    if (state === undefined || submitted_at === undefined) return [];
    const author = user === null ? toAuthor(null) : { id: user.id, login: user.login, isBot: user.type === "Bot" };
    return [{ id, author, state, body, submittedAt: submitted_at, commit: commit_id ?? undefined, url }];
  });
}

/** Our own reply that begins with this mark in the thread of that comment, created or edited; nothing where the thread is gone. */
export async function ensureReply(
  octokit: Octokit,
  { number, ...name }: Numbered,
  { comment, mark, login }: { comment: number; mark: string; login: string },
  body: string,
): Promise<void> {
  const all = await octokit.paginate(octokit.rest.pulls.listReviewComments, {
    ...name,
    pull_number: number,
    per_page: 100,
  });
  // GitHub takes replies to the thread's first comment only.
  const thread = all.find(({ id }) => id === comment)?.in_reply_to_id ?? comment;
  const found = all.find(
    (one) => one.in_reply_to_id === thread && one.user?.login === login && one.body.startsWith(mark),
  );
  if (found?.body === body) return;
  if (found !== undefined) await octokit.rest.pulls.updateReviewComment({ ...name, comment_id: found.id, body });
  else
    await orMissing(
      octokit.rest.pulls.createReplyForReviewComment({ ...name, pull_number: number, comment_id: thread, body }),
    );
}

/** GitHub keeps one reaction of a kind per account. */
export async function react(
  octokit: Octokit,
  name: Name,
  { kind, id }: { kind: "comment" | "review-comment"; id: number },
  content: "eyes",
): Promise<void> {
  const { reactions } = octokit.rest;
  if (kind === "comment") await reactions.createForIssueComment({ ...name, comment_id: id, content });
  else await reactions.createForPullRequestReviewComment({ ...name, comment_id: id, content });
}
