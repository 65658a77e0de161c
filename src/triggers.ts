import type { IntakeJob, RepoRef } from "./job.ts";

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
    repository?: { id: number; name: string; owner: { login: string } };
    sender?: Account | undefined;
    label?: { name: string } | undefined;
    issue?: { number: number; title: string; body: string | null; state?: string | undefined; pull_request?: unknown };
    pull_request?: { number: number; state: string; user: Account | null; head: { ref: string } };
    review?: { id: number; user: Account | null };
  };
}

/** Pure: the job that an event asks for, or nothing. Looks at the payload alone, so that a handler calls nobody. */
export function intakeFor(event: WebhookEvent): IntakeJob | undefined {
  const { action, installation, repository, sender } = event.payload;
  if (installation === undefined || repository === undefined || sender === undefined) return undefined;
  const repo = {
    id: repository.id,
    owner: repository.owner.login,
    name: repository.name,
    installationId: installation.id,
  };
  const actor = { id: sender.id, login: sender.login };
  switch (`${event.name}.${action}`) {
    case "issues.labeled":
    case "issues.unlabeled":
    case "issues.closed":
      return forIssue(event, repo, actor);
    case "pull_request_review.submitted":
      return forReview(event, repo, actor);
    default:
      return undefined;
  }
}

function forIssue({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { action, issue, label } = payload;
  if (issue === undefined || issue.pull_request !== undefined) return undefined;
  if (action === "closed")
    return { kind: "stop", delivery: id, repo, issue: issue.number, actor, reason: "issue closed" };
  if (label?.name !== triggerLabel) return undefined;
  if (action === "unlabeled")
    return { kind: "stop", delivery: id, repo, issue: issue.number, actor, reason: "label removed" };
  const text = { title: issue.title, body: issue.body ?? "" };
  return { kind: "label", delivery: id, repo, issue: issue.number, actor, text };
}

function forReview({ id, payload }: WebhookEvent, repo: RepoRef, actor: Account): IntakeJob | undefined {
  const { pull_request: pull, review, sender } = payload;
  if (pull === undefined || review === undefined || pull.state !== "open") return undefined;
  if (!pull.head.ref.startsWith(branchPrefix) || pull.user?.type !== "Bot" || sender?.type === "Bot") return undefined;
  return { kind: "review", delivery: id, repo, pull: pull.number, review: review.id, actor, branch: pull.head.ref };
}
