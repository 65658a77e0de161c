import type { Octokit } from "@octokit/rest";
import type { Comment, Issue } from "../forge.ts";
import { orMissing } from "./status.ts";

interface Name {
  owner: string;
  repo: string;
}

export async function readIssue(octokit: Octokit, name: Name, number: number): Promise<Issue> {
  const { data } = await octokit.rest.issues.get({ ...name, issue_number: number });
  return {
    number: data.number,
    title: data.title,
    body: data.body ?? "",
    state: data.state === "open" ? "open" : "closed",
    labels: data.labels.map((label) => (typeof label === "string" ? label : (label.name ?? ""))),
    isPull: data.pull_request !== undefined,
  };
}

/** The newest `labeled` event with this label. */
export async function lastLabelEvent(octokit: Octokit, name: Name & { number: number }, label: string) {
  const { number, ...repository } = name;
  const events = await octokit.paginate(octokit.rest.issues.listEvents, {
    ...repository,
    issue_number: number,
    per_page: 100,
  });
  const event = events.findLast((one) => one.event === "labeled" && "label" in one && one.label.name === label);
  if (!event?.actor) return undefined;
  return { id: event.id, actor: { id: event.actor.id, login: event.actor.login }, at: event.created_at };
}

export async function openIssuesWith(octokit: Octokit, name: Name, label: string): Promise<number[]> {
  const issues = await octokit.paginate(octokit.rest.issues.listForRepo, {
    ...name,
    labels: label,
    state: "open",
    per_page: 100,
  });
  return issues.filter((issue) => issue.pull_request === undefined).map((issue) => issue.number);
}

export async function removeLabel(octokit: Octokit, name: Name & { number: number }, label: string): Promise<void> {
  const { number, ...repository } = name;
  await orMissing(octokit.rest.issues.removeLabel({ ...repository, issue_number: number, name: label }));
}

/** Our own comment with this marker; a comment of somebody else that copies the marker is not ours. */
export async function findComment(
  octokit: Octokit,
  name: Name & { number: number },
  ours: { marker: string; login: string },
): Promise<Comment | undefined> {
  const { number, ...repository } = name;
  const comments = await octokit.paginate(octokit.rest.issues.listComments, {
    ...repository,
    issue_number: number,
    per_page: 100,
  });
  const found = comments.find((comment) => comment.user?.login === ours.login && comment.body?.includes(ours.marker));
  return found && { id: found.id, body: found.body ?? "" };
}

export async function editComment(octokit: Octokit, name: Name, id: number, body: string): Promise<boolean> {
  return (await orMissing(octokit.rest.issues.updateComment({ ...name, comment_id: id, body }))) !== undefined;
}

export async function ensureComment(
  octokit: Octokit,
  name: Name & { number: number },
  ours: { marker: string; login: string },
  body: string,
): Promise<Comment> {
  const { number, ...repository } = name;
  const found = await findComment(octokit, name, ours);
  if (found?.body === body) return found;
  const { data } =
    found === undefined
      ? await octokit.rest.issues.createComment({ ...repository, issue_number: number, body })
      : await octokit.rest.issues.updateComment({ ...repository, comment_id: found.id, body });
  return { id: data.id, body };
}
