import { fullName } from "../state.ts";
import type { Account, Repository } from "../state.ts";

/** Where the server is reached: its pages, and its API under `/api/v3`. */
export interface Site {
  url: string;
  api: string;
}

export function repoApi(site: Site, repository: Repository): string {
  return `${site.api}/repos/${fullName(repository)}`;
}

export function repoPage(site: Site, repository: Repository): string {
  return `${site.url}/${fullName(repository)}`;
}

export function nodeId(kind: string, id: number | string): string {
  return Buffer.from(`${kind}:${id}`).toString("base64url");
}

export function association(repository: Repository, who: Account): string {
  if (repository.owner.id === who.id) return "OWNER";
  return repository.roles.has(who.login) ? "COLLABORATOR" : "NONE";
}
