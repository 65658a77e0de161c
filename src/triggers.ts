import { isCommand } from "./commands.ts";
import type { IntakeJob, RepoRef } from "./job.ts";
import type { PrefetchHint } from "./prefetch.ts";
import { settingsPath } from "./settings.ts";

export const triggerLabel = "agent-fix";
export const branchPrefix = "agent-fix/";
/** How the branches of tasks begin. */
export const taskPrefix = `${branchPrefix}task/`;
/** The branch of the pull request that brings a repository's first settings. */
export const configureBranch = `${branchPrefix}configure`;
/** How the dashboard's text begins; with our author id it identifies the issue. */
export const dashboardMark = "<!-- agent-fix:dashboard ";

/** A run's trigger, from the id of the event in which our label was set. */
export function labelTrigger(event: number): string {
  return `label-${event}`;
}

interface Account {
  id: number;
  login: string;
  type?: string;
}

/** The part of a webhook that decides whether it concerns us. */
export interface WebhookEvent {
  id: string;
  name: string;
  payload: {
    action?: string;
    installation?: { id: number } | undefined;
    repository?: {
      id: number;
      name: string;
      owner: { login: string } | null;
      default_branch?: string;
      archived?: boolean;
    };
    sender?: Account | undefined;
    label?: { name: string } | undefined;
    issue?: {
      number: number;
      title: string;
      body: string | null;
      state?: string | undefined;
      pull_request?: unknown;
      labels?: (string | { name?: string | undefined })[] | null | undefined;
      user?: Account | null;
    };
    comment?: { id: number; body: string };
    pull_request?: { number: number; state: string; user: Account | null; head: { ref: string } };
    review?: { id: number; user: Account | null; body?: string | null };
    /** Of a commit status. */
    state?: string;
    branches?: readonly { name: string }[];
    check_suite?: { pull_requests: readonly { number: number; head: { ref: string } }[] };
    /** Of a push. */
    ref?: string;
    commits?: readonly { added?: string[]; removed?: string[]; modified?: string[] }[];
  };
}

type Reader = (event: WebhookEvent, repo: RepoRef, actor: Account) => IntakeJob | undefined;

/** By the event's name and its action, if it has one. */
const readers: Readonly<Record<string, Reader>> = {
  "issues.labeled": forIssue,
  "issues.unlabeled": forIssue,
  "issues.closed": forIssue,
  "issues.transferred": forIssue,
  "issues.deleted": forIssue,
  "issues.edited": forDashboard,
  "issue_comment.created": forComment,
  "pull_request.closed": forOwnPull,
  "pull_request.reopened": forOwnPull,
  "pull_request.edited": forOwnPull,
  "pull_request.synchronize": forOwnPull,
  "pull_request_review.submitted": forReview,
  "pull_request_review_comment.created": forReviewComment,
  "check_suite.completed": forChecks,
  status: forStatus,
  push: forPush,
};

/** Pure: the job that an event asks for, or nothing. Looks at the payload alone, so that a handler calls nobody. */
export function intakeFor(event: WebhookEvent): IntakeJob | undefined {
  const { name, payload } = event;
  if (name === "installation" || name === "installation_repositories") return { kind: "sweep" };
  const repo = repoOf(event);
  const { action, sender } = payload;
  if (repo === undefined || sender === undefined) return undefined;
  const read = readers[action === undefined ? name : `${name}.${action}`];
  return read?.(event, repo, { id: sender.id, login: sender.login });
}

/**
 * Pure: what the workers may fetch before a run asks for it. A label often follows a new issue, and a run follows our
 * label at once; a push is worth it where the repository is known. Also for what we pushed ourselves: the next run may
 * begin there.
 */
export function hintFor(event: WebhookEvent): PrefetchHint | undefined {
  const { action, repository, ref, label } = event.payload;
  const repo = repoOf(event);
  if (repo === undefined || repository?.archived === true) return undefined;
  switch (event.name) {
    case "issues":
      if (action === "opened") return { repo, mayCreate: true };
      // The run itself makes the first copy, on the machine that takes it.
      return action === "labeled" && label?.name === triggerLabel
        ? { repo, mayCreate: false, urgent: true }
        : undefined;
    case "push":
      return ref === `refs/heads/${repository?.default_branch}` ? { repo, mayCreate: false } : undefined;
    default:
      return undefined;
  }
}

function repoOf({ payload: { installation, repository } }: WebhookEvent): RepoRef | undefined {
  const owner = repository?.owner ?? undefined;
  if (installation === undefined || repository === undefined || owner === undefined) return undefined;
  return {
    id: repository.id,
    owner: owner.login,
    name: repository.name,
    installationId: installation.id,
  };
}

