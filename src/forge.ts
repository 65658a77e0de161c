import type { RepoRef } from "./job.ts";

/** One repository on a code host, in our words. Every `ensure*` looks first, so that running it twice changes nothing. */
export interface Forge {
  readonly repo: RepoRef;
  repository(): Promise<RepositoryFacts>;
  /** The person's real permission, asked from the host. */
  permission(login: string): Promise<Permission>;
  /** A file's text at a commit or branch, by default the default branch; undefined when there is none. */
  readFile(path: string, ref?: string): Promise<string | undefined>;
  /** The commit at a branch's head; undefined when there is no such branch (or no commit yet). */
  branchHead(branch: string): Promise<string | undefined>;
  /** The names of the branches that begin so. */
  branchesFrom(prefix: string): Promise<string[]>;

  issue(number: number): Promise<Issue>;
  /** Who set the label last, and when. */
  labelEvent(number: number, label: string): Promise<LabelEvent | undefined>;
  /** Whether somebody else than us gave the issue or pull request another title since a time, in ISO 8601 and UTC. */
  renamedSince(number: number, since: string): Promise<boolean>;
  labelledIssues(label: string): Promise<number[]>;
  removeLabel(number: number, label: string): Promise<void>;
  /** Our own issue whose text begins with the marker, the newest, open or closed; undefined too where issues are disabled. */
  ownIssue(marker: string): Promise<OwnIssue | undefined>;
  /** Edits that issue where it is open, else opens one with this text, which begins with the marker; undefined where issues are disabled. */
  ensureIssue(marker: string, text: { title: string; body: string }): Promise<OwnIssue | undefined>;
  /** As completed. */
  closeIssue(number: number): Promise<void>;
  /** The conversation under an issue or pull request, oldest first. */
  remarks(number: number): Promise<Remark[]>;
  /** Sets our reaction; nothing changes where it is set. */
  react(on: { kind: "comment" | "review-comment"; id: number }, content: "eyes"): Promise<void>;
  /** Our own comment that begins with the marker, if any. */
  findComment(number: number, marker: string): Promise<Comment | undefined>;
  /** Edits a comment of ours; false where it is gone. */
  editComment(id: number, body: string): Promise<boolean>;
  /** Creates or edits our one comment that begins with this marker, as the text does. */
  ensureComment(number: number, marker: string, body: string): Promise<Comment>;

  /**
   * Writes blobs, one tree on the base commit's tree, and one commit on it, or on the parents that are given, without
   * author fields. Returns both ids. Without a file and a deletion the tree is the base's own.
   */
  createCommit(change: CommitChange): Promise<{ commit: string; tree: string }>;
  commit(id: string): Promise<Commit>;
  /** Creates the branch, or moves it forward from `expected`. `conflict` when it stands elsewhere. */
  ensureBranch(branch: string, commit: string, expected: string | undefined): Promise<"done" | "conflict">;
  /** Deletes the branch where it stands at `expected`, which closes its open pull requests; `moved` where it stands elsewhere. */
  ensureBranchGone(branch: string, expected: string): Promise<"done" | "moved">;
  pullsFrom(branch: string): Promise<Pull[]>;
  /** The open ones that are ours. */
  openPulls(): Promise<Pull[]>;
  ensurePull(pull: NewPull): Promise<Pull>;
  pull(number: number): Promise<Pull>;
  editPull(number: number, change: { title?: string; body?: string; state?: "closed" }): Promise<void>;
  /** Oldest first; of more than 250, GitHub shows the first 250. */
  pullCommits(number: number): Promise<PullCommit[]>;
  /** The host works it out after each push, from when it is first asked: `unknown` until then. */
  mergeability(pull: number): Promise<{ state: "clean" | "conflict" | "unknown"; merged: boolean }>;
  /** The conversations on the pull request's lines, oldest first. */
  threads(pull: number): Promise<Thread[]>;
  /** What was submitted, oldest first; a single comment on a line is a review too. */
  reviews(pull: number): Promise<ReviewFacts[]>;
  /** Creates or edits our one reply with this mark in the thread of that review comment; nothing where the thread is gone. */
  ensureReply(pull: number, comment: number, mark: string, body: string): Promise<void>;
  /** By the thread's id. */
  resolveThread(id: string): Promise<void>;
  /** Creates or edits the run's check run on its commit. */
  ensureCheckRun(check: CheckRun): Promise<void>;
  /** Everything that judges the commit, ours too: the newest of each name and app. */
  checksOn(commit: string): Promise<Check[]>;
  /** What a check run says of lines, by the check run's id. */
  annotations(checkRun: number): Promise<Annotation[]>;
}

export type Permission = "none" | "read" | "write" | "admin";

/** Write or more: what it takes to start or steer us. */
export function mayWrite(permission: Permission): boolean {
  return permission === "write" || permission === "admin";
}

