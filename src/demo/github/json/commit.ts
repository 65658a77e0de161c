import type { CommitData } from "../git.ts";
import { accountAt } from "../state.ts";
import type { Repository, State } from "../state.ts";
import { accountJson } from "./account.ts";
import { nodeId, repoApi, repoPage } from "./site.ts";
import type { Site } from "./site.ts";

export function commitJson(site: Site, repo: Repository, data: CommitData) {
  const verified = repo.signed.has(data.sha);
  const at = `${repoApi(site, repo)}/git/commits/${data.sha}`;
  const parents = data.parents.map((sha) => ({
    sha,
    url: `${repoApi(site, repo)}/git/commits/${sha}`,
    html_url: `${repoPage(site, repo)}/commit/${sha}`,
  }));
  const verification = { verified, reason: verified ? "valid" : "unsigned", signature: null, payload: null };
  return {
    sha: data.sha,
    node_id: nodeId("Commit", data.sha),
    url: at,
    html_url: `${repoPage(site, repo)}/commit/${data.sha}`,
    author: data.author,
    committer: data.committer,
    tree: { sha: data.tree, url: `${repoApi(site, repo)}/git/trees/${data.tree}` },
    message: data.message,
    parents,
    verification: { ...verification, verified_at: null },
  };
}

/** A commit as it is listed, with the accounts that have its addresses. */
export function accountedCommitJson({ state, site }: { state: State; site: Site }, repo: Repository, data: CommitData) {
  const { sha, node_id, html_url, parents, ...commit } = commitJson(site, repo, data);
  const at = `${repoApi(site, repo)}/commits/${sha}`;
  const accountOf = (email: string) => {
    const account = accountAt(state, email);
    return account === undefined ? null : accountJson(site, account);
  };
  return {
    url: at,
    sha,
    node_id,
    html_url,
    comments_url: `${at}/comments`,
    commit: { ...commit, comment_count: 0 },
    author: accountOf(data.author.email),
    committer: accountOf(data.committer.email),
    parents,
  };
}

export function referenceJson(site: Site, repo: Repository, name: string, sha: string) {
  const object = { sha, type: "commit", url: `${repoApi(site, repo)}/git/commits/${sha}` };
  const ref = `refs/${name}`;
  return { ref, node_id: nodeId("Ref", `${repo.id}:${ref}`), url: `${repoApi(site, repo)}/git/${ref}`, object };
}
