import { z } from "zod";
import { accountOfCaller, authorize, mayDo } from "../auth.ts";
import { parseBody, text, title } from "../body.ts";
import { created, newNumber, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure, movedTo, notFound } from "../failure.ts";
import { deedOf, emitIssue, rewrite, setLabel, setState } from "../issue-events.ts";
import { issueEventJson, issueJson } from "../json/issue.ts";
import { labelJson } from "../json/repository.ts";
import { labelIn } from "../state.ts";
import type { Issue } from "../state.ts";

// An issue may be a pull request, and then that permission is as good.
const permission = ["issues", "pull_requests"];
const read = { permission, level: "read" } as const;
/** Labels and states are in the hands of those who triage. */
const sort = { permission, level: "write", role: "triage" } as const;
/** Everybody who sees a repository may file and comment. */
const speak = { permission, level: "write", role: "read" } as const;

const newIssue = z.object({ title, body: text.nullish(), labels: z.array(z.string()).default([]) });
export const changedIssue = z.object({
  title: title.optional(),
  body: text.nullish(),
  state: z.enum(["open", "closed"]).optional(),
});
const labelRequest = z.object({ labels: z.array(z.string().min(1).max(50)).min(1) });

/** Issues, their labels and events. */
export const issueRoutes: Route[] = [
  { method: "GET", path: "/repos/:owner/:repo/issues", on: "repository", need: read, handle: listIssues },
  { method: "POST", path: "/repos/:owner/:repo/issues", on: "repository", need: speak, handle: createIssue },
  {
    method: "GET",
    path: "/repos/:owner/:repo/issues/:number",
    on: "repository",
    need: read,
    handle(call, { site }) {
      const there = call.repository.transferred.get(Number(call.params["number"]));
      if (there !== undefined)
        throw movedTo("GET", `${site.api}/repositories/${there.repository.id}/issues/${there.number}`);
      return ok(issueJson(site, call.repository, issueOf(call)));
    },
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
  if (issue?.pull === undefined && !repository.hasIssues) throw disabled();
  if (issue === undefined) throw notFound();
  return issue;
}

function disabled(): Failure {
  return new Failure(410, "Issues has been disabled in this repository.");
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
    locked: false,
    author: accountOfCaller(caller),
    labels: [],
    comments: [],
    reactions: [],
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
  const { creator } = query;
  const found = [...repository.issues.values()]
    .filter((one) => repository.hasIssues || one.pull !== undefined)
    .filter((one) => creator === undefined || one.author.login === creator)
    .filter((one) => state === "all" || one.state === state)
    .filter((one) =>
      labels.every((name) => one.labels.some((label) => label.name.toLowerCase() === name.toLowerCase())),
    )
    .toReversed();
  return paged(call, found, (page) => page.map((one) => issueJson(site, repository, one)));
}

async function createIssue(call: RepositoryCall, context: Context) {
  if (!call.repository.hasIssues) throw disabled();
  const content = parseBody(newIssue, "Issue", call.body);
  const issue = newIssueOf(call, context, { title: content.title, body: content.body ?? null });
  await emitIssue(deedOf(call), context, issue, { action: "opened" });
  // Of people who may not set labels, GitHub takes the issue and drops the labels.
  if (mayDo(call.caller, call.repository, sort))
    for (const name of content.labels) await ensureLabel(call, context, issue, name);
  return created(issueJson(context.site, call.repository, issue));
}

async function changeIssue(call: RepositoryCall, context: Context) {
  const issue = issueOf(call);
  // An issue is also its author's.
  if (issue.author.id !== accountOfCaller(call.caller).id) authorize(call.caller, call.repository, sort);
  const change = parseBody(changedIssue, "Issue", call.body);
  await rewritten(call, context, issue, change);
  return ok(issueJson(context.site, call.repository, issue));
}

/** What an issue and a pull request take alike. */
export async function rewritten(
  call: RepositoryCall,
  context: Context,
  issue: Issue,
  change: z.infer<typeof changedIssue>,
): Promise<void> {
  const deed = deedOf(call);
  await rewrite(deed, context, issue, change);
  if (change.state !== undefined) await setState(deed, context, issue, change.state);
}

async function addLabels(call: RepositoryCall, context: Context) {
  const issue = issueOf(call);
  for (const name of parseBody(labelRequest, "Label", call.body).labels) await ensureLabel(call, context, issue, name);
  return ok(issue.labels.map((one) => labelJson(context.site, call.repository, one)));
}

async function ensureLabel(call: RepositoryCall, context: Context, issue: Issue, name: string): Promise<void> {
  const label = labelIn(context.state, call.repository, name);
  if (!issue.labels.includes(label)) await setLabel(deedOf(call), context, issue, { event: "labeled", label });
}

async function removeLabel(call: RepositoryCall, context: Context) {
  const issue = issueOf(call);
  const label = issue.labels.find((one) => one.name.toLowerCase() === call.params["name"]?.toLowerCase());
  if (label === undefined) throw new Failure(404, "Label does not exist");
  await setLabel(deedOf(call), context, issue, { event: "unlabeled", label });
  return ok(issue.labels.map((one) => labelJson(context.site, call.repository, one)));
}
