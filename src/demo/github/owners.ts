import { newNumber } from "./context.ts";
import type { Context } from "./context.ts";
import { notFound } from "./failure.ts";
import { branchCommit, setHead, updateRef, zero } from "./git.ts";
import { issueJson } from "./json/issue.ts";
import { repositoryJson } from "./json/repository.ts";
import { accountOf, fullName, installationOf } from "./state.ts";
import type { Installation, Permissions, Repository, State } from "./state.ts";

/** What owners do to their repositories, issues and installations on GitHub's pages. Repositories are `owner/name`. */
export interface Owners {
  /** The login becomes an organization's. */
  makeOrganization(login: string): void;
  /** Calls and git by the old name are redirected from now on. */
  rename(repository: string, name: string): void;
  archive(repository: string): void;
  unarchive(repository: string): void;
  /** Its issues are not to be had any more; its pull requests are. */
  disableIssues(repository: string): void;
  /** Open pull requests into the default branch follow it to its new name. */
  renameDefaultBranch(repository: string, name: string): Promise<void>;
  /** Returns its number over there. The app is told of it. */
  transferIssue(from: string, number: number, to: string): number;
  lock(repository: string, number: number): void;
  /** No token and no webhook for the installation on a repository. */
  suspend(repository: string): void;
  unsuspend(repository: string): void;
  /** What the installation on a repository may do, in place of what the app asks for; also for tokens that are out. */
  grant(repository: string, permissions: Permissions): void;
}

export function createOwners(context: Context): Owners {
  const { state } = context;
  const repositoryAt = (name: string) => {
    const repository = state.repositories.get(name);
    if (repository === undefined) throw notFound();
    return repository;
  };
  const installationAt = (name: string): Installation => {
    const installation = installationOf(state, repositoryAt(name));
    if (installation === undefined) throw notFound();
    return installation;
  };
  return {
    makeOrganization(login) {
      accountOf(state, login).type = "Organization";
    },
    rename: (from, name) => rename(state, repositoryAt(from), name),
    archive(name) {
      repositoryAt(name).archived = true;
    },
    unarchive(name) {
      repositoryAt(name).archived = false;
    },
    disableIssues(name) {
      repositoryAt(name).hasIssues = false;
    },
    renameDefaultBranch: (name, branch) => renameDefaultBranch(repositoryAt(name), branch),
    transferIssue: (from, number, to) => transferIssue(context, repositoryAt(from), { number, to: repositoryAt(to) }),
    lock(name, number) {
      const issue = repositoryAt(name).issues.get(number);
      if (issue === undefined) throw notFound();
      issue.locked = true;
    },
    suspend(name) {
      installationAt(name).suspendedAt = state.now();
    },
    unsuspend(name) {
      installationAt(name).suspendedAt = null;
    },
    grant(name, permissions) {
      const installation = installationAt(name);
      installation.permissions = permissions;
      for (const token of state.installationTokens.values())
        if (token.installation === installation) token.permissions = permissions;
    },
  };
}

function rename(state: State, repository: Repository, name: string): void {
  const before = fullName(repository);
  repository.name = name;
  const after = fullName(repository);
  state.repositories.delete(before);
  state.repositories.set(after, repository);
  state.moved.set(before, repository);
  const covering = [...state.installations.values(), ...state.installationTokens.values()];
  for (const { repositories } of covering) if (repositories.delete(before)) repositories.add(after);
}

async function renameDefaultBranch(repository: Repository, name: string): Promise<void> {
  const { gitDir, defaultBranch: before } = repository;
  const commit = (await branchCommit(gitDir, before)) ?? zero;
  await updateRef(gitDir, `refs/heads/${name}`, commit, zero);
  await setHead(gitDir, name);
  await updateRef(gitDir, `refs/heads/${before}`, zero, commit);
  repository.defaultBranch = name;
  for (const { state, pull } of repository.issues.values())
    if (pull?.base === before && state === "open") pull.base = name;
}

function transferIssue(
  { site, webhooks }: Context,
  from: Repository,
  { number, to }: { number: number; to: Repository },
): number {
  const issue = from.issues.get(number);
  if (issue === undefined) throw notFound();
  const before = issueJson(site, from, issue);
  from.issues.delete(number);
  issue.number = newNumber(to);
  to.issues.set(issue.number, issue);
  from.transferred.set(number, { repository: to, number: issue.number });
  const changes = { new_issue: issueJson(site, to, issue), new_repository: repositoryJson(site, to) };
  const subject = { issue: before, changes };
  webhooks.emit({ event: "issues", action: "transferred", repository: from, sender: from.owner, subject });
  return issue.number;
}
