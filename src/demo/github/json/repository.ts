import { repositoryLinks } from "./links.ts";
import { fullName } from "../state.ts";
import type { Label, Repository } from "../state.ts";
import { accountJson } from "./account.ts";
import { nodeId, repoApi, repoPage } from "./site.ts";
import type { Site } from "./site.ts";

export function repositoryJson(site: Site, repo: Repository) {
  const open = [...repo.issues.values()].filter((issue) => issue.state === "open").length;
  return {
    id: repo.id,
    node_id: nodeId("Repository", repo.id),
    name: repo.name,
    full_name: fullName(repo),
    private: repo.private,
    owner: accountJson(site, repo.owner),
    description: null,
    fork: repo.fork,
    ...repositoryLinks({
      api: repoApi(site, repo),
      page: repoPage(site, repo),
      ssh: `git@${new URL(site.url).hostname}:${fullName(repo)}.git`,
    }),
    created_at: repo.createdAt,
    updated_at: repo.createdAt,
    pushed_at: repo.createdAt,
    homepage: null,
    size: 0,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: repo.hasIssues,
    has_projects: false,
    has_downloads: true,
    has_wiki: false,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: repo.archived,
    disabled: false,
    open_issues_count: open,
    license: null,
    forks: 0,
    open_issues: open,
    watchers: 0,
    default_branch: repo.defaultBranch,
    is_template: false,
    allow_forking: true,
    web_commit_signoff_required: false,
    topics: [],
    visibility: repo.private ? "private" : "public",
    custom_properties: {},
  };
}

export function fullRepositoryJson(site: Site, repo: Repository) {
  return { ...repositoryJson(site, repo), network_count: 0, subscribers_count: 0 };
}

export function labelJson(site: Site, repo: Repository, { id, name, color }: Label) {
  const at = `${repoApi(site, repo)}/labels/${encodeURIComponent(name)}`;
  return { id, node_id: nodeId("Label", id), url: at, name, color, default: false, description: "" };
}
