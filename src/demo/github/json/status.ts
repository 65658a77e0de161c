import { listRefs, readCommit } from "../git.ts";
import { fullName } from "../state.ts";
import type { CommitStatus, Repository } from "../state.ts";
import { accountJson } from "./account.ts";
import { commitJson } from "./commit.ts";
import { nodeId, repoApi } from "./site.ts";
import type { Site } from "./site.ts";

export function statusJson(site: Site, repo: Repository, one: CommitStatus) {
  const creator = accountJson(site, one.creator);
  return {
    id: one.id,
    node_id: nodeId("StatusContext", one.id),
    url: `${repoApi(site, repo)}/statuses/${one.commit}`,
    avatar_url: creator.avatar_url,
    state: one.state,
    context: one.context,
    description: one.description,
    target_url: one.targetUrl,
    created_at: one.createdAt,
    updated_at: one.createdAt,
    creator,
  };
}

/** What a webhook says of a status, beside repository and sender. */
export async function statusEventJson(site: Site, repo: Repository, one: CommitStatus) {
  const { id, avatar_url, state, context, description, target_url, created_at, updated_at } = statusJson(
    site,
    repo,
    one,
  );
  const about = { id, avatar_url, state, context, description, target_url, created_at, updated_at };
  const data = await readCommit(repo.gitDir, one.commit);
  if (data === undefined) throw new Error(`there is no commit ${one.commit}`);
  const { sha, node_id, url, html_url, author, committer, message, tree, parents, verification } = commitJson(
    site,
    repo,
    data,
  );
  const { verified, reason, signature, payload } = verification;
  const at = `${repoApi(site, repo)}/commits/${sha}`;
  const branches = [...(await listRefs(repo.gitDir))].filter(
    ([ref, head]) => ref.startsWith("refs/heads/") && head === sha,
  );
  return {
    ...about,
    sha,
    name: fullName(repo),
    commit: {
      sha,
      node_id,
      commit: {
        author,
        committer,
        message,
        tree,
        url,
        comment_count: 0,
        verification: { verified, reason, signature, payload },
      },
      url: at,
      html_url,
      comments_url: `${at}/comments`,
      author: null,
      committer: null,
      parents,
    },
    branches: branches.map(([ref]) => ({
      name: ref.replace("refs/heads/", ""),
      commit: { sha, url: at },
      protected: false,
    })),
  };
}
