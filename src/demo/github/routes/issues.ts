import { z } from "zod";
import { accountOfCaller, authorize, mayDo } from "../auth.ts";
import { parseBody, text, title } from "../body.ts";
import { created, newNumber, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure, notFound } from "../failure.ts";
import { commentJson, issueEventJson, issueJson } from "../json/issue.ts";
import { labelJson } from "../json/repository.ts";
import { labelIn } from "../state.ts";
import type { Issue, IssueEvent, Label } from "../state.ts";

// An issue may be a pull request, and then that permission is as good.
const permission = ["issues", "pull_requests"];
const read = { permission, level: "read" } as const;
/** Labels and states are in the hands of those who triage. */
const sort = { permission, level: "write", role: "triage" } as const;
/** Everybody who sees a repository may file and comment. */
const speak = { permission, level: "write", role: "read" } as const;

const newIssue = z.object({ title, body: text.nullish(), labels: z.array(z.string()).default([]) });
const changedIssue = z.object({
  title: title.optional(),
  body: text.nullish(),
  state: z.enum(["open", "closed"]).optional(),
});
const comment = z.object({ body: text.min(1) });
const labelRequest = z.object({ labels: z.array(z.string().min(1).max(50)).min(1) });

/** Issues, their labels, events and comments. */
export const issueRoutes: Route[] = [
  { method: "GET", path: "/repos/:owner/:repo/issues", on: "repository", need: read, handle: listIssues },
  { method: "POST", path: "/repos/:owner/:repo/issues", on: "repository", need: speak, handle: createIssue },
  {
    method: "GET",
    path: "/repos/:owner/:repo/issues/:number",
    on: "repository",
    need: read,
    handle: (call, { site }) => ok(issueJson(site, call.repository, issueOf(call))),
  },
  { method: "PATCH", path: "/repos/:owner/:repo/issues/:number", on: "repository", need: speak, handle: changeIssue },
  {
    method: "GET",
    path: "/repos/:owner/:repo/issues/:number/events",
    on: "repository",
    need: read,
    handle: (call, { site }) =>
      paged(call, issueOf(call).events, (page) => page.map((one) => issueEventJson(site, call.repository, one))),
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/issues/:number/comments",
    on: "repository",
    need: read,
    handle(call, { site }) {
      const issue = issueOf(call);
      return paged(call, issue.comments, (page) => page.map((one) => commentJson(site, call.repository, issue, one)));
    },
  },
  {
    method: "POST",
    path: "/repos/:owner/:repo/issues/:number/comments",
    on: "repository",
    need: speak,
    handle: createComment,
  },
  {
    method: "PATCH",
    path: "/repos/:owner/:repo/issues/comments/:id",
    on: "repository",
    need: speak,
    handle: changeComment,
  },
  {
    method: "POST",
    path: "/repos/:owner/:repo/issues/:number/labels",
    on: "repository",
    need: sort,
    handle: addLabels,
  },
  {
    method: "DELETE",
    path: "/repos/:owner/:repo/issues/:number/labels/:name",
    on: "repository",
    need: sort,
    handle: removeLabel,
  },
];

/** The issue or pull request that a call's address names. */
export function issueOf({ repository, params }: RepositoryCall): Issue {
  const issue = repository.issues.get(Number(params["number"]));
  if (issue === undefined) throw notFound();
  return issue;
}

/** An issue (or the issue side of a pull request) as new. */
export function newIssueOf(
  { repository, caller }: RepositoryCall,
  { state }: Context,
  content: { title: string; body: string | null },
): Issue {
  const now = state.now();
  const issue: Issue = {
    id: state.nextId(),
    number: newNumber(repository),
    ...content,
    state: "open",
    author: accountOfCaller(caller),
    labels: [],
    comments: [],
    events: [],
    createdAt: now,
    updatedAt: now,
    closedAt: null,
  };
  repository.issues.set(issue.number, issue);
  return issue;
}

function listIssues(call: RepositoryCall, { site }: Context) {
  const { repository, query } = call;
  const labels = (query["labels"] ?? "").split(",").filter(Boolean);
  const state = query["state"] ?? "open";
  const found = [...repository.issues.values()]
    .filter((one) => state === "all" || one.state === state)
    .filter((one) =>
      labels.every((name) => one.labels.some((label) => label.name.toLowerCase() === name.toLowerCase())),
    )
    .toReversed();
  return paged(call, found, (page) => page.map((one) => issueJson(site, repository, one)));
}

