import { z } from "zod";
import { accountOfCaller, mayDo } from "../auth.ts";
import { parseBody, text } from "../body.ts";
import { created, noContent, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure, notFound } from "../failure.ts";
import { commentJson, issueJson } from "../json/issue.ts";
import type { Comment, Issue } from "../state.ts";
import { issueOf } from "./issues.ts";

// An issue may be a pull request, and then that permission is as good.
const permission = ["issues", "pull_requests"];
const read = { permission, level: "read" } as const;
const write = { permission, level: "write" } as const;
/** Everybody who sees a repository may comment. */
const speak = { permission, level: "write", role: "read" } as const;

const words = z.object({ body: text.min(1) });
const issues = "/repos/:owner/:repo/issues";

/** The comments under issues and pull requests. */
export const commentRoutes: Route[] = [
  {
    method: "GET",
    path: `${issues}/:number/comments`,
    on: "repository",
    need: read,
    handle(call, { site }) {
      const issue = issueOf(call);
      return paged(call, issue.comments, (page) => page.map((one) => commentJson(site, call.repository, issue, one)));
    },
  },
  { method: "POST", path: `${issues}/:number/comments`, on: "repository", need: speak, handle: createComment },
  { method: "PATCH", path: `${issues}/comments/:id`, on: "repository", need: speak, handle: changeComment },
  { method: "DELETE", path: `${issues}/comments/:id`, on: "repository", need: speak, handle: deleteComment },
];

function createComment(call: RepositoryCall, context: Context) {
  const { state, site } = context;
  const issue = issueOf(call);
  if (issue.locked && !maySpeakWhereLocked(call))
    throw new Failure(403, "Unable to create comment because issue is locked.");
  const { body } = parseBody(words, "IssueComment", call.body);
  const now = state.now();
  const author = accountOfCaller(call.caller);
  const one = { id: state.nextId(), author, body, createdAt: now, updatedAt: now, editedAt: null, reactions: [] };
  issue.comments.push(one);
  issue.updatedAt = now;
  emit(call, context, { issue, one }, { action: "created" });
  return created(commentJson(site, call.repository, issue, one));
}

/** An app is no collaborator, whatever it may do. */
function maySpeakWhereLocked({ caller, repository }: RepositoryCall): boolean {
  return caller.kind === "user" && mayDo(caller, repository, write);
}

function changeComment(call: RepositoryCall, context: Context) {
  const { issue, one } = commentOf(call);
  if (one.author.id !== accountOfCaller(call.caller).id)
    throw new Failure(403, "Must have admin rights to Repository.");
  const from = one.body;
  one.body = parseBody(words, "IssueComment", call.body).body;
  one.updatedAt = context.state.now();
  one.editedAt = one.updatedAt;
  emit(call, context, { issue, one }, { action: "edited", changes: { body: { from } } });
  return ok(commentJson(context.site, call.repository, issue, one));
}

function deleteComment(call: RepositoryCall, context: Context) {
  const { issue, one } = commentOf(call);
  const { caller, repository } = call;
  const isOwn = one.author.id === accountOfCaller(caller).id;
  if (!isOwn && !(caller.kind === "user" && mayDo(caller, repository, write)))
    throw new Failure(403, "Must have admin rights to Repository.");
  issue.comments = issue.comments.filter((each) => each !== one);
  emit(call, context, { issue, one }, { action: "deleted" });
  return noContent;
}

interface Place {
  issue: Issue;
  one: Comment;
}

function commentOf({ repository, params }: RepositoryCall): Place {
  for (const issue of repository.issues.values()) {
    const one = issue.comments.find(({ id }) => id === Number(params["id"]));
    if (one !== undefined) return { issue, one };
  }
  throw notFound();
}

function emit(
  { repository, caller }: RepositoryCall,
  { site, webhooks }: Context,
  { issue, one }: Place,
  { action, ...more }: { action: "created" | "edited" | "deleted"; changes?: { body: { from: string } } },
): void {
  const subject = {
    issue: issueJson(site, repository, issue),
    comment: commentJson(site, repository, issue, one),
    ...more,
  };
  webhooks.emit({ event: "issue_comment", action, repository, sender: accountOfCaller(caller), subject });
}
