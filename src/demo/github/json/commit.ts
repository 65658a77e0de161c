import type { CommitData } from "../git.ts";
import type { Repository } from "../state.ts";
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

export function referenceJson(site: Site, repo: Repository, name: string, sha: string) {
  const object = { sha, type: "commit", url: `${repoApi(site, repo)}/git/commits/${sha}` };
  const ref = `refs/${name}`;
  return { ref, node_id: nodeId("Ref", `${repo.id}:${ref}`), url: `${repoApi(site, repo)}/git/${ref}`, object };
}
