import type { Context } from "./context.ts";
import { notFound } from "./failure.ts";
import { accountJson } from "./json/account.ts";
import { installationJson } from "./json/app.ts";
import { nodeId } from "./json/site.ts";
import { fullName } from "./state.ts";
import type { Account, App, Installation, Repository, State } from "./state.ts";

/** Puts the app on repositories (`owner/name`) of one owner, with the app's permissions, and tells it what is new. */
export function install({ state, site, webhooks }: Context, names: readonly string[]): void {
  const { app } = state;
  if (app === undefined) throw new Error("no GitHub App has been created yet");
  const repositories = names.map((name) => state.repositories.get(name) ?? fail());
  const [{ owner: account } = fail()] = repositories;
  const known = [...state.installations.values()].find((one) => one.account === account);
  const installation = known ?? newInstallation(state, app, account);
  const added = repositories.filter((one) => !installation.repositories.has(fullName(one)));
  for (const one of added) installation.repositories.add(fullName(one));
  const shown = added.map(repositoryName);
  const about = { installation: installationJson(site, installation, app), sender: accountJson(site, account) };
  const more = { repository_selection: "selected", repositories_added: shown, repositories_removed: [] };
  if (known === undefined)
    webhooks.emitTo(installation, {
      event: "installation",
      payload: { action: "created", ...about, repositories: shown },
    });
  else if (added.length > 0)
    webhooks.emitTo(installation, {
      event: "installation_repositories",
      payload: { action: "added", ...about, ...more, requester: null },
    });
}

function newInstallation(state: State, { permissions }: App, account: Account): Installation {
  const installation: Installation = {
    id: state.nextId(),
    account,
    repositories: new Set(),
    permissions,
    suspendedAt: null,
    createdAt: state.now(),
  };
  state.installations.set(installation.id, installation);
  return installation;
}

function repositoryName(repository: Repository) {
  const { id, name, private: isPrivate } = repository;
  return { id, node_id: nodeId("Repository", id), name, full_name: fullName(repository), private: isPrivate };
}

function fail(): never {
  throw notFound();
}
