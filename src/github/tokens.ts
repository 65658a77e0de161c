import type { Octokit } from "@octokit/rest";
import type { Access, Token } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { accessPermissions, lackedFor, withoutLacked } from "./permissions.ts";
import { explainMint } from "./refusal.ts";
import { statusOf } from "./status.ts";

/** After so long an owner may have accepted what was lacking. */
const spareMs = 3600_000;

/**
 * The header of one repository with one kind of access. The strategy asks for a token of everything that the installation
 * may do, whatever permissions it is given; so the token is asked for here, and the strategy keeps and renews it.
 */
export function createAuthorization(
  asApp: Octokit,
  repo: RepoRef,
  access: Access,
): (refresh: boolean) => Promise<string> {
  const wanted = { type: "installation", installationId: repo.installationId, repositoryIds: [repo.id] };
  let permissions: Record<string, string> = accessPermissions[access];
  /** From when on all of them are asked for again; in milliseconds since the epoch. */
  let allAgainAt = 0;
  const ask = async (refresh: boolean) => {
    const { token } = (await asApp.auth({ ...wanted, permissions, refresh })) as { token: string };
    return `token ${token}`;
  };
  return async (refresh) => {
    if (Date.now() > allAgainAt) permissions = accessPermissions[access];
    try {
      return await ask(refresh);
    } catch (error) {
      const explained = mintRefusal(asApp, repo, access);
      const left = statusOf(error) === 422 ? withoutLacked(access, await lackedOf(asApp, repo, access)) : undefined;
      if (left === undefined) return explained(error);
      permissions = left;
      allAgainAt = Date.now() + spareMs;
      return ask(refresh).catch(explained);
    }
  };
}

/** One that lives for an hour, unless it is revoked before. */
export async function mintToken(asApp: Octokit, repo: RepoRef, access: Access): Promise<Token> {
  const minting = asApp.rest.apps.createInstallationAccessToken({
    installation_id: repo.installationId,
    repository_ids: [repo.id],
    permissions: accessPermissions[access],
  });
  const { data } = await minting.catch(mintRefusal(asApp, repo, access));
  return { value: data.token, expires: data.expires_at };
}

/** Throws why no token was given, with what the installation lacks. */
function mintRefusal(asApp: Octokit, repo: RepoRef, access: Access): (error: unknown) => Promise<never> {
  const lacks = async () => (await lackedOf(asApp, repo, access)).map(([name, level]) => `${name}: ${level}`);
  return async (error) => {
    throw await explainMint(error, repo.owner, lacks);
  };
}

async function lackedOf(asApp: Octokit, repo: RepoRef, access: Access): Promise<[string, string][]> {
  const { data } = await asApp.rest.apps.getInstallation({ installation_id: repo.installationId });
  return lackedFor(access, data.permissions);
}
