import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { tokenFor } from "./auth.ts";
import { createApi } from "./api.ts";
import { createFaults } from "./faults.ts";
import type { Faults, FaultyWire } from "./faults.ts";
import type { Context } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { Failure, notFound } from "./failure.ts";
import { createGraphql } from "./graphql/endpoint.ts";
import { branchCommit, createBare, zero } from "./git.ts";
import { endReaders } from "./git-reader.ts";
import { install } from "./installations.ts";
import { registerApp } from "./manifest.ts";
import { createOtherApps } from "./other-apps.ts";
import type { OtherApps } from "./other-apps.ts";
import { createOwners } from "./owners.ts";
import type { Owners } from "./owners.ts";
import { createPages } from "./pages.ts";
import { afterPush } from "./pushes.ts";
import { commitFiles, commitFolder } from "./seed.ts";
import type { Files, SeedCommit } from "./seed.ts";
import { serveGit } from "./smart-http.ts";
import { accountOf, createState, fullName } from "./state.ts";
import type { App, Level, Repository, Role, State } from "./state.ts";
import { createWebhooks } from "./webhooks.ts";

export interface GitHubOptions {
  /** A folder of the server's own, for the bare repositories. */
  dataDir: string;
  /** An app that exists from the start; without it one is created from a manifest, in the browser. */
  app?: { id: number; slug: string; webhookSecret: string } & Partial<
    Pick<App, "permissions" | "events" | "privateKey">
  >;
  port?: number;
  tokenTtlMs?: number;
  /** How long a webhook's answer is waited for: GitHub's ten seconds, where nothing else is said. */
  deliveryLimitMs?: number;
  /** Sees every REST call with its answer, and every payload that is sent. */
  onExchange?: (exchange: Exchange) => void;
  onDelivery?: (sent: { event: string; payload: unknown }) => void;
}

export interface NewRepository {
  owner: string;
  name: string;
  private?: boolean;
  fork?: boolean;
  defaultBranch?: string;
  /** The first commit: files by path, or a folder's; neither: the repository is empty. */
  files?: Files;
  fromDir?: string;
}

/** A small real GitHub Enterprise Server over bare repositories, on loopback. */
export interface EmbeddedGitHub extends AsyncDisposable {
  url: string;
  apiUrl: string;
  state: State;
  /** The app that exists now; throws before one was created. */
  readonly app: App;
  /** A person's token; the person is made where there is none. */
  addUser(login: string): string;
  /** Owned by a person, who is its admin. */
  addRepository(wanted: NewRepository): Promise<Repository>;
  setRole(repository: string, login: string, role: Role): void;
  /** Puts the app on repositories (`owner/name`) of one owner, with the app's permissions; it is told of those that are new. */
  install(on: { repositories: string[] }): void;
  /** A commit on a branch, as a person's push makes it. Returns its SHA. */
  push(repository: string, files: Files, commit: SeedCommit): Promise<string>;
  setWebhookUrl(url: string): void;
  faults: Faults;
  owners: Owners;
  otherApps: OtherApps;
}

const hour = 3_600_000;
const tenSeconds = 10_000;
const defaultApp = {
  permissions: {
    metadata: "read",
    checks: "write",
    contents: "write",
    issues: "write",
    pull_requests: "write",
    statuses: "read",
  } satisfies Record<string, Level>,
  events: [
    "check_run",
    "check_suite",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "push",
    "status",
  ],
};

