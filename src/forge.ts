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

  issue(number: number): Promise<Issue>;
  /** Who set the label last, and when. */
  labelEvent(number: number, label: string): Promise<{ id: number; actor: { id: number; login: string } } | undefined>;
  labelledIssues(label: string): Promise<number[]>;
  removeLabel(number: number, label: string): Promise<void>;
  /** Our own comment that contains the marker, if any. */
  findComment(number: number, marker: string): Promise<Comment | undefined>;
  /** Creates or edits our one comment with this marker. */
  ensureComment(number: number, marker: string, body: string): Promise<Comment>;

  /** Writes blobs, one tree on the base commit's tree, and one commit without author fields. Returns both ids. */
  createCommit(change: CommitChange): Promise<{ commit: string; tree: string }>;
  commit(id: string): Promise<Commit>;
  /** Creates the branch, or moves it forward from `expected`. `conflict` when it stands elsewhere. */
  ensureBranch(branch: string, commit: string, expected: string | undefined): Promise<"done" | "conflict">;
  pullsFrom(branch: string): Promise<Pull[]>;
  ensurePull(pull: NewPull): Promise<Pull>;
  pull(number: number): Promise<Pull>;
  /** Creates or edits the run's check run on its commit. */
  ensureCheckRun(check: CheckRun): Promise<void>;
  review(pull: number, review: number): Promise<Review>;
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
}
export interface Issue {
  number: number;
  title: string;
  body: string;
  state: "open" | "closed";
  labels: string[];
  isPull: boolean;
}
export interface Comment {
  id: number;
  body: string;
}
export interface CommitChange {
  base: string;
  message: string;
  files: { path: string; mode: "100644" | "100755" | "120000"; bytes: Buffer }[];
  deleted: string[];
}
export interface Commit {
  message: string;
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
}
/** What stands beside a commit, in the host's list of checks. */
export interface CheckRun {
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
export interface Review {
  author: { id: number; login: string };
  state: string;
  body: string;
  comments: { path: string; line: number | undefined; hunk: string; body: string }[];
}

/** A short-lived token, good for one repository and one purpose. */
export interface Token {
  value: string;
  expires: string;
}
export type Access = "report" | "read" | "publish" | "check";

/** The code host as an app sees it: installations, tokens, and the deliveries of its own webhooks. */
export interface CodeHost {
  app(): Promise<{ id: number; slug: string; botLogin: string; url: string }>;
  /** Asks with a token that lasts as long as the process and renews itself. */
  forge(repo: RepoRef, access: Access): Forge;
  forgeWith(repo: RepoRef, token: string): Forge;
  mint(repo: RepoRef, access: Access): Promise<Token>;
  revoke(token: string): Promise<void>;
  repositories(): Promise<RepoRef[]>;
  /** Has the host deliver again what failed since `since`; returns how many. */
  redeliver(since: Date): Promise<number>;
}
