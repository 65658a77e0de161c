import { z } from "zod";
import { accountOfCaller } from "../auth.ts";
import { parseBody, text, title } from "../body.ts";
import { created, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure, invalid, notFound } from "../failure.ts";
import { branchCommit, diffOf, haveCommon, isAncestor } from "../git.ts";
import { fullPullJson, pullJson } from "../json/pull.ts";
import { reviewCommentJson, reviewJson } from "../json/review.ts";
import type { Issue, PullRequest, Repository, Review } from "../state.ts";
import { issueOf, newIssueOf, setState } from "./issues.ts";

const permission = "pull_requests";
const read = { permission, level: "read" } as const;
const write = { permission, level: "write" } as const;
/** Everybody who sees a pull request may review it. */
const speak = { permission, level: "write", role: "read" } as const;

const newPull = z.object({
  title,
  head: z.string().min(1),
  base: z.string().min(1),
  body: text.nullish(),
  draft: z.boolean().default(false),
});
const changedPull = z.object({
  title: title.optional(),
  body: text.nullish(),
  state: z.enum(["open", "closed"]).optional(),
});
const newReview = z.object({
  body: text.default(""),
  event: z.enum(["APPROVE", "REQUEST_CHANGES", "COMMENT"]),
  comments: z
    .array(
      z.object({
        path: z.string(),
        body: text.min(1),
        line: z.number().int().positive(),
        side: z.enum(["LEFT", "RIGHT"]).default("RIGHT"),
      }),
    )
    .default([]),
});

/** Pull requests and their reviews. */
export const pullRoutes: Route[] = [
  { method: "GET", path: "/repos/:owner/:repo/pulls", on: "repository", need: read, handle: listPulls },
  { method: "POST", path: "/repos/:owner/:repo/pulls", on: "repository", need: write, handle: createPull },
  { method: "GET", path: "/repos/:owner/:repo/pulls/:number", on: "repository", need: read, handle: getPull },
  { method: "PATCH", path: "/repos/:owner/:repo/pulls/:number", on: "repository", need: write, handle: changePull },
  {
    method: "POST",
    path: "/repos/:owner/:repo/pulls/:number/reviews",
    on: "repository",
    need: speak,
    handle: createReview,
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/pulls/:number/reviews/:review",
    on: "repository",
    need: read,
    handle(call, { site }) {
      const issue = pullOf(call);
      return ok(reviewJson(site, call.repository, issue, reviewOf(call, issue.pull)));
    },
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/pulls/:number/reviews/:review/comments",
    on: "repository",
    need: read,
    handle(call, { site }) {
      const issue = pullOf(call);
      const review = reviewOf(call, issue.pull);
      return paged(call, review.comments, (page) =>
        page.map((one) => reviewCommentJson(site, call.repository, issue, { of: review, one })),
      );
    },
  },
];

type Pull = Issue & { pull: PullRequest };

function isPull(issue: Issue): issue is Pull {
  return issue.pull !== undefined;
}

function pullOf(call: RepositoryCall): Pull {
  const issue = issueOf(call);
  if (!isPull(issue)) throw notFound();
  return issue;
}

function reviewOf({ params }: RepositoryCall, { reviews }: PullRequest): Review {
  const review = reviews.find((one) => one.id === Number(params["review"]));
  if (review === undefined) throw notFound();
  return review;
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
  issue.pull = { base: wanted.base, head, headCommit: commit, draft: wanted.draft, reviews: [] };
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
  if (!/[./]diff\b/.test(call.accept)) return ok(await fullPullJson(site, call.repository, issue));
  return ok(await diffOf(gitDir, `refs/heads/${issue.pull.base}`, issue.pull.headCommit), {
    "content-type": "application/vnd.github.diff; charset=utf-8",
  });
}

async function changePull(call: RepositoryCall, context: Context) {
  const issue = pullOf(call);
  const change = parseBody(changedPull, "PullRequest", call.body);
  issue.title = change.title ?? issue.title;
  if (change.body !== undefined) issue.body = change.body;
  if (change.state !== undefined) setState(call, context, issue, change.state);
  return ok(await fullPullJson(context.site, call.repository, issue));
}

const reviewStates = { APPROVE: "APPROVED", REQUEST_CHANGES: "CHANGES_REQUESTED", COMMENT: "COMMENTED" } as const;

async function createReview(call: RepositoryCall, context: Context) {
  const { repository, caller } = call;
  const { state, site, webhooks } = context;
  const issue = pullOf(call);
  const wanted = parseBody(newReview, "PullRequestReview", call.body);
  const author = accountOfCaller(caller);
  if (wanted.event !== "COMMENT" && issue.author.id === author.id)
    throw new Failure(422, "Can not approve or request changes on your own pull request");
  if (wanted.event !== "APPROVE" && wanted.body === "" && wanted.comments.length === 0)
    throw new Failure(422, "A review needs a body or comments");
  const { headCommit: commit } = issue.pull;
  const now = state.now();
  const comments = wanted.comments.map(async (one) => ({
    ...one,
    id: state.nextId(),
    author,
    commit,
    createdAt: now,
    hunk: await hunkOf(repository, issue.pull, one),
  }));
  const review: Review = {
    id: state.nextId(),
    author,
    state: reviewStates[wanted.event],
    body: wanted.body,
    commit,
    submittedAt: now,
    comments: await Promise.all(comments),
  };
  issue.pull.reviews.push(review);
  issue.updatedAt = now;
  const shown = reviewJson(site, repository, issue, review);
  const subject = {
    // Webhooks spell the state in lower case.
    review: { ...shown, state: shown.state.toLowerCase() },
    pull_request: await pullJson(site, repository, issue),
  };
  webhooks.emit({ event: "pull_request_review", action: "submitted", repository, sender: author, subject });
  return ok(shown);
}

/** The part of the diff that ends at the line; GitHub refuses a line that the diff does not show. */
async function hunkOf(
  repository: Repository,
  pull: PullRequest,
  { path, line, side }: { path: string; line: number; side: "LEFT" | "RIGHT" },
): Promise<string> {
  const diff = await diffOf(repository.gitDir, `refs/heads/${pull.base}`, pull.headCommit, [path]);
  let [left, right] = [0, 0];
  let hunk: string[] = [];
  for (const row of diff.replace(/\n$/, "").split("\n")) {
    const start = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(row);
    if (start !== null) {
      [left, right, hunk] = [Number(start[1]), Number(start[2]), [row]];
      continue;
    }
    if (hunk.length === 0) continue;
    hunk.push(row);
    // "\ No newline at end of file" is no line of either side.
    if (row.startsWith("\\")) continue;
    const found = side === "RIGHT" ? right === line && !row.startsWith("-") : left === line && !row.startsWith("+");
    if (found) return hunk.join("\n");
    if (!row.startsWith("+")) left++;
    if (!row.startsWith("-")) right++;
  }
  throw new Failure(422, "Unprocessable Entity", ["Line could not be resolved"]);
}