export async function startGitHub(options: GitHubOptions): Promise<EmbeddedGitHub> {
  const { dataDir, onExchange = () => {}, onDelivery = () => {} } = options;
  const { tokenTtlMs = hour, deliveryLimitMs = tenSeconds } = options;
  await mkdir(dataDir, { recursive: true });
  const state = createState();
  const site = { url: "", api: "" };
  const webhooks = createWebhooks(state, site, { onDelivery, limitMs: deliveryLimitMs });
  const context: Context = { state, site, webhooks, tokenTtlMs };
  if (options.app !== undefined) registerApp(state, { ...defaultApp, name: options.app.slug, ...options.app });
  const faults = createFaults(state);
  const server = await listen(createServer(context, faults, onExchange), options.port ?? 0);
  Object.assign(site, { url: server.url, api: `${server.url}/api/v3` });

  return {
    url: site.url,
    apiUrl: site.api,
    state,
    faults,
    owners: createOwners(context),
    otherApps: createOtherApps(context),
    get app() {
      if (state.app === undefined) throw new Error("no GitHub App has been created yet");
      return state.app;
    },
    addUser: (login) => tokenFor(state, accountOf(state, login)),
    addRepository: (wanted) => addRepository(state, dataDir, wanted),
    setRole: (name, login, role) => {
      repositoryOf(state, name).roles.set(accountOf(state, login).login, role);
    },
    install: ({ repositories }) => install(context, repositories),
    async push(name, files, commit) {
      const repository = repositoryOf(state, name);
      const before = (await branchCommit(repository.gitDir, commit.branch)) ?? zero;
      const after = await commitFiles(repository.gitDir, files, commit);
      const moves = [{ ref: `refs/heads/${commit.branch}`, before, after }];
      await afterPush(context, repository, { sender: accountOf(state, commit.author), moves });
      return after;
    },
    setWebhookUrl(url) {
      state.webhookUrl = url;
    },
    async [Symbol.asyncDispose]() {
      await webhooks[Symbol.asyncDispose]();
      await server.close();
      endReaders(join(dataDir, "repositories"));
    },
  };
}

function createServer(context: Context, faults: FaultyWire, onExchange: (exchange: Exchange) => void): Hono {
  const app = new Hono();
  for (const path of ["/api/v3/repositories/:id", "/api/v3/repositories/:id/:rest{.+}"])
    app.all(path, (http) => app.fetch(byName(http.req.raw, http.req.param("id"), context)));
  app.route("/api/v3", createApi(context, faults, onExchange));
  app.route("/api/graphql", createGraphql(context, faults, onExchange));
  for (const service of ["info/refs", "git-upload-pack", "git-receive-pack"])
    app.all(`/:owner/:file{.+\\.git}/${service}`, (http) => {
      const { owner, file } = http.req.param();
      return serveGit(http.req.raw, { owner, name: file.replace(/\.git$/, ""), service }, context);
    });
  app.route("/", createPages(context));
  app.onError((error, http) => {
    if (error instanceof Failure) return http.text(error.message, error.status);
    throw error;
  });
  return app;
}

/** The same call on the repository's present name. */
function byName(request: Request, id: string | undefined, { state }: Context): Request {
  const repository = [...state.repositories.values()].find((one) => one.id === Number(id));
  if (repository === undefined) throw notFound();
  const { method, headers, body, url } = request;
  const address = url.replace(`/repositories/${id}`, `/repos/${fullName(repository)}`);
  return new Request(address, { method, headers, ...(body === null ? {} : { body, duplex: "half" }) });
}

async function listen(app: Hono, port: number): Promise<{ url: string; close(): Promise<void> }> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, (info) => resolve(info.port));
  server.on("error", reject);
  return {
    url: `http://127.0.0.1:${await promise}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}

async function addRepository(state: State, dataDir: string, wanted: NewRepository): Promise<Repository> {
  const owner = accountOf(state, wanted.owner);
  const { name, defaultBranch = "main", private: isPrivate = false } = wanted;
  const gitDir = join(dataDir, "repositories", owner.login, `${name}.git`);
  await createBare(gitDir, defaultBranch);
  const first = { branch: defaultBranch, message: "Add the project", author: owner.login };
  if (wanted.fromDir !== undefined) await commitFolder(gitDir, wanted.fromDir, first);
  if (wanted.files !== undefined) await commitFiles(gitDir, wanted.files, first);
  const repository: Repository = {
    id: state.nextId(),
    owner,
    name,
    private: isPrivate,
    archived: false,
    fork: wanted.fork ?? false,
    hasIssues: true,
    defaultBranch,
    gitDir,
    roles: new Map([[owner.login, "admin"]]),
    labels: new Map(),
    signed: new Set(),
    checkRuns: [],
    statuses: [],
    issues: new Map(),
    transferred: new Map(),
    createdAt: state.now(),
  };
  state.repositories.set(fullName(repository), repository);
  state.moved.delete(fullName(repository));
  return repository;
}

function repositoryOf(state: State, name: string): Repository {
  const repository = state.repositories.get(name);
  if (repository === undefined) throw notFound();
  return repository;
}
