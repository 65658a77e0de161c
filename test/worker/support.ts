import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { createEngine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import { startEmbeddedRedis } from "../../src/cli/embedded-redis.ts";
import { OutageError } from "../../src/errors.ts";
import type { Point, ThreadPlace } from "../../src/feedback.ts";
import type {
  Author,
  CheckRun,
  CodeHost,
  Comment,
  CommitChange,
  Forge,
  Pull,
  Remark,
  ReviewFacts,
  Thread,
} from "../../src/forge.ts";
import { createInbox } from "../../src/inbox.ts";
import type { RepoRef, RunJob } from "../../src/job.ts";
import { connectRedis } from "../../src/queue.ts";
import { createRedact } from "../../src/redact.ts";
import { openRunLog } from "../../src/runlog.ts";
import type { CheckSummary, Submission } from "../../src/runlog.ts";
import type { Passed } from "../../worker/attempt.ts";
import { createMirrors } from "../../worker/checkout.ts";
import { compare } from "../../worker/compare.ts";
import type { WorkerDeps } from "../../worker/run.ts";
import type { Verdict } from "../../worker/verdict.ts";
import { testRepository } from "../sandbox/support.ts";

const repo: RepoRef = { id: 7, owner: "o", name: "r", installationId: 1 };
export const job: RunJob = {
  runId: "run-1",
  repo,
  subject: { kind: "issue", number: 7 },
  actor: { id: 3, login: "ada" },
  trigger: "label-1",
};
export const submission: Submission = { title: "Mend it", cause: "It was broken.", change: "- Mended it" };
const silent = pino({ level: "silent" });
export const never = new AbortController().signal;

export function checkOf(run: string, passed: boolean, more: Partial<CheckSummary> = {}): CheckSummary {
  return { name: run, run, required: true, passed, end: passed ? "passed" : "exit code 1", ms: 1, tail: "", ...more };
}

export function person(login: string): Author {
  return { id: 3, login, isBot: false };
}

/** What ada wants answered: in a thread where a place is given. */
export function pointOf(id: string, body: string, place?: Partial<ThreadPlace>): Point {
  const thread = { id: `node-${id}`, first: 11, path: "a.js", line: 1, startLine: undefined, hunk: "@@ -1 +1 @@" };
  return {
    id,
    url: `http://host/o/r/pull/9#${id}`,
    ...(place !== undefined && { thread: { ...thread, isOutdated: false, ...place } }),
    texts: [{ by: person("ada"), body, isNew: true, comment: 11, at: "2026-01-01T00:00:00Z" }],
  };
}

/** What the gate says of a change whose own test fails without it. */
export function verdictOn(base: CheckSummary[], head: CheckSummary[], more: Partial<Verdict> = {}): Verdict {
  const ran = (checks: CheckSummary[]) => checks.map((check) => ({ check, tests: undefined }));
  const size = { source: { added: 1, removed: 1 }, test: { added: 1, removed: 0 }, question: undefined };
  return {
    decision: "ready",
    reason: "every required check passes",
    rows: compare(ran(base), ran(head), { flaky: [], isRemoved: () => false }),
    bite: { kind: "bites", failing: ["mends it"], of: 1 },
    findings: [],
    size,
    claim: "with-tests",
    ...more,
  };
}

/** A change that passed, by default one with a test that mends `npm test`. */
export function passedWith(more: Partial<Passed> = {}): Passed {
  const checks = { base: [checkOf("npm test", false)], head: [checkOf("npm test", true)], ...more.checks };
  const verdict = verdictOn(checks.base, checks.head);
  return { commit: "c".repeat(40), tree: "d".repeat(40), submission, verdict, ...more, checks };
}

export function dataFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "agent-fix-data-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A code host of one repository in this process: a real bare repository, and lists of pull requests and comments. */
export interface LocalHost extends Disposable {
  forge: Forge;
  /** The repository of the host, and the commits of its `main` branch. */
  mirror: string;
  folder: string;
  commits: string[];
  pulls: Pull[];
  comments: Map<string, Comment>;
  /** What people said on every pull request. */
  said: { threads: Thread[]; reviews: ReviewFacts[]; remarks: Remark[] };
  checkRuns: CheckRun[];
  /** What was written, in order, such as "branch agent-fix/issue-7". */
  writes: string[];
  git(...args: string[]): string;
}

/** An open pull request of ours, but for its number and head. */
export const ourPull = {
  url: "",
  title: "t",
  body: "",
  state: "open",
  ours: true,
  base: "main",
  merged: false,
  createdAt: "2026-01-01T00:00:00Z",
  updatedAt: "2026-01-01T00:00:00Z",
  closedAt: undefined,
} as const;

export function createLocalHost(...sets: Record<string, string | undefined>[]): LocalHost {
  const source = testRepository(...sets);
  const { mirror } = source;
  const pulls: Pull[] = [];
  const comments = new Map<string, Comment>();
  const said: LocalHost["said"] = { threads: [], reviews: [], remarks: [] };
  const writes: string[] = [];
  const checkRuns: CheckRun[] = [];
  const git = (...args: string[]) => run(mirror, args);
  const head = (branch: string) => git("for-each-ref", "--format=%(objectname)", `refs/heads/${branch}`) || undefined;

  const forge: Forge = {
    repo,
    repository: async () => ({
      defaultBranch: "main",
      private: true,
      cloneUrl: `file://${mirror}`,
      archived: false,
      fork: false,
      hasIssues: true,
    }),
    permission: async () => "write",
    readFile: async (path, ref = "HEAD") => git("show", `${ref}:${path}`),
    branchHead: async (branch) => head(branch),
    branchesFrom: async (prefix) =>
      git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
        .split("\n")
        .filter((name) => name.startsWith(prefix)),
    issue: async (number) => ({
      number,
      title: "It breaks",
      body: "It does.",
      state: "open",
      labels: ["agent-fix"],
      isPull: false,
    }),
    labelEvent: async () => undefined,
    renamedSince: async () => false,
    labelledIssues: async () => [],
    removeLabel: async () => {},
    ownIssue: async () => undefined,
    ensureIssue: async () => undefined,
    closeIssue: async () => {},
    findComment: async (number, marker) => comments.get(`${number} ${marker}`),
    async editComment(id, body) {
      const found = [...comments].find(([, comment]) => comment.id === id);
      if (found === undefined) return false;
      comments.set(found[0], { id, body });
      writes.push(`comment ${found[0].split(" ")[0] ?? ""}`);
      return true;
    },
    async ensureComment(number, marker, body) {
      const comment = { id: comments.get(`${number} ${marker}`)?.id ?? comments.size + 1, body };
      comments.set(`${number} ${marker}`, comment);
      writes.push(`comment ${number}`);
      return comment;
    },
    async createCommit(change) {
      const tree = writeTree(mirror, change);
      const parents = (change.parents ?? [change.base]).flatMap((parent) => ["-p", parent]);
      const commit = run(mirror, ["commit-tree", tree, ...parents, "-F", "-"], { input: change.message });
      writes.push("commit");
      return { commit, tree };
    },
    async commit(commit) {
      const [tree = "", parents = "", author = "", committer = "", ...message] = git(
        "log",
        "-1",
        "--format=%T%n%P%n%an%n%cn%n%B",
        commit,
      ).split("\n");
      return { tree, parents: parents.split(" ").filter(Boolean), author, committer, message: message.join("\n") };
    },
    async ensureBranch(branch, commit, expected) {
      const now = head(branch);
      if (now === commit) return "done";
      if (now !== expected) return "conflict";
      git("update-ref", `refs/heads/${branch}`, commit, now ?? "0".repeat(40));
      writes.push(`branch ${branch}`);
      return "done";
    },
    ensureBranchGone: async () => "done",
    pullsFrom: async (branch) => pulls.filter((pull) => pull.head.branch === branch).toReversed(),
    openPulls: async () => pulls.filter(({ state }) => state === "open"),
    async ensurePull(wanted) {
      const open = pulls.find((pull) => pull.head.branch === wanted.branch && pull.state === "open");
      if (open !== undefined) return open;
      const commit = head(wanted.branch);
      if (commit === undefined) throw new Error(`422: no branch ${wanted.branch}`);
      const number = 100 + pulls.length;
      const { title, body, base, branch } = wanted;
      const about = { number, url: `http://host/o/r/pull/${number}`, title, body, base };
      const pull: Pull = { ...ourPull, ...about, head: { branch, commit } };
      pulls.push(pull);
      writes.push(`pull ${branch}`);
      return pull;
    },
    pull: async (number) => {
      const found = pulls.find((pull) => pull.number === number);
      if (found === undefined) throw new Error(`404: no pull request ${number}`);
      return found;
    },
    editPull: async () => {},
    pullCommits: async () => [],
    ensureCheckRun: async (check) => void checkRuns.push(check),
    threads: async () => said.threads,
    reviews: async () => said.reviews,
    remarks: async () => said.remarks,
    ensureReply: async (_pull, comment, _mark, body) => void writes.push(`reply to ${comment}: ${body}`),
    resolveThread: async (id) => void writes.push(`resolve ${id}`),
    react: async ({ kind, id }) => void writes.push(`eyes on ${kind} ${id}`),
    checksOn: async () => [],
    annotations: async () => [],
    mergeability: async () => ({ state: "clean", merged: false }),
  };
  return {
    ...source,
    forge,
    pulls,
    comments,
    said,
    checkRuns,
    writes,
    git,
    [Symbol.dispose]: () => source[Symbol.dispose](),
  };
}

/** The verb does what it is told, and this once, counted from 1, fails all the same. */
export function loseAnswer(forge: Forge, verb: "createCommit" | "ensureBranch", at = 1): void {
  let calls = 0;
  const before = { ...forge };
  const lose = async <T>(doing: Promise<T>): Promise<T> => {
    const done = await doing;
    if (++calls === at) throw new OutageError("502");
    return done;
  };
  if (verb === "createCommit") forge.createCommit = (change) => lose(before.createCommit(change));
  else forge.ensureBranch = (...to) => lose(before.ensureBranch(...to));
}

/** The app's view of a local host: `tokens` holds those that are good, `unrevokable` those whose revocation fails. */
export interface LocalApp extends CodeHost {
  tokens: Set<string>;
  revoked: string[];
  unrevokable: Set<string>;
}

export function createLocalApp(forge: Forge): LocalApp {
  const tokens = new Set<string>();
  const revoked: string[] = [];
  const unrevokable = new Set<string>();
  return {
    tokens,
    revoked,
    unrevokable,
    app: async () => ({
      id: 1,
      slug: "agent-fix",
      botLogin: "agent-fix[bot]",
      url: "http://host/apps/agent-fix",
      lacks: [],
    }),
    forge: () => forge,
    clean: (body) => body,
    forgeWith: () => forge,
    async mint(_repo, access) {
      const value = `token-${access}-${tokens.size + revoked.length}`;
      tokens.add(value);
      return { value, expires: "2030-01-01T00:00:00Z" };
    },
    async revoke(token) {
      if (unrevokable.has(token)) throw new Error("502");
      tokens.delete(token);
      revoked.push(token);
    },
    repositories: async () => [forge.repo],
    redeliver: async () => 0,
  };
}

function writeTree(mirror: string, { base, files, deleted }: CommitChange): string {
  const env = {
    GIT_DIR: mirror,
    GIT_WORK_TREE: mirror,
    GIT_INDEX_FILE: join(mirror, `index-${process.hrtime.bigint()}`),
  };
  run(mirror, ["read-tree", base], { env });
  for (const path of deleted) run(mirror, ["update-index", "--force-remove", path], { env });
  for (const { path, mode, bytes } of files) {
    const blob = run(mirror, ["hash-object", "-w", "--no-filters", "--stdin"], { env, input: bytes });
    run(mirror, ["update-index", "--add", "--replace", "--cacheinfo", `${mode},${blob},${path}`], { env });
  }
  return run(mirror, ["write-tree"], { env });
}

function run(
  cwd: string,
  args: string[],
  more: { input?: string | Buffer; env?: Record<string, string> } = {},
): string {
  const who = ["-c", "user.name=host", "-c", "user.email=host@example.com"];
  const env = { PATH: process.env["PATH"], HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1", ...more.env };
  const out = execFileSync("git", [...who, ...args], { cwd, encoding: "utf8", env, input: more.input ?? "" });
  return out.trim();
}

/** What a worker has around a run, on a real Redis; the engine is at an address where none is. */
export async function createLocalDeps(forge: Forge): Promise<LocalDeps> {
  const data = dataFolder();
  const server = await startEmbeddedRedis(data.path);
  const redis = connectRedis(server.url, "worker");
  const host = createLocalApp(forge);
  const live = new Set<string>();
  const engine = createEngine({ instance: "none", image: "none", socketPath: `${data.path}/none.sock` });
  return {
    host,
    live,
    redis,
    redisUrl: server.url,
    inbox: createInbox(redis),
    log: silent,
    openLog: (runId) => openRunLog(data.path, runId),
    tellPlaces: async () => {},
    lookAfter: async () => {},
    hear: async () => {},
    isLive: async (runId) => live.has(runId),
    reportEveryMs: 0,
    pollMs: 20,
    engine,
    kept: createKeptTrees(engine, `${data.path}/kept`),
    model: { reply: unused, describe: unused },
    mirrors: createMirrors(data.path),
    dataDir: data.path,
    image: "none",
    egress: { trustedHosts: [] },
    gitEnv: {},
    redact: createRedact([]),
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await server[Symbol.asyncDispose]();
      data[Symbol.dispose]();
    },
  };
}

export interface LocalDeps extends WorkerDeps, AsyncDisposable {
  host: LocalApp;
  /** Runs that the queue still holds. */
  live: Set<string>;
  redisUrl: string;
}

function unused(): never {
  throw new Error("no model is asked here");
}
