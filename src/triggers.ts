import { isCommand } from "./commands.ts";
import type { IntakeJob, RepoRef } from "./job.ts";
import type { PrefetchHint } from "./prefetch.ts";

export const triggerLabel = "agent-fix";
export const branchPrefix = "agent-fix/";

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
    review?: { id: number; user: Account | null };
    check_suite?: { pull_requests: readonly { number: number; head: { ref: string } }[] };
    /** Of a push. */
    ref?: string;
  };
}

/** Pure: the job that an event asks for, or nothing. Looks at the payload alone, so that a handler calls nobody. */
export function intakeFor(event: WebhookEvent): IntakeJob | undefined {
  const { action, sender } = event.payload;
  const repo = repoOf(event);
  if (repo === undefined || sender === undefined) return undefined;
  const actor = { id: sender.id, login: sender.login };
  switch (`${event.name}.${action}`) {
    case "issues.labeled":
    case "issues.unlabeled":
    case "issues.closed":
    case "issues.transferred":
    case "issues.deleted":
      return forIssue(event, repo, actor);
    case "issue_comment.created":
      return forComment(event, repo, actor);
    case "pull_request_review.submitted":
      return forReview(event, repo, actor);
    case "check_suite.completed":
      return forChecks(event, repo);
    case "pull_request_review_comment.created":
      return forReviewComment(event, repo, actor);
    default:
      return undefined;
  }
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
  if (pull === undefined || review === undefined || sender?.type === "Bot" || !mayBeOurs(pull)) return undefined;
  return { kind: "feedback", delivery: id, repo, pull: pull.number, actor, branch: pull.head.ref };
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

/** All checks of an app have ended on a branch that may be ours. What they say is asked from the code host. */
function forChecks({ id, payload }: WebhookEvent, repo: RepoRef): IntakeJob | undefined {
  const pull = payload.check_suite?.pull_requests.find(({ head }) => head.ref.startsWith(branchPrefix));
  return pull && { kind: "watch", delivery: id, repo, pull: pull.number, branch: pull.head.ref };
}

function mayBeOurs({ state, head, user }: NonNullable<WebhookEvent["payload"]["pull_request"]>): boolean {
  return state === "open" && head.ref.startsWith(branchPrefix) && user?.type === "Bot";
}

/** Our own name is known to those who may ask the code host. */
function mentionsAnybody(text: string): boolean {
  return /(?<![\w/])@[\w-]/.test(text);
}
