import type { Octokit } from "@octokit/rest";
import type { Comment, Issue, OwnIssue } from "../forge.ts";
import { orMissing, statusOf } from "./status.ts";

interface Name {
  owner: string;
  repo: string;
}

interface IssueData {
  number: number;
  title: string;
  body?: string | null | undefined;
  state: string;
  labels: (string | { name?: string })[];
  pull_request?: object;
  html_url: string;
}

/** Whose issue it is, and how it is known. */
interface Ours {
  marker: string;
  login: string;
}

export async function readIssue(octokit: Octokit, name: Name, number: number): Promise<Issue> {
  const { data } = await octokit.rest.issues.get({ ...name, issue_number: number });
  return toIssue(data);
}

function toIssue(data: IssueData): Issue {
  return {
    number: data.number,
    title: data.title,
    body: data.body ?? "",
    state: data.state === "open" ? "open" : "closed",
    labels: data.labels.map((label) => (typeof label === "string" ? label : (label.name ?? ""))),
    isPull: data.pull_request !== undefined,
  };
}

function listEvents(octokit: Octokit, { number, ...name }: Name & { number: number }) {
  return octokit.paginate(octokit.rest.issues.listEvents, { ...name, issue_number: number, per_page: 100 });
}

export async function renamedSince(
  octokit: Octokit,
  name: Name & { number: number },
  { since, but }: { since: string; but: string },
): Promise<boolean> {
  const events = await listEvents(octokit, name);
  return events.some(
    ({ event, actor, created_at }) => event === "renamed" && actor?.login !== but && created_at >= since,
  );
}

/** The newest `labeled` event with this label. */
export async function lastLabelEvent(octokit: Octokit, name: Name & { number: number }, label: string) {
  const events = await listEvents(octokit, name);
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

/** Our own issue that begins with this marker, the newest: elsewhere in ours, or in one of somebody else, it is copied text. */
export async function ownIssue(octokit: Octokit, name: Name, { marker, login }: Ours): Promise<OwnIssue | undefined> {
  const query = { ...name, creator: login, state: "all", per_page: 100 } as const;
  try {
    // Our pull requests are in the list too, and may be many.
    for await (const { data } of octokit.paginate.iterator(octokit.rest.issues.listForRepo, query)) {
      const found = data.find(
        (one) => one.pull_request === undefined && one.user?.login === login && one.body?.startsWith(marker),
      );
      if (found !== undefined) return { ...toIssue(found), url: found.html_url };
    }
    return undefined;
  } catch (error) {
    if (areDisabled(error)) return undefined;
    throw error;
  }
}

export async function ensureIssue(
  octokit: Octokit,
  name: Name,
  ours: Ours,
  { title, body }: { title: string; body: string },
): Promise<OwnIssue | undefined> {
  const found = await ownIssue(octokit, name, ours);
  const open = found?.state === "open" ? found : undefined;
  if (open?.title === title && open.body === body) return open;
  try {
    const { data } =
      open === undefined
        ? await octokit.rest.issues.create({ ...name, title, body })
        : await octokit.rest.issues.update({ ...name, issue_number: open.number, title, body });
    return { ...toIssue(data), url: data.html_url };
  } catch (error) {
    if (areDisabled(error)) return undefined;
    throw error;
  }
}

/** A deleted issue is 410 as well, and is not there any more either. */
function areDisabled(error: unknown): boolean {
  return statusOf(error) === 410;
}

export async function closeIssue(octokit: Octokit, name: Name, number: number): Promise<void> {
  if ((await readIssue(octokit, name, number)).state === "closed") return;
  await octokit.rest.issues.update({ ...name, issue_number: number, state: "closed", state_reason: "completed" });
}

/** Our own comment that begins with this marker: elsewhere in ours, or in one of somebody else, it is copied text. */
export async function findComment(
  octokit: Octokit,
  name: Name & { number: number },
  ours: Ours,
): Promise<Comment | undefined> {
  const { number, ...repository } = name;
  const comments = await octokit.paginate(octokit.rest.issues.listComments, {
    ...repository,
    issue_number: number,
    per_page: 100,
  });
  const found = comments.find((comment) => comment.user?.login === ours.login && comment.body?.startsWith(ours.marker));
  return found && { id: found.id, body: found.body ?? "" };
}

export async function editComment(octokit: Octokit, name: Name, id: number, body: string): Promise<boolean> {
  return (await orMissing(octokit.rest.issues.updateComment({ ...name, comment_id: id, body }))) !== undefined;
}

export async function ensureComment(
  octokit: Octokit,
  name: Name & { number: number },
  ours: Ours,
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