export interface RepositoryFacts {
  defaultBranch: string;
  private: boolean;
  cloneUrl: string;
  archived: boolean;
  fork: boolean;
  hasIssues: boolean;
}
export interface Issue {
  number: number;
  title: string;
  body: string;
  state: "open" | "closed";
  labels: string[];
  isPull: boolean;
}
export interface OwnIssue extends Issue {
  url: string;
}
export interface LabelEvent {
  id: number;
  actor: { id: number; login: string };
  /** ISO 8601 in UTC, whole seconds. */
  at: string;
}
export interface Comment {
  id: number;
  body: string;
}
/** Whoever wrote something; a deleted account is `ghost`, without permission. */
export interface Author {
  id: number;
  /** A bot's ends in `[bot]`. */
  login: string;
  isBot: boolean;
}
/** One comment under an issue or pull request, or in a thread. Times are ISO 8601 in UTC, whole seconds. */
export interface Remark {
  id: number;
  author: Author;
  body: string;
  createdAt: string;
  editedAt: string | undefined;
  url: string;
}
/** A conversation on lines of a pull request, oldest comment first. */
export interface Thread {
  id: string;
  path: string;
  /** The last line it is on, in the newest commit; undefined when that line is gone, or it is on the whole file. */
  line: number | undefined;
  /** The first, where it is on several. */
  startLine: number | undefined;
  /** The part of the diff that ends at the line, as it was when the thread began. */
  hunk: string;
  isResolved: boolean;
  isOutdated: boolean;
  remarks: (Remark & { review: number | undefined })[];
}
/** A submitted review, without its threads. */
export interface ReviewFacts {
  id: number;
  author: Author;
  state: "approved" | "changes-requested" | "commented" | "dismissed";
  body: string;
  submittedAt: string;
  commit: string | undefined;
  url: string;
}
export interface CommitChange {
  /** The commit whose tree it changes. */
  base: string;
  /** Default: the base alone. */
  parents?: readonly string[];
  message: string;
  files: { path: string; mode: "100644" | "100755" | "120000"; bytes: Buffer }[];
  deleted: string[];
}
export interface Commit {
  message: string;
  /** The author's name as git has it: of what the app committed through the API, the app's login. */
  author: string;
  /** The same of who made the commit as it is: an amended one keeps its author. */
  committer: string;
  tree: string;
  parents: string[];
}
export interface NewPull {
  branch: string;
  base: string;
  title: string;
  body: string;
  /** Where the host has no drafts, it opens as ready for review. */
  draft: boolean;
}
export interface Pull {
  number: number;
  url: string;
  title: string;
  body: string;
  state: "open" | "closed";
  ours: boolean;
  base: string;
  head: { branch: string; commit: string };
  merged: boolean;
  /** ISO 8601 in UTC, whole seconds; so is `closedAt`, which is undefined while it is open. */
  createdAt: string;
  /** Changes with each word, review, label and commit on it, and not with checks. */
  updatedAt: string;
  closedAt: string | undefined;
}
export interface PullCommit {
  id: string;
  message: string;
  /** The account that the host knows by the author's address; undefined where it knows none. */
  author: { login: string; isBot: boolean } | undefined;
}
/** A check run or commit status, by whomever. */
export interface Check {
  name: string;
  /** The app that runs it; undefined for a commit status. */
  app: string | undefined;
  /** `neutral`: it judges nothing (skipped, cancelled). `action-required`: it waits for a person. */
  state: "pending" | "passed" | "failed" | "neutral" | "action-required";
  /** When it began or was asked for, in ISO 8601; undefined where the host does not say. */
  since: string | undefined;
  url: string | undefined;
  /** The check run's id; undefined for a commit status. */
  run: number | undefined;
}
export interface Annotation {
  path: string;
  line: number;
  title: string;
  message: string;
  level: string;
}
/** What stands beside a commit, in the host's list of checks. */
export interface CheckRun {
  /** Of several with one name people see the newest alone; default: the one of a run's evidence. */
  name?: string;
  commit: string;
  runId: string;
  conclusion: "success" | "neutral" | "failure";
  /** Where its details are. */
  url?: string;
  title: string;
  /** Markdown. */
  summary: string;
  /** Failures, each in a file, and in a line of it where that is known; at most 50. */
  annotations: { path: string; line?: number; title: string; message: string }[];
}

/** A short-lived token, good for one repository and one purpose. */
export interface Token {
  value: string;
  expires: string;
}
export type Access = "report" | "read" | "publish" | "check";

/** The code host as an app sees it: installations, tokens, and the deliveries of its own webhooks. */
export interface CodeHost {
  /** `lacks`: what it was not given of what we need, in words. */
  app(): Promise<{ id: number; slug: string; botLogin: string; url: string; lacks: string[] }>;
  /** Asks with a token that lasts as long as the process and renews itself. */
  forge(repo: RepoRef, access: Access): Forge;
  /** A body as it leaves, whoever sends it: without a secret, and no longer than the host takes. */
  clean: (body: string) => string;
  forgeWith(repo: RepoRef, token: string): Forge;
  mint(repo: RepoRef, access: Access): Promise<Token>;
  revoke(token: string): Promise<void>;
  repositories(): Promise<RepoRef[]>;
  /** Has the host deliver again what failed since `since`; returns how many. */
  redeliver(since: Date): Promise<number>;
}
