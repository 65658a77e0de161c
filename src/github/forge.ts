import type { Octokit } from "@octokit/rest";
import type { Forge, Permission } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { checksOn, ensureCheckRun, readAnnotations } from "./checks.ts";
import {
  branchHead,
  branchesFrom,
  createCommit,
  ensureBranch,
  ensureBranchGone,
  readCommit,
  readFile,
} from "./commits.ts";
import { ensureReply, listRemarks, listReviews, listThreads, react, resolveThread } from "./conversation.ts";
import {
  closeIssue,
  editComment,
  ensureComment,
  ensureIssue,
  findComment,
  lastLabelEvent,
  openIssuesWith,
  ownIssue,
  readIssue,
  removeLabel,
  renamedSince,
} from "./issues.ts";
import { editPull, ensurePull, openPulls, pullCommits, pullsFrom, readMergeability, readPull } from "./pulls.ts";
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
        fork: data.fork,
        hasIssues: data.has_issues,
      };
    },
    async permission(login) {
      const found = await orMissing(octokit.rest.repos.getCollaboratorPermissionLevel({ ...name, username: login }));
      return toPermission(found?.data.permission);
    },
    readFile: (path, ref) => readFile(octokit, name, { path, ref }),
    branchHead: (branch) => branchHead(octokit, name, branch),
    branchesFrom: (prefix) => branchesFrom(octokit, name, prefix),

    issue: (number) => readIssue(octokit, name, number),
    labelEvent: (number, label) => lastLabelEvent(octokit, { ...name, number }, label),
    renamedSince: async (number, since) => renamedSince(octokit, { ...name, number }, { since, but: await self() }),
    labelledIssues: (label) => openIssuesWith(octokit, name, label),
    removeLabel: (number, label) => removeLabel(octokit, { ...name, number }, label),
    ownIssue: async (marker) => ownIssue(octokit, name, { marker, login: await self() }),
    ensureIssue: async (marker, text) => ensureIssue(octokit, name, { marker, login: await self() }, text),
    closeIssue: (number) => closeIssue(octokit, name, number),
    remarks: (number) => listRemarks(octokit, { ...name, number }),
    react: (on, content) => react(octokit, name, on, content),
    findComment: async (number, marker) => findComment(octokit, { ...name, number }, { marker, login: await self() }),
    editComment: (id, body) => editComment(octokit, name, id, body),
    ensureComment: async (number, marker, body) =>
      ensureComment(octokit, { ...name, number }, { marker, login: await self() }, body),

    createCommit: (change) => createCommit(octokit, name, change),
    commit: (id) => readCommit(octokit, name, id),
    ensureBranch: (branch, commit, expected) => ensureBranch(octokit, name, { branch, commit, expected }),
    ensureBranchGone: (branch, expected) => ensureBranchGone(octokit, name, { branch, expected }),
    pullsFrom: async (branch) => pullsFrom(octokit, name, branch, await self()),
    openPulls: async () => openPulls(octokit, name, await self()),
    ensurePull: async (pull) => ensurePull(octokit, name, pull, await self()),
    pull: async (number) => readPull(octokit, name, number, await self()),
    editPull: (number, change) => editPull(octokit, { ...name, number }, change),
    pullCommits: (number) => pullCommits(octokit, { ...name, number }),
    mergeability: (pull) => readMergeability(octokit, { ...name, number: pull }),
    threads: (pull) => listThreads(octokit, { ...name, number: pull }),
    reviews: (pull) => listReviews(octokit, { ...name, number: pull }),
    ensureReply: async (pull, comment, mark, body) =>
      ensureReply(octokit, { ...name, number: pull }, { comment, mark, login: await self() }, body),
    resolveThread: (id) => resolveThread(octokit, id),
    ensureCheckRun: (check) => ensureCheckRun(octokit, name, check),
    checksOn: (commit) => checksOn(octokit, name, commit),
    annotations: (checkRun) => readAnnotations(octokit, name, checkRun),
  };
}

function toPermission(word: string | undefined): Permission {
  return word === "admin" || word === "write" || word === "read" ? word : "none";
}