function createIssue(call: RepositoryCall, context: Context) {
  const content = parseBody(newIssue, "Issue", call.body);
  const issue = newIssueOf(call, context, { title: content.title, body: content.body ?? null });
  emit(call, context, { issue, action: "opened" });
  // Of people who may not set labels, GitHub takes the issue and drops the labels.
  if (mayDo(call.caller, call.repository, sort))
    for (const name of content.labels) setLabel(call, context, issue, name);
  return created(issueJson(context.site, call.repository, issue));
}

function changeIssue(call: RepositoryCall, context: Context) {
  const issue = issueOf(call);
  // An issue is also its author's.
  if (issue.author.id !== accountOfCaller(call.caller).id) authorize(call.caller, call.repository, sort);
  const change = parseBody(changedIssue, "Issue", call.body);
  issue.title = change.title ?? issue.title;
  if (change.body !== undefined) issue.body = change.body;
  issue.updatedAt = context.state.now();
  if (change.state !== undefined) setState(call, context, issue, change.state);
  return ok(issueJson(context.site, call.repository, issue));
}

/** Opens or closes, with the event that GitHub records and sends; nothing happens where it is so already. */
export function setState(call: RepositoryCall, context: Context, issue: Issue, state: Issue["state"]): void {
  if (issue.state === state) return;
  const now = context.state.now();
  issue.state = state;
  issue.closedAt = state === "closed" ? now : null;
  issue.updatedAt = now;
  record(call, context, { issue, event: state === "closed" ? "closed" : "reopened" });
  if (issue.pull === undefined) emit(call, context, { issue, action: state === "closed" ? "closed" : "reopened" });
}

function createComment(call: RepositoryCall, { state, site, webhooks }: Context) {
  const issue = issueOf(call);
  const { body } = parseBody(comment, "IssueComment", call.body);
  const now = state.now();
  const one = { id: state.nextId(), author: accountOfCaller(call.caller), body, createdAt: now, updatedAt: now };
  issue.comments.push(one);
  issue.updatedAt = now;
  const { repository, caller } = call;
  const json = commentJson(site, repository, issue, one);
  const subject = { issue: issueJson(site, repository, issue), comment: json };
  webhooks.emit({ event: "issue_comment", action: "created", repository, sender: accountOfCaller(caller), subject });
  return created(json);
}

function changeComment(call: RepositoryCall, { state, site }: Context) {
  const { repository, params, caller } = call;
  for (const issue of repository.issues.values()) {
    const one = issue.comments.find((each) => each.id === Number(params["id"]));
    if (one === undefined) continue;
    if (one.author.id !== accountOfCaller(caller).id) throw new Failure(403, "Must have admin rights to Repository.");
    one.body = parseBody(comment, "IssueComment", call.body).body;
    one.updatedAt = state.now();
    return ok(commentJson(site, repository, issue, one));
  }
  throw notFound();
}

function addLabels(call: RepositoryCall, context: Context) {
  const issue = issueOf(call);
  for (const name of parseBody(labelRequest, "Label", call.body).labels) setLabel(call, context, issue, name);
  return ok(issue.labels.map((one) => labelJson(context.site, call.repository, one)));
}

function setLabel(call: RepositoryCall, context: Context, issue: Issue, name: string): void {
  const label = labelIn(context.state, call.repository, name);
  if (issue.labels.includes(label)) return;
  issue.labels.push(label);
  record(call, context, { issue, event: "labeled", label });
  emit(call, context, { issue, action: "labeled", label });
}

function removeLabel(call: RepositoryCall, context: Context) {
  const issue = issueOf(call);
  const label = issue.labels.find((one) => one.name.toLowerCase() === call.params["name"]?.toLowerCase());
  if (label === undefined) throw new Failure(404, "Label does not exist");
  issue.labels = issue.labels.filter((one) => one !== label);
  record(call, context, { issue, event: "unlabeled", label });
  emit(call, context, { issue, action: "unlabeled", label });
  return ok(issue.labels.map((one) => labelJson(context.site, call.repository, one)));
}

interface Change {
  issue: Issue;
  label?: Label;
}

function record(
  { caller }: RepositoryCall,
  { state }: Context,
  { issue, event, label }: Change & { event: IssueEvent["event"] },
): void {
  issue.events.push({
    id: state.nextId(),
    event,
    actor: accountOfCaller(caller),
    createdAt: state.now(),
    ...(label === undefined ? {} : { label }),
  });
}

function emit(
  { caller, repository }: RepositoryCall,
  { site, webhooks }: Context,
  { issue, action, label }: Change & { action: string },
): void {
  const subject = {
    issue: issueJson(site, repository, issue),
    ...(label === undefined ? {} : { label: labelJson(site, repository, label) }),
  };
  webhooks.emit({ event: "issues", action, repository, sender: accountOfCaller(caller), subject });
}
