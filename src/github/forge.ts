import type { Octokit } from "@octokit/rest";
import type { Forge, Permission } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { ensureCheckRun } from "./checks.ts";
import { branchHead, createCommit, ensureBranch, readCommit, readFile } from "./commits.ts";
import { ensureComment, findComment, lastLabelEvent, openIssuesWith, readIssue, removeLabel } from "./issues.ts";
import { ensurePull, pullsFrom, readPull, readReview } from "./pulls.ts";
import { orMissing } from "./status.ts";

/** One repository through one authenticated client. `self` is our own login, by which our comments are known. */
export function createForge(octokit: Octokit, repo: RepoRef, self: () => Promise<string>): Forge {
  const name = { owner: repo.owner, repo: repo.name };
  return {
    repo,
    async repository() {
      const { data } = await octokit.rest.repos.get(name);
      return {
        defaultBranch: data.default_branch,
        private: data.private,
        cloneUrl: data.clone_url,
        archived: data.archived,
      };
    },
    async permission(login) {
      const found = await orMissing(octokit.rest.repos.getCollaboratorPermissionLevel({ ...name, username: login }));
      return toPermission(found?.data.permission);
    },
    readFile: (path, ref) => readFile(octokit, name, { path, ref }),
    branchHead: (branch) => branchHead(octokit, name, branch),

    issue: (number) => readIssue(octokit, name, number),
    labelEvent: (number, label) => lastLabelEvent(octokit, { ...name, number }, label),
    labelledIssues: (label) => openIssuesWith(octokit, name, label),
    removeLabel: (number, label) => removeLabel(octokit, { ...name, number }, label),
    findComment: async (number, marker) => findComment(octokit, { ...name, number }, { marker, login: await self() }),
    ensureComment: async (number, marker, body) =>
      ensureComment(octokit, { ...name, number }, { marker, login: await self() }, body),

    createCommit: (change) => createCommit(octokit, name, change),
    commit: (id) => readCommit(octokit, name, id),
    ensureBranch: (branch, commit, expected) => ensureBranch(octokit, name, { branch, commit, expected }),
    pullsFrom: async (branch) => pullsFrom(octokit, name, branch, await self()),
    ensurePull: async (pull) => ensurePull(octokit, name, pull, await self()),
    pull: async (number) => readPull(octokit, name, number, await self()),
    ensureCheckRun: (check) => ensureCheckRun(octokit, name, check),
    review: (pull, review) => readReview(octokit, name, { pull, review }),
  };
}

function toPermission(word: string | undefined): Permission {
  return word === "admin" || word === "write" || word === "read" ? word : "none";
}
