import { commitsBetween, isAncestor, pathsOf, readCommit, resolve, zero } from "../git.ts";
import type { CommitData } from "../git.ts";
import type { Account, Repository } from "../state.ts";
import { repoPage } from "./site.ts";
import type { Site } from "./site.ts";

/** A reference that moved. All zeros stand for one that was not there before, or is not after. */
export interface Move {
  ref: string;
  before: string;
  after: string;
}

/** What a webhook says of a push, beside repository and sender. */
export async function pushJson(site: Site, repository: Repository, { ref, before, after }: Move, pusher: Account) {
  const { gitDir, defaultBranch } = repository;
  const created = before === zero;
  const deleted = after === zero;
  // Of a new branch, those that the default branch does not have.
  const without = created ? `refs/heads/${defaultBranch}` : before;
  const known = without === ref ? undefined : await resolve(gitDir, without);
  const commits = deleted ? [] : await commitsBetween(gitDir, known, after);
  return {
    ref,
    before,
    after,
    created,
    deleted,
    forced: !created && !deleted && !(await isAncestor(gitDir, before, after)),
    base_ref: null,
    compare: `${repoPage(site, repository)}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`,
    commits: await Promise.all(commits.map((one) => pushedCommit(site, repository, one))),
    head_commit: deleted ? null : await pushedCommit(site, repository, after),
    pusher: { name: pusher.login, email: `${pusher.id}+${pusher.login}@users.noreply.github.com` },
  };
}

async function pushedCommit(site: Site, repository: Repository, id: string) {
  const data = await readCommit(repository.gitDir, id);
  return data === undefined ? null : commitJson(site, repository, data);
}

async function commitJson(site: Site, repository: Repository, { sha, tree, message, author, committer }: CommitData) {
  return {
    id: sha,
    tree_id: tree,
    distinct: true,
    message,
    timestamp: committer.date,
    url: `${repoPage(site, repository)}/commit/${sha}`,
    author,
    committer,
    ...(await pathsOf(repository.gitDir, sha)),
  };
}
