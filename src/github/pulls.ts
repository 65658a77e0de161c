import type { Octokit } from "@octokit/rest";
import type { NewPull, Pull, Review } from "../forge.ts";
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

export async function readReview(
  octokit: Octokit,
  name: Name,
  { pull, review }: { pull: number; review: number },
): Promise<Review> {
  const which = { ...name, pull_number: pull, review_id: review };
  const { data } = await octokit.rest.pulls.getReview(which);
  const comments = await octokit.paginate(octokit.rest.pulls.listCommentsForReview, { ...which, per_page: 100 });
  return {
    author: { id: data.user?.id ?? 0, login: data.user?.login ?? "ghost" },
    state: data.state,
    body: data.body,
    comments: comments.map((one) => ({
      path: one.path,
      line: one.line ?? one.original_line,
      hunk: one.diff_hunk,
      body: one.body,
    })),
  };
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
  };
}
