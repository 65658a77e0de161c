import { z } from "zod";
import { accountOfCaller } from "../auth.ts";
import { parseBody, text } from "../body.ts";
import { created, noContent, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { hunkOf } from "../diff-lines.ts";
import { Failure, invalid, notFound } from "../failure.ts";
import { resolve } from "../git.ts";
import { pullJson } from "../json/pull.ts";
import { reviewCommentJson, reviewJson } from "../json/review.ts";
import type { Review, ReviewComment } from "../state.ts";
import { entriesOf } from "../threads.ts";
import type { Entry } from "../threads.ts";
import { isPull, pullOf } from "./pulls.ts";
import type { Pull } from "./pulls.ts";

const permission = "pull_requests";
const read = { permission, level: "read" } as const;
/** Everybody who sees a pull request may review it. */
const speak = { permission, level: "write", role: "read" } as const;

const side = z.enum(["LEFT", "RIGHT"]);
const line = z.number().int().positive();
const place = z.object({
  path: z.string(),
  line,
  side: side.default("RIGHT"),
  start_line: line.optional(),
  start_side: side.optional(),
  body: text.min(1),
});
const newReview = z.object({
  body: text.default(""),
  event: z.enum(["APPROVE", "REQUEST_CHANGES", "COMMENT"]),
  comments: z.array(place).default([]),
});
const newComment = place.extend({ commit_id: z.string() });
const words = z.object({ body: text.min(1) });

const pulls = "/repos/:owner/:repo/pulls";

/** Reviews, and the comments on lines that they came with. */
export const reviewRoutes: Route[] = [
  { method: "GET", path: `${pulls}/:number/reviews`, on: "repository", need: read, handle: listReviews },
  { method: "POST", path: `${pulls}/:number/reviews`, on: "repository", need: speak, handle: createReview },
  {
    method: "GET",
    path: `${pulls}/:number/reviews/:review`,
    on: "repository",
    need: read,
    handle(call, { site }) {
      const issue = pullOf(call);
      return ok(reviewJson(site, call.repository, issue, reviewOf(call, issue)));
    },
  },
  {
    method: "GET",
    path: `${pulls}/:number/reviews/:review/comments`,
    on: "repository",
    need: read,
    handle(call, context) {
      const issue = pullOf(call);
      const of = reviewOf(call, issue);
      return listed(
        call,
        context,
        issue,
        of.comments.map((one) => ({ of, one })),
      );
    },
  },
  {
    method: "GET",
    path: `${pulls}/:number/comments`,
    on: "repository",
    need: read,
    handle(call, context) {
      const issue = pullOf(call);
      return listed(call, context, issue, entriesOf(issue.pull));
    },
  },
  { method: "POST", path: `${pulls}/:number/comments`, on: "repository", need: speak, handle: createComment },
  {
    method: "POST",
    path: `${pulls}/:number/comments/:comment/replies`,
    on: "repository",
    need: speak,
    handle: createReply,
  },
  { method: "PATCH", path: `${pulls}/comments/:comment`, on: "repository", need: speak, handle: changeComment },
  { method: "DELETE", path: `${pulls}/comments/:comment`, on: "repository", need: speak, handle: deleteComment },
];

function reviewOf({ params }: RepositoryCall, { pull }: Pull): Review {
  const review = pull.reviews.find((one) => one.id === Number(params["review"]));
  if (review === undefined) throw notFound();
  return review;
}

function listReviews(call: RepositoryCall, { site }: Context) {
  const issue = pullOf(call);
  return paged(call, issue.pull.reviews, (page) => page.map((one) => reviewJson(site, call.repository, issue, one)));
}

async function listed(call: RepositoryCall, { site }: Context, issue: Pull, entries: readonly Entry[]) {
  return paged(call, await Promise.all(entries.map((entry) => reviewCommentJson(site, call.repository, issue, entry))));
}

const reviewStates = { APPROVE: "APPROVED", REQUEST_CHANGES: "CHANGES_REQUESTED", COMMENT: "COMMENTED" } as const;

async function createReview(call: RepositoryCall, context: Context) {
  const issue = pullOf(call);
  const wanted = parseBody(newReview, "PullRequestReview", call.body);
  if (wanted.event !== "COMMENT" && issue.author.id === accountOfCaller(call.caller).id)
    throw new Failure(422, "Can not approve or request changes on your own pull request");
  if (wanted.event !== "APPROVE" && wanted.body === "" && wanted.comments.length === 0)
    throw new Failure(422, "A review needs a body or comments");
  const { headCommit } = issue.pull;
  const found = await Promise.all(wanted.comments.map((one) => placed(call, issue, one, headCommit)));
  const comments = found.filter((one) => one !== undefined);
  if (comments.length < found.length) throw new Failure(422, "Unprocessable Entity", ["Line could not be resolved"]);
  const { body, event } = wanted;
  const review = await submit(call, context, issue, { state: reviewStates[event], body, comments });
  return ok(reviewJson(context.site, call.repository, issue, review));
}

async function createComment(call: RepositoryCall, context: Context) {
  const issue = pullOf(call);
  const { commit_id: id, ...wanted } = parseBody(newComment, "PullRequestReviewComment", call.body);
  const commit = await resolve(call.repository.gitDir, id);
  if (commit === undefined) throw invalid("PullRequestReviewComment", "commit_id");
  const comment = await placed(call, issue, wanted, commit);
  const field = "pull_request_review_thread.line";
  if (comment === undefined)
    throw invalid("PullRequestReviewComment", field, { code: "custom", message: `${field} must be part of the diff` });
  return single(call, context, issue, comment);
}

async function createReply(call: RepositoryCall, context: Context) {
  const issue = pullOf(call);
  const { body } = parseBody(words, "PullRequestReviewComment", call.body);
  const first = entriesOf(issue.pull).find(({ one }) => one.id === Number(call.params["comment"]))?.one;
  // Replies to replies there are none.
  if (first === undefined || first.inReplyTo !== null) throw notFound();
  const { path, line, side, startLine, startSide, hunk, commit } = first;
  const place = { path, line, side, startLine, startSide, hunk, commit };
  return single(call, context, issue, { ...place, body, inReplyTo: first.id });
}

/** A comment of its own is a review with nothing else in it. */
async function single(call: RepositoryCall, context: Context, issue: Pull, comment: NewComment) {
  const of = await submit(call, context, issue, { state: "COMMENTED", body: "", comments: [comment] });
  const [one] = of.comments;
  if (one === undefined) throw notFound();
  return created(await reviewCommentJson(context.site, call.repository, issue, { of, one }));
}

type NewComment = Omit<ReviewComment, "id" | "author" | "createdAt" | "updatedAt" | "editedAt" | "reactions">;

/** Undefined where the diff at the commit does not show its lines, one after the other. */
async function placed(
  { repository }: RepositoryCall,
  { pull }: Pull,
  { start_line: startLine, start_side: startSide, ...end }: z.infer<typeof place>,
  commit: string,
): Promise<NewComment | undefined> {
  const hunk = await hunkOf(repository, pull, end, commit);
  if (hunk === undefined) return undefined;
  const comment = { ...end, hunk, commit, inReplyTo: null };
  if (startLine === undefined) return { ...comment, startLine: null, startSide: null };
  const start = { path: end.path, line: startLine, side: startSide ?? end.side };
  if (startLine >= end.line || (await hunkOf(repository, pull, start, commit)) === undefined) return undefined;
  return { ...comment, startLine, startSide: start.side };
}

async function submit(
  { repository, caller }: RepositoryCall,
  { state, site, webhooks }: Context,
  issue: Pull,
  wanted: Pick<Review, "state" | "body"> & { comments: NewComment[] },
): Promise<Review> {
  const author = accountOfCaller(caller);
  const now = state.now();
  const about = { author, createdAt: now, updatedAt: now, editedAt: null };
  const review: Review = {
    ...wanted,
    id: state.nextId(),
    author,
    commit: issue.pull.headCommit,
    submittedAt: now,
    comments: wanted.comments.map((one) => ({ ...one, ...about, id: state.nextId(), reactions: [] })),
  };
  issue.pull.reviews.push(review);
  issue.updatedAt = now;
  const shown = reviewJson(site, repository, issue, review);
  const pull_request = await pullJson(site, repository, issue);
  // Webhooks spell the state in lower case.
  const subject = { review: { ...shown, state: shown.state.toLowerCase() }, pull_request };
  webhooks.emit({ event: "pull_request_review", action: "submitted", repository, sender: author, subject });
  for (const one of review.comments) {
    const shown = await reviewCommentJson(site, repository, issue, { of: review, one });
    const comment = { line: null, position: null, ...shown };
    const about = { event: "pull_request_review_comment", action: "created", repository, sender: author };
    webhooks.emit({ ...about, subject: { comment, pull_request } });
  }
  return review;
}

async function changeComment(call: RepositoryCall, { state, site }: Context) {
  const { issue, entry } = commentOf(call);
  entry.one.body = parseBody(words, "PullRequestReviewComment", call.body).body;
  entry.one.updatedAt = state.now();
  entry.one.editedAt = entry.one.updatedAt;
  return ok(await reviewCommentJson(site, call.repository, issue, entry));
}

function deleteComment(call: RepositoryCall) {
  const { entry } = commentOf(call);
  entry.of.comments = entry.of.comments.filter((one) => one !== entry.one);
  return noContent;
}

/** The caller's own comment. */
function commentOf({ repository, params, caller }: RepositoryCall): { issue: Pull; entry: Entry } {
  for (const issue of [...repository.issues.values()].filter(isPull)) {
    const entry = entriesOf(issue.pull).find(({ one }) => one.id === Number(params["comment"]));
    if (entry === undefined) continue;
    if (entry.one.author.id !== accountOfCaller(caller).id)
      throw new Failure(403, "Must have admin rights to Repository.");
    return { issue, entry };
  }
  throw notFound();
}
