import type { Comment, Issue, IssueEvent, Repository } from "../state.ts";
import { accountJson } from "./account.ts";
import { reactionsJson } from "./reaction.ts";
import { labelJson } from "./repository.ts";
import { association, nodeId, repoApi, repoPage } from "./site.ts";
import type { Site } from "./site.ts";

export function issueJson(site: Site, repo: Repository, one: Issue) {
  const at = `${repoApi(site, repo)}/issues/${one.number}`;
  const page = `${repoPage(site, repo)}/${one.pull === undefined ? "issues" : "pull"}/${one.number}`;
  const pullAt = `${repoApi(site, repo)}/pulls/${one.number}`;
  const pull = { url: pullAt, html_url: page, diff_url: `${page}.diff`, patch_url: `${page}.patch` };
  return {
    url: at,
    repository_url: repoApi(site, repo),
    labels_url: `${at}/labels{/name}`,
    comments_url: `${at}/comments`,
    events_url: `${at}/events`,
    html_url: page,
    id: one.id,
    node_id: nodeId("Issue", one.id),
    number: one.number,
    title: one.title,
    user: accountJson(site, one.author),
    labels: one.labels.map((item) => labelJson(site, repo, item)),
    state: one.state,
    locked: one.locked,
    assignee: null,
    assignees: [],
    milestone: null,
    comments: one.comments.length,
    created_at: one.createdAt,
    updated_at: one.updatedAt,
    closed_at: one.closedAt,
    author_association: association(repo, one.author),
    active_lock_reason: null,
    body: one.body,
    reactions: reactionsJson(at, one.reactions),
    timeline_url: `${at}/timeline`,
    performed_via_github_app: null,
    state_reason: one.state === "closed" ? "completed" : null,
    ...(one.pull === undefined
      ? {}
      : { pull_request: { ...pull, merged_at: one.pull.merged?.at ?? null }, draft: one.pull.draft }),
  };
}

export function commentJson(
  site: Site,
  repo: Repository,
  on: Issue,
  { id, author, body, createdAt, updatedAt, reactions }: Comment,
) {
  const at = `${repoApi(site, repo)}/issues/comments/${id}`;
  const page = `${repoPage(site, repo)}/${on.pull === undefined ? "issues" : "pull"}/${on.number}`;
  return {
    url: at,
    html_url: `${page}#issuecomment-${id}`,
    issue_url: `${repoApi(site, repo)}/issues/${on.number}`,
    id,
    node_id: nodeId("IssueComment", id),
    user: accountJson(site, author),
    created_at: createdAt,
    updated_at: updatedAt,
    author_association: association(repo, author),
    body,
    reactions: reactionsJson(at, reactions),
    performed_via_github_app: null,
  };
}

export function issueEventJson(
  site: Site,
  repo: Repository,
  { id, event, actor, label: given, rename, createdAt }: IssueEvent,
) {
  return {
    id,
    node_id: nodeId("IssueEvent", id),
    url: `${repoApi(site, repo)}/issues/events/${id}`,
    actor: accountJson(site, actor),
    event,
    commit_id: null,
    commit_url: null,
    created_at: createdAt,
    performed_via_github_app: null,
    ...(given === undefined ? {} : { label: { name: given.name, color: given.color } }),
    ...(rename === undefined ? {} : { rename }),
  };
}
