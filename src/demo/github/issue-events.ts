import { accountOfCaller } from "./auth.ts";
import type { Context, RepositoryCall } from "./context.ts";
import { issueJson } from "./json/issue.ts";
import { fullPullJson } from "./json/pull.ts";
import { labelJson } from "./json/repository.ts";
import type { Account, Issue, IssueEvent, Label, Repository } from "./state.ts";

/** Who does something, and where. */
export interface Deed {
  sender: Account;
  repository: Repository;
}

export function deedOf({ caller, repository }: RepositoryCall): Deed {
  return { sender: accountOfCaller(caller), repository };
}

/** What texts were before, by what they are. */
export type Changes = Partial<Record<"title" | "body", { from: string }>>;

/** Sets title and text, with the events that GitHub records and sends; nothing happens where they are so already. */
export async function rewrite(
  deed: Deed,
  context: Context,
  issue: Issue,
  { title, body }: { title?: string | undefined; body?: string | null | undefined },
): Promise<void> {
  const changes: Changes = {
    ...(title !== undefined && title !== issue.title && { title: { from: issue.title } }),
    ...(body !== undefined && body !== issue.body && { body: { from: issue.body ?? "" } }),
  };
  issue.title = title ?? issue.title;
  if (body !== undefined) issue.body = body;
  issue.updatedAt = context.state.now();
  if (changes.title !== undefined) {
    const rename = { from: changes.title.from, to: issue.title };
    record(deed, context, { issue, event: "renamed", rename });
  }
  if (Object.keys(changes).length > 0) await emitIssue(deed, context, issue, { action: "edited", changes });
}

/** Opens or closes, with the event that GitHub records and sends; nothing happens where it is so already. */
export async function setState(deed: Deed, context: Context, issue: Issue, state: Issue["state"]): Promise<void> {
  if (issue.state === state) return;
  const now = context.state.now();
  issue.state = state;
  issue.closedAt = state === "closed" ? now : null;
  issue.updatedAt = now;
  const event = state === "closed" ? "closed" : "reopened";
  record(deed, context, { issue, event });
  await emitIssue(deed, context, issue, { action: event });
}

/** Puts a label on, or takes it off. */
export async function setLabel(
  deed: Deed,
  context: Context,
  issue: Issue,
  { event, label }: { event: "labeled" | "unlabeled"; label: Label },
): Promise<void> {
  issue.labels = event === "labeled" ? [...issue.labels, label] : issue.labels.filter((one) => one !== label);
  record(deed, context, { issue, event, label });
  const shown = labelJson(context.site, deed.repository, label);
  await emitIssue(deed, context, issue, { action: event, label: shown });
}

function record(
  { sender }: Deed,
  { state }: Context,
  { issue, ...event }: { issue: Issue } & Pick<IssueEvent, "event" | "label" | "rename">,
): void {
  issue.events.push({ id: state.nextId(), actor: sender, createdAt: state.now(), ...event });
}

/** Tells of an issue as of an issue, and of a pull request as of a pull request. */
export async function emitIssue(
  { sender, repository }: Deed,
  { site, webhooks }: Context,
  issue: Issue,
  { action, ...more }: { action: string; [subject: string]: unknown },
): Promise<void> {
  const isPull = issue.pull !== undefined;
  const about = isPull
    ? { number: issue.number, pull_request: await fullPullJson(site, repository, issue) }
    : { issue: issueJson(site, repository, issue) };
  const event = isPull ? "pull_request" : "issues";
  webhooks.emit({ event, action, repository, sender, subject: { ...about, ...more } });
}
