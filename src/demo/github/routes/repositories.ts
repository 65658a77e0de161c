import { Failure, notFound } from "../failure.ts";
import { listTree, readBlob, resolve } from "../git.ts";
import { ok } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { accountJson } from "../json/account.ts";
import { fullRepositoryJson } from "../json/repository.ts";
import { repoApi, repoPage } from "../json/site.ts";
import { isEmpty } from "../git.ts";

/** The repository itself, its files as data, and who may do what. */
export const repositoryRoutes: Route[] = [
  {
    method: "GET",
    path: "/repos/:owner/:repo",
    on: "repository",
    need: { permission: "metadata", level: "read" },
    handle: ({ repository }, { site }) => ok(fullRepositoryJson(site, repository)),
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/collaborators/:username/permission",
    on: "repository",
    need: { permission: "metadata", level: "read" },
    handle({ repository, params }, { state, site }) {
      const who = state.accounts.get(params["username"] ?? "");
      if (who === undefined) throw new Failure(404, `${params["username"]} is not a user`);
      const role = repository.roles.get(who.login) ?? (repository.private ? "none" : "read");
      // The older word knows no triage.
      const permission = role === "triage" ? "read" : role;
      return ok({ permission, role_name: role, user: { ...accountJson(site, who), role_name: role } });
    },
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/contents/:path{.+}",
    on: "repository",
    need: { permission: "contents", level: "read" },
    handle: readContent,
  },
];

async function readContent({ repository, params, query }: RepositoryCall, { site }: Context) {
  const path = params["path"] ?? "";
  const ref = query["ref"] ?? repository.defaultBranch;
  const commit = await resolve(repository.gitDir, ref);
  if (commit === undefined)
    throw (await isEmpty(repository.gitDir))
      ? new Failure(404, "This repository is empty.")
      : new Failure(404, `No commit found for the ref ${ref}`);
  const items = await listTree(repository.gitDir, `${commit}^{tree}`, true);
  const item = items.find((one) => one.path === path);
  if (item === undefined || item.type !== "blob") throw notFound();
  const escaped = encodeURI(path);
  const at = `${repoApi(site, repository)}/contents/${escaped}?ref=${ref}`;
  const page = `${repoPage(site, repository)}/blob/${ref}/${escaped}`;
  const blob = `${repoApi(site, repository)}/git/blobs/${item.sha}`;
  return ok({
    type: "file",
    encoding: "base64",
    size: item.size ?? 0,
    name: path.split("/").at(-1) ?? path,
    path,
    content: (await readBlob(repository.gitDir, item.sha)).toString("base64"),
    sha: item.sha,
    url: at,
    git_url: blob,
    html_url: page,
    download_url: `${repoPage(site, repository)}/raw/${ref}/${escaped}`,
    _links: { git: blob, self: at, html: page },
  });
}