function forIssue({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { action, issue, label } = payload;
  if (issue === undefined || issue.pull_request !== undefined) return undefined;
  if (action === "closed" || action === "transferred" || action === "deleted")
    return { kind: "stop", delivery: id, repo, issue: issue.number, actor, reason: `issue ${action}` };
  if (label?.name !== triggerLabel) return undefined;
  if (action === "unlabeled")
    return { kind: "stop", delivery: id, repo, issue: issue.number, actor, reason: "label removed" };
  const text = { title: issue.title, body: issue.body ?? "" };
  return { kind: "label", delivery: id, repo, issue: issue.number, actor, text };
}

/**
 * What a person says: a command anywhere, a mention of somebody, who may be us, else a word where a run may be at work,
 * which is on an issue with our label or on a bot's pull request.
 */
function forComment({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { issue, comment, sender } = payload;
  if (issue === undefined || comment === undefined || sender?.type === "Bot" || comment.body.trim() === "")
    return undefined;
  const isPull = issue.pull_request !== undefined;
  const { number } = issue;
  const said = { delivery: id, repo, number, isPull, actor, comment: comment.id, text: comment.body };
  if (isCommand(comment.body)) return { kind: "command", ...said };
  const names = (issue.labels ?? []).map((one) => (typeof one === "string" ? one : one.name));
  const mayBeAtWork = isPull ? issue.user?.type === "Bot" : names.includes(triggerLabel);
  return mayBeAtWork || mentionsAnybody(comment.body) ? { kind: "comment", ...said } : undefined;
}

function forReview({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { pull_request: pull, review, sender } = payload;
  if (pull === undefined || review === undefined || sender?.type === "Bot") return undefined;
  const { number } = pull;
  if (mayBeOurs(pull)) return { kind: "feedback", delivery: id, repo, pull: number, actor, branch: pull.head.ref };
  const text = review.body ?? "";
  if (!mentionsAnybody(text)) return undefined;
  const said = { delivery: id, repo, number, isPull: true, actor, comment: review.id, text };
  return { kind: "comment", ...said, inReview: true };
}

/** Also each comment of a review arrives so, before or after the review itself. */
function forReviewComment({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { pull_request: pull, comment, sender } = payload;
  if (pull === undefined || comment === undefined || sender?.type === "Bot") return undefined;
  const { number } = pull;
  if (mayBeOurs(pull))
    return { kind: "feedback", delivery: id, repo, pull: number, actor, branch: pull.head.ref, isSingle: true };
  if (!mentionsAnybody(comment.body)) return undefined;
  const said = { delivery: id, repo, number, isPull: true, actor, comment: comment.id, text: comment.body };
  return { kind: "comment", ...said, inThread: true };
}

/** A person edited what looks like the dashboard: its boxes are read where that is one of ours. */
function forDashboard({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { issue, sender } = payload;
  if (issue?.user?.type !== "Bot" || sender?.type === "Bot" || issue.body?.startsWith(dashboardMark) !== true)
    return undefined;
  return { kind: "upkeep", delivery: id, repo, ticked: { id: actor.id, login: actor.login } };
}

/** The settings that count were changed. */
function forPush({ id, payload }: WebhookEvent, repo: RepoRef): IntakeJob | undefined {
  const { ref, repository, commits = [] } = payload;
  if (ref !== `refs/heads/${repository?.default_branch}` || repository?.archived === true) return undefined;
  const touched = commits.flatMap(({ added = [], removed = [], modified = [] }) => [...added, ...removed, ...modified]);
  return touched.includes(settingsPath) ? { kind: "upkeep", delivery: id, repo } : undefined;
}

/** What people do to the pull request of a task, or of the first settings. */
function forOwnPull({ id, payload }: WebhookEvent, repo: RepoRef): IntakeJob | undefined {
  const { pull_request: pull, sender } = payload;
  if (pull?.user?.type !== "Bot" || sender?.type === "Bot" || !isUpkeepBranch(pull.head.ref)) return undefined;
  return { kind: "upkeep", delivery: id, repo };
}

function isUpkeepBranch(branch: string): boolean {
  return branch.startsWith(taskPrefix) || branch.startsWith(configureBranch);
}

/** All checks of an app have ended on a branch that may be ours. What they say is asked from the code host. */
function forChecks({ id, payload }: WebhookEvent, repo: RepoRef): IntakeJob | undefined {
  const pull = payload.check_suite?.pull_requests.find(({ head }) => head.ref.startsWith(branchPrefix));
  return pull && { kind: "watch", delivery: id, repo, pull: pull.number, branch: pull.head.ref };
}

function forStatus({ id, payload: { state, branches = [] } }: WebhookEvent, repo: RepoRef): IntakeJob | undefined {
  const branch = branches.find(({ name }) => name.startsWith(branchPrefix));
  if (branch === undefined || state === "pending") return undefined;
  return { kind: "watch", delivery: id, repo, branch: branch.name };
}

function mayBeOurs({ state, head, user }: NonNullable<WebhookEvent["payload"]["pull_request"]>): boolean {
  return state === "open" && head.ref.startsWith(branchPrefix) && user?.type === "Bot";
}

/** Our own name is known to those who may ask the code host. */
function mentionsAnybody(text: string): boolean {
  return /(?<![\w/])@[\w-]/.test(text);
}
