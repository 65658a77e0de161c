import { setTimeout } from "node:timers/promises";
import { createAppAuth } from "@octokit/auth-app";
import { throttling } from "@octokit/plugin-throttling";
import { Octokit } from "@octokit/rest";
import type { AppCredentials } from "../config.ts";
import { LimitedError, OutageError, RefusedError } from "../errors.ts";
import type { Access, CodeHost, Forge } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { createRedact } from "../redact.ts";
import type { Redact } from "../redact.ts";
import { redeliverFailed } from "./deliveries.ts";
import { createForge } from "./forge.ts";
import { cleanBody, cleanOutgoing } from "./outgoing.ts";
import { lackedBy } from "./permissions.ts";
import { explainFailure, explainLimit } from "./refusal.ts";
import { statusOf } from "./status.ts";
import { createAuthorization, mintToken } from "./tokens.ts";

export interface GitHubOptions {
  apiUrl: string;
  /** Octokit's own pacing (one write a second). Off only where the other side is ours. */
  throttle: boolean;
  /** What every text passes before it is sent; without, what looks like a token is taken out. */
  redact?: Redact;
}

const ThrottledOctokit = Octokit.plugin(throttling);
const requestLimitMs = 30_000;
/** How long a request waits out a limit before it is left to the job's own retry. */
const longestWaitMs = 120_000;

/** Until when GitHub takes no request of an installation, in milliseconds since the epoch. */
interface Pause {
  until: number;
}

/** GitHub as the app sees it. Makes no request until it is asked something. */
export function createGitHub(options: GitHubOptions, credentials: AppCredentials): CodeHost {
  const { apiUrl, redact = createRedact([]) } = options;
  const auth = { appId: credentials.id, privateKey: credentials.privateKey };
  const asApp = connect(options, { authStrategy: createAppAuth, auth });
  const app = remember(async () => {
    const { data } = await asApp.rest.apps.getAuthenticated().catch(explainAppRefusal);
    if (data === null || data.slug === undefined) throw new OutageError(`${apiUrl} did not say which app it is`);
    const { id, slug, html_url: url } = data;
    return { id, slug, botLogin: `${slug}[bot]`, url, lacks: lackedBy(data) };
  });
  const self = async () => (await app()).botLogin;
  const renewing = new Map<string, Octokit>();
  const pauses = new Map<number, Pause>();
  const pauseOf = ({ installationId }: RepoRef) => {
    const pause = pauses.get(installationId) ?? { until: 0 };
    pauses.set(installationId, pause);
    return pause;
  };

  const host: CodeHost = {
    app,
    forge(repo, access) {
      const key = `${repo.installationId} ${repo.id} ${access}`;
      const known = renewing.get(key) ?? renewingClient(options, asApp, { repo, access, pause: pauseOf(repo) });
      renewing.set(key, known);
      return createForge(known, repo, self);
    },
    clean: (body) => cleanBody(body, redact),
    forgeWith: (repo, token) =>
      createForge(confined(connect(options, { auth: token }, pauseOf(repo)), repo), repo, self),
    mint: (repo, access) => mintToken(asApp, repo, access),
    revoke: (token) => revokeToken(options, token),
    repositories: () => listRepositories(asApp, options),
    redeliver: (since) => redeliverFailed(asApp, since),
  };
  return host;
}

/** One repository with a person's token, for `agent-fix resolve`. */
export async function forgeWithToken(
  options: GitHubOptions,
  token: string,
  name: { owner: string; repo: string },
): Promise<Forge> {
  const octokit = connect(options, { auth: token });
  const self = remember(async () => (await octokit.rest.users.getAuthenticated()).data.login);
  const { data } = await octokit.rest.repos.get(name);
  return createForge(octokit, { id: data.id, owner: data.owner.login, name: data.name, installationId: 0 }, self);
}

/** What GitHub gives for a manifest's code, once. */
export async function convertManifest(
  options: GitHubOptions,
  code: string,
): Promise<AppCredentials & { slug: string; url: string }> {
  const { data } = await connect(options, {}).rest.apps.createFromManifest({ code });
  if (data.webhook_secret === null)
    throw new OutageError("GitHub gave no webhook secret for the new app. Create it again.");
  return {
    id: data.id,
    privateKey: data.pem,
    webhookSecret: data.webhook_secret,
    slug: data.slug ?? "",
    url: data.html_url,
  };
}

