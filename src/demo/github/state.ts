/** What the embedded GitHub knows beyond git. Times are ISO 8601 in UTC. */
export interface State {
  app: App | undefined;
  accounts: Map<string, Account>;
  /** By `owner/name`. */
  repositories: Map<string, Repository>;
  /** Renamed repositories, by the names that they had. */
  moved: Map<string, Repository>;
  installations: Map<number, Installation>;
  userTokens: Map<string, Account>;
  installationTokens: Map<string, InstallationToken>;
  deliveries: Delivery[];
  /** Created apps that wait for their code to be exchanged. */
  manifestCodes: Map<string, App>;
  webhookUrl: string | undefined;
  nextId(): number;
  now(): string;
}

export interface AppFacts {
  id: number;
  slug: string;
  name: string;
  bot: Account;
  permissions: Permissions;
  events: readonly string[];
  createdAt: string;
}
export interface App extends AppFacts {
  privateKey: string;
  publicKey: string;
  webhookSecret: string;
}
export type Level = "read" | "write";
export type Permissions = Record<string, Level>;

export interface Account {
  id: number;
  login: string;
  type: "User" | "Bot" | "Organization";
}
export type Role = "admin" | "write" | "triage" | "read";

export interface Repository {
  id: number;
  owner: Account;
  name: string;
  private: boolean;
  archived: boolean;
  fork: boolean;
  hasIssues: boolean;
  defaultBranch: string;
  gitDir: string;
  roles: Map<string, Role>;
  labels: Map<string, Label>;
  /** Commits that this server signed. */
  signed: Set<string>;
  /** Oldest first, as are the statuses. */
  checkRuns: CheckRun[];
  statuses: CommitStatus[];
  /** Issues and pull requests share the numbers. */
  issues: Map<number, Issue>;
  /** Where the issues are that were moved to other repositories, by their old numbers. */
  transferred: Map<number, { repository: Repository; number: number }>;
  createdAt: string;
}
export interface CheckRun {
  id: number;
  app: AppFacts;
  suite: CheckSuite;
  commit: string;
  name: string;
  externalId: string | null;
  detailsUrl: string | null;
  status: "queued" | "in_progress" | "completed";
  conclusion: string | null;
  startedAt: string;
  completedAt: string | null;
  output: { title: string; summary: string; text: string | null };
  annotations: Annotation[];
}
/** All runs of an app on a commit. */
export interface CheckSuite {
  id: number;
  createdAt: string;
}
export interface CommitStatus {
  id: number;
  commit: string;
  state: "error" | "failure" | "pending" | "success";
  context: string;
  description: string | null;
  targetUrl: string | null;
  creator: Account;
  createdAt: string;
}
export interface Annotation {
  path: string;
  start_line: number;
  end_line: number;
  annotation_level: "notice" | "warning" | "failure";
  message: string;
  title: string | null;
}
export interface Label {
  id: number;
  name: string;
  color: string;
}
export interface Issue {
  id: number;
  number: number;
  title: string;
  body: string | null;
  state: "open" | "closed";
  locked: boolean;
  author: Account;
  labels: Label[];
  comments: Comment[];
  reactions: Reaction[];
  events: IssueEvent[];
  createdAt: string;
  updatedAt: string;
  closedAt: string | null;
  pull?: PullRequest;
}
export interface Comment {
  id: number;
  author: Account;
  body: string;
  createdAt: string;
  updatedAt: string;
  /** When a body was last replaced. */
  editedAt: string | null;
  reactions: Reaction[];
}
export interface Reaction {
  id: number;
  author: Account;
  content: "+1" | "-1" | "laugh" | "confused" | "heart" | "hooray" | "rocket" | "eyes";
  createdAt: string;
}
export interface IssueEvent {
  id: number;
  event: "labeled" | "unlabeled" | "closed" | "reopened" | "renamed";
  actor: Account;
  label?: Label;
  rename?: { from: string; to: string };
  createdAt: string;
}
export interface PullRequest {
  base: string;
  head: string;
  /** The head's commit; follows the branch while the pull request is open. */
  headCommit: string;
  draft: boolean;
  reviews: Review[];
  /** Threads, by their first comment's id. */
  resolved: Set<number>;
  merged: { by: Account; at: string; commit: string } | null;
  /** What was last worked out, for these commits of base and head. */
  mergeable: { of: string; isClean: Promise<boolean> } | undefined;
}
export interface Review {
  id: number;
  author: Account;
  state: "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED";
  body: string;
  commit: string;
  submittedAt: string;
  comments: ReviewComment[];
}
export interface ReviewComment extends Comment {
  path: string;
  /** In `commit`. */
  line: number;
  side: Side;
  /** Where it is on several lines, the first. */
  startLine: number | null;
  startSide: Side | null;
  hunk: string;
  commit: string;
  /** The thread's first comment; null for that one itself. */
  inReplyTo: number | null;
}
export type Side = "LEFT" | "RIGHT";

export interface Installation {
  id: number;
  account: Account;
  /** `owner/name` of each. */
  repositories: Set<string>;
  permissions: Permissions;
  suspendedAt: string | null;
  createdAt: string;
}
export interface InstallationToken {
  installation: Installation;
  permissions: Permissions;
  repositories: Set<string>;
  expiresAt: Date;
}

export interface Delivery {
  id: number;
  guid: string;
  event: string;
  action: string | null;
  deliveredAt: string;
  redelivery: boolean;
  /** Seconds. */
  duration: number;
  status: string;
  statusCode: number;
  installationId: number;
  /** None where it is about the installation. */
  repositoryId: number | null;
  headers: Record<string, string>;
  payload: string;
}

export function createState(): State {
  let last = 1000;
  return {
    app: undefined,
    accounts: new Map(),
    repositories: new Map(),
    moved: new Map(),
    installations: new Map(),
    userTokens: new Map(),
    installationTokens: new Map(),
    deliveries: [],
    manifestCodes: new Map(),
    webhookUrl: undefined,
    nextId: () => ++last,
    now: () => `${new Date().toISOString().slice(0, 19)}Z`,
  };
}

export function accountOf(state: State, login: string, type: Account["type"] = "User"): Account {
  const known = state.accounts.get(login);
  if (known !== undefined) return known;
  const account: Account = { id: state.nextId(), login, type };
  state.accounts.set(login, account);
  return account;
}

/** Whose address it is: the one that GitHub gives, or the one at example.com. */
export function accountAt(state: State, email: string): Account | undefined {
  return [...state.accounts.values()].find(({ id, login }) =>
    [`${id}+${login}@users.noreply.github.com`, `${login}@example.com`].includes(email),
  );
}

/** The installation that covers a repository. */
export function installationOf(state: State, repository: Repository): Installation | undefined {
  const name = fullName(repository);
  return [...state.installations.values()].find((one) => one.repositories.has(name));
}

export function fullName(repository: Repository): string {
  return `${repository.owner.login}/${repository.name}`;
}

export function labelIn(state: State, repository: Repository, name: string): Label {
  const known = repository.labels.get(name.toLowerCase());
  if (known !== undefined) return known;
  const label = { id: state.nextId(), name, color: "ededed" };
  repository.labels.set(name.toLowerCase(), label);
  return label;
}
