import type { Octokit } from "@octokit/rest";
import type { Forge, NewPull, Pull, PullCommit } from "../forge.ts";
import { statusOf } from "./status.ts";

interface Name {
  owner: string;
  repo: string;
}

interface PullData {
  number: number;
  html_url: string;
  title: string;
  body: string | null;
  state: string;
  user: { login: string } | null;
  base: { ref: string };
  head: { ref: string; sha: string };
  merged_at: string | null;
  created_at: string;
  updated_at: string;
  closed_at: string | null;
}

/** Open and closed pull requests whose head is this branch of the same repository, newest first. */
export async function pullsFrom(octokit: Octokit, name: Name, branch: string, self: string): Promise<Pull[]> {
  const { data } = await octokit.rest.pulls.list({
    ...name,
    head: `${name.owner}:${branch}`,
    state: "all",
    per_page: 100,
  });
  return data.filter((pull) => pull.head.ref === branch).map((pull) => toPull(pull, self));
}

export async function openPulls(octokit: Octokit, name: Name, self: string): Promise<Pull[]> {
  const found = await octokit.paginate(octokit.rest.pulls.list, { ...name, state: "open", per_page: 100 });
  return found.map((pull) => toPull(pull, self)).filter(({ ours }) => ours);
}

export async function ensurePull(octokit: Octokit, name: Name, pull: NewPull, self: string): Promise<Pull> {
  const open = async () => (await pullsFrom(octokit, name, pull.branch, self)).find((one) => one.state === "open");
  const found = await open();
  if (found !== undefined) return found;
  const { branch: head, base, title, body, draft } = pull;
  try {
    const { data } = await octokit.rest.pulls.create({ ...name, head, base, title, body, draft });
    return toPull(data, self);
  } catch (error) {
    if (statusOf(error) !== 422) throw error;
    const adopted = await open();
    if (adopted !== undefined) return adopted;
    // Not every plan has drafts in private repositories, and the answer has no code that tells it from other refusals.
    if (draft) return ensurePull(octokit, name, { ...pull, draft: false }, self);
    throw error;
  }
}

export async function readPull(octokit: Octokit, name: Name, number: number, self: string): Promise<Pull> {
  const { data } = await octokit.rest.pulls.get({ ...name, pull_number: number });
  return toPull(data, self);
}

/** Sends what differs, and nothing where nothing does. */
export async function editPull(
  octokit: Octokit,
  { number, ...name }: Name & { number: number },
  { title, body, state }: Parameters<Forge["editPull"]>[1],
): Promise<void> {
  const one = { ...name, pull_number: number };
  const { data } = await octokit.rest.pulls.get(one);
  const change = {
    ...(title !== undefined && title !== data.title && { title }),
    ...(body !== undefined && body !== (data.body ?? "") && { body }),
    ...(state !== undefined && state !== data.state && { state }),
  };
  if (Object.keys(change).length > 0) await octokit.rest.pulls.update({ ...one, ...change });
}

export async function pullCommits(
  octokit: Octokit,
  { number, ...name }: Name & { number: number },
): Promise<PullCommit[]> {
  const commits = await octokit.paginate(octokit.rest.pulls.listCommits, {
    ...name,
    pull_number: number,
    per_page: 100,
  });
  return commits.map(({ sha, commit, author }) => ({
    id: sha,
    message: commit.message,
    author: author && "login" in author ? { login: author.login, isBot: author.type === "Bot" } : undefined,
  }));
}

export async function readMergeability(octokit: Octokit, { number, ...name }: Name & { number: number }) {
  const { data } = await octokit.rest.pulls.get({ ...name, pull_number: number });
  const state = data.mergeable === null ? "unknown" : data.mergeable ? "clean" : "conflict";
  return { state, merged: data.merged } as const;
}

function toPull(data: PullData, self: string): Pull {
  return {
    number: data.number,
    url: data.html_url,
    title: data.title,
    body: data.body ?? "",
    state: data.state === "open" ? "open" : "closed",
    ours: data.user?.login === self,
    base: data.base.ref,
    head: { branch: data.head.ref, commit: data.head.sha },
    merged: data.merged_at !== null,
    createdAt: data.created_at,
    updatedAt: data.updated_at,
    closedAt: data.closed_at ?? undefined,
  };
}