/** Throws LimitedError where GitHub takes no more requests for longer than is worth a wait. */
function connect(options: GitHubOptions, auth: object, pause: Pause = { until: 0 }): Octokit {
  const { apiUrl, throttle, redact = createRedact([]) } = options;
  const rest = (until: number) => {
    pause.until = Math.max(pause.until, until);
  };
  // A 5xx after a commit is not repeated here: each verb looks before it writes, so the job's own retry is safe.
  const retryWhenLimited = (retryAfter: number, _request: unknown, _octokit: unknown, count: number) => {
    rest(Date.now() + retryAfter * 1000);
    return count < 2 && retryAfter * 1000 <= longestWaitMs;
  };
  const octokit = new ThrottledOctokit({
    ...auth,
    baseUrl: apiUrl,
    userAgent: "agent-fix",
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    request: { fetch: fetchWithin },
    throttle: { enabled: throttle, onRateLimit: retryWhenLimited, onSecondaryRateLimit: retryWhenLimited },
  });
  octokit.hook.before("request", (asked) => cleanOutgoing(asked, redact));
  // One request that is refused stops the others too: GitHub bans who goes on asking.
  octokit.hook.before("request", async () => {
    const left = pause.until - Date.now();
    if (left > longestWaitMs) throw new LimitedError(new Date(pause.until));
    if (left > 0) await setTimeout(left);
  });
  const explain = (error: unknown): never => {
    const limit = explainLimit(error);
    if (limit !== undefined) rest(limit.until.getTime());
    throw limit ?? error;
  };
  octokit.hook.error("request", explain);
  octokit.hook.after("request", (response) => {
    // GraphQL answers 200 to one request too many.
    if (hasMetLimit(response.data)) explain(Object.assign(new Error("rate limit"), { status: 429, response }));
  });
  return octokit;
}

function hasMetLimit(answer: unknown): boolean {
  const { errors } = Object(answer) as { errors?: unknown };
  return Array.isArray(errors) && errors.some((one: unknown) => Object(one).type === "RATE_LIMITED");
}

/** A client for this repository alone: a redirect to another one, as of a transferred issue, leads to nothing of ours. */
function confined(octokit: Octokit, repo: RepoRef): Octokit {
  octokit.hook.error("request", (error) => {
    throw explainFailure(error, repo.owner);
  });
  octokit.hook.after("request", ({ url }) => {
    const id = /\/repositories\/(\d+)\b/.exec(url)?.[1];
    if (id === undefined || Number(id) === repo.id) return;
    throw new RefusedError("gone", `It was moved to another repository, where I was not asked: ${url}`, {
      status: 410,
    });
  });
  return octokit;
}

interface Client {
  repo: RepoRef;
  access: Access;
  pause: Pause;
}

/** One repository with one kind of access. */
function renewingClient(options: GitHubOptions, asApp: Octokit, { repo, access, pause }: Client): Octokit {
  const octokit = confined(connect(options, {}, pause), repo);
  const authorization = createAuthorization(asApp, repo, access);
  octokit.hook.wrap("request", async (request, asked) => {
    asked.headers.authorization = await authorization(false);
    try {
      return await request(asked);
    } catch (error) {
      // The token was revoked, or this machine slept longer than it lives.
      if (statusOf(error) !== 401) throw error;
      asked.headers.authorization = await authorization(true);
      return request(asked);
    }
  });
  return octokit;
}

const fetchWithin: typeof fetch = (input, init) => {
  const limit = AbortSignal.timeout(requestLimitMs);
  return fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, limit]) : limit });
};

async function revokeToken(options: GitHubOptions, token: string): Promise<void> {
  try {
    await connect(options, { auth: token }).rest.apps.revokeInstallationAccessToken();
  } catch (error) {
    // A token that GitHub does not know any more is what we wanted.
    if (statusOf(error) !== 401) throw error;
  }
}

/** What could be listed; one installation's trouble does not hide the others. Throws when none could be. */
async function listRepositories(asApp: Octokit, options: GitHubOptions): Promise<RepoRef[]> {
  const installations = await asApp.paginate(asApp.rest.apps.listInstallations, { per_page: 100 });
  const found: RepoRef[] = [];
  const failures: unknown[] = [];
  const active = installations.filter((one) => one.suspended_at === null);
  for (const { id } of active) {
    try {
      found.push(...(await listInstallation(asApp, options, id)));
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0 && failures.length === active.length) throw failures[0];
  return found;
}

async function listInstallation(asApp: Octokit, options: GitHubOptions, installationId: number): Promise<RepoRef[]> {
  const { data } = await asApp.rest.apps.createInstallationAccessToken({
    installation_id: installationId,
    permissions: { metadata: "read" },
  });
  try {
    const octokit = connect(options, { auth: data.token });
    const repositories = await octokit.paginate(octokit.rest.apps.listReposAccessibleToInstallation, { per_page: 100 });
    return repositories
      .filter((one) => !one.archived)
      .map((repo) => ({ id: repo.id, owner: repo.owner.login, name: repo.name, installationId }));
  } finally {
    // It lists names only and dies within the hour: not worth losing the list.
    await revokeToken(options, data.token).catch(() => {});
  }
}

function explainAppRefusal(error: unknown): never {
  if (statusOf(error) !== 401 && statusOf(error) !== 404) throw error;
  throw new OutageError(
    "GitHub refused the app's credentials. APP_ID and PRIVATE_KEY must be of the same app: compare both with its settings page, and check this machine's clock.",
    {
      cause: error,
    },
  );
}

function remember<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    });
    return answer;
  };
}
