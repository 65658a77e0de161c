import { authorize } from "../auth.ts";
import type { Caller, Need } from "../auth.ts";
import type { Context } from "../context.ts";
import { placeNow } from "../diff-lines.ts";
import { Failure } from "../failure.ts";
import { commentJson } from "../json/issue.ts";
import { reviewCommentPage } from "../json/review.ts";
import { nodeId } from "../json/site.ts";
import type { Site } from "../json/site.ts";
import type { Account, Comment, Issue, PullRequest, Repository } from "../state.ts";
import { threadsOf } from "../threads.ts";
import type { Entry } from "../threads.ts";
import { connection } from "./connection.ts";
import type { Paging } from "./connection.ts";

const threadKind = "PullRequestReviewThread";
const pulls = { permission: "pull_requests", level: "read" } as const;
const issues = { permission: ["issues", "pull_requests"], level: "read" } as const;

/** What a caller gets, field by field: graphql-js calls a function where a query asks for its field. */
export function createRoot({ state, site }: Context, caller: Caller) {
  function allow(repository: Repository, ...needs: Need[]): void {
    for (const need of needs) authorize(caller, repository, need);
  }

  function findThread(id: string, ...needs: Need[]) {
    for (const repository of state.repositories.values())
      for (const on of repository.issues.values()) {
        const found = on.pull && [...threadsOf(on.pull)].find(([first]) => nodeId(threadKind, first) === id);
        if (on.pull === undefined || found === undefined) continue;
        allow(repository, ...needs);
        return { pull: on.pull, first: found[0], shown: thread({ site, repository, on, pull: on.pull }, found) };
      }
    throw new Failure(404, `Could not resolve to a node with the global id of '${id}'`);
  }

  return {
    repository({ owner, name }: { owner: string; name: string }) {
      // GitHub follows renames here too.
      const found = state.repositories.get(`${owner}/${name}`) ?? state.moved.get(`${owner}/${name}`);
      const missing = new Failure(404, `Could not resolve to a Repository with the name '${owner}/${name}'.`);
      if (found === undefined) throw missing;
      allow(found, { permission: "metadata", level: "read" });
      const numbered = (number: number, kind: string) => {
        const on = found.issues.get(number);
        if (on === undefined || (kind === "PullRequest" && on.pull === undefined))
          throw new Failure(404, `Could not resolve to ${kind} with the number of ${number}.`);
        return on;
      };
      return {
        id: nodeId("Repository", found.id),
        issueOrPullRequest({ number }: { number: number }) {
          allow(found, issues);
          return issueOrPull(site, found, numbered(number, "an issue or pull request"));
        },
        pullRequest({ number }: { number: number }) {
          allow(found, pulls);
          return issueOrPull(site, found, numbered(number, "PullRequest"));
        },
      };
    },
    node: ({ id }: { id: string }) => findThread(id, pulls).shown,
    resolveReviewThread({ input }: { input: { threadId: string } }) {
      const contents = { permission: "contents", level: "write" } as const;
      const { pull, first, shown } = findThread(input.threadId, { ...pulls, level: "write" }, contents);
      pull.resolved.add(first);
      return { thread: shown };
    },
  };
}

function issueOrPull(site: Site, repository: Repository, on: Issue) {
  const comments = (paging: Paging) =>
    connection(on.comments, paging, (one) => ({
      ...words(one),
      id: nodeId("IssueComment", one.id),
      url: commentJson(site, repository, on, one).html_url,
    }));
  const { pull } = on;
  if (pull === undefined) return { __typename: "Issue", id: nodeId("Issue", on.id), comments };
  const place = { site, repository, on, pull };
  const threads = [...threadsOf(pull)].map(([id, entries]) => ({ id, entries }));
  return {
    __typename: "PullRequest",
    id: nodeId("PullRequest", on.id),
    comments,
    reviewThreads: (paging: Paging) => connection(threads, paging, ({ id, entries }) => thread(place, [id, entries])),
  };
}

interface Place {
  site: Site;
  repository: Repository;
  on: Issue;
  pull: PullRequest;
}

function thread({ site, repository, on, pull }: Place, [first, entries]: [number, Entry[]]) {
  const [start] = entries;
  if (start === undefined) throw new Error(`the thread ${first} is empty`);
  const place = async () => placeNow(repository, pull, start.one);
  return {
    __typename: threadKind,
    id: nodeId(threadKind, first),
    path: start.one.path,
    line: async () => (await place()).line,
    startLine: async () => (await place()).startLine,
    isOutdated: async () => (await place()).line === null,
    isResolved: () => pull.resolved.has(first),
    comments: (paging: Paging) =>
      connection(
        entries.map(({ of, one }) => ({ id: one.id, of, one })),
        paging,
        ({ of, one }) => ({
          ...words(one),
          id: nodeId("PullRequestReviewComment", one.id),
          url: reviewCommentPage(site, repository, on, one),
          diffHunk: one.hunk,
          pullRequestReview: { id: nodeId("PullRequestReview", of.id), fullDatabaseId: String(of.id) },
        }),
      ),
  };
}

function words({ id, author, body, createdAt, editedAt }: Comment) {
  return {
    fullDatabaseId: String(id),
    author: actor(author),
    body,
    createdAt,
    lastEditedAt: editedAt,
  };
}

/** A bot's login has its suffix in REST only. */
function actor({ id, login, type }: Account) {
  return { __typename: type, id: nodeId(type, id), login: login.replace(/\[bot\]$/, ""), databaseId: id };
}
