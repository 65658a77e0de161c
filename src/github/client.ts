import { createAppAuth } from "@octokit/auth-app";
import { throttling } from "@octokit/plugin-throttling";
import { Octokit } from "@octokit/rest";
import type { AppCredentials } from "../config.ts";
import { OutageError } from "../errors.ts";
import type { Access, CodeHost, Forge, Token } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { redeliverFailed } from "./deliveries.ts";
import { createForge } from "./forge.ts";
import { accessPermissions } from "./permissions.ts";
import { statusOf } from "./status.ts";

export interface GitHubOptions {
  apiUrl: string;
  /** Octokit's own pacing (one write a second). Off only where the other side is ours. */
  throttle: boolean;
}

const ThrottledOctokit = Octokit.plugin(throttling);
const requestLimitMs = 30_000;

/** GitHub as the app sees it. Makes no request until it is asked something. */
export function createGitHub(options: GitHubOptions, credentials: AppCredentials): CodeHost {
  const { apiUrl } = options;
  const auth = { appId: credentials.id, privateKey: credentials.privateKey };
  const asApp = connect(options, { authStrategy: createAppAuth, auth });
  const app = remember(async () => {
    const { data } = await asApp.rest.apps.getAuthenticated().catch(explainAppRefusal);
    if (data === null || data.slug === undefined) throw new OutageError(`${apiUrl} did not say which app it is`);
    return { id: data.id, slug: data.slug, botLogin: `${data.slug}[bot]`, url: data.html_url };
  });
  const self = async () => (await app()).botLogin;
  const renewing = new Map<string, Octokit>();

  const host: CodeHost = {
    app,
    forge(repo, access) {
      const key = `${repo.installationId} ${repo.id} ${access}`;
      const known = renewing.get(key) ?? connectTo(options, asApp, repo, access);
      renewing.set(key, known);
      return createForge(known, repo, self);
    },
    forgeWith: (repo, token) => createForge(connect(options, { auth: token }), repo, self),
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

function connect({ apiUrl, throttle }: GitHubOptions, auth: object): Octokit {
  // A 5xx after a commit is not repeated here: each verb looks before it writes, so the job's own retry is safe.
  const retryWhenLimited = (retryAfter: number, _request: unknown, _octokit: unknown, count: number) =>
    count < 2 && retryAfter <= 120;
  return new ThrottledOctokit({
    ...auth,
    baseUrl: apiUrl,
    userAgent: "agent-fix",
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    request: { fetch: fetchWithin },
    throttle: { enabled: throttle, onRateLimit: retryWhenLimited, onSecondaryRateLimit: retryWhenLimited },
  });
}

/**
 * One repository with one kind of access. The strategy asks for a token of everything that the installation may do,
 * whatever permissions it is given; so the token is asked for here, and the strategy keeps and renews it.
 */
function connectTo(options: GitHubOptions, asApp: Octokit, repo: RepoRef, access: Access): Octokit {
  const octokit = connect(options, {});
  const { installationId } = repo;
  const wanted = {
    type: "installation",
    installationId,
    repositoryIds: [repo.id],
    permissions: accessPermissions[access],
  };
  octokit.hook.before("request", async (request) => {
    const { token } = (await asApp.auth(wanted)) as { token: string };
    request.headers.authorization = `token ${token}`;
  });
  return octokit;
}

const fetchWithin: typeof fetch = (input, init) => {
  const limit = AbortSignal.timeout(requestLimitMs);
  return fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, limit]) : limit });
};

async function mintToken(asApp: Octokit, repo: RepoRef, access: Access): Promise<Token> {
  const { data } = await asApp.rest.apps.createInstallationAccessToken({
    installation_id: repo.installationId,
    repository_ids: [repo.id],
    permissions: accessPermissions[access],
  });
  return { value: data.token, expires: data.expires_at };
}

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
