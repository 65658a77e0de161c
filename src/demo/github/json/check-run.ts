import type { Account, Annotation, CheckRun, Repository } from "../state.ts";
import { appJson } from "./app.ts";
import { nodeId, repoApi, repoPage } from "./site.ts";
import type { Site } from "./site.ts";

export function checkRunJson(site: Site, repo: Repository, one: CheckRun, owner: Account) {
  const at = `${repoApi(site, repo)}/check-runs/${one.id}`;
  return {
    id: one.id,
    node_id: nodeId("CheckRun", one.id),
    head_sha: one.commit,
    name: one.name,
    external_id: one.externalId,
    url: at,
    html_url: `${repoPage(site, repo)}/runs/${one.id}`,
    details_url: one.detailsUrl,
    status: one.status,
    conclusion: one.conclusion,
    started_at: one.startedAt,
    completed_at: one.completedAt,
    output: { ...one.output, annotations_count: one.annotations.length, annotations_url: `${at}/annotations` },
    check_suite: null,
    app: appJson(site, one.app, owner, 1),
    pull_requests: [],
  };
}

export function annotationJson(site: Site, repo: Repository, { commit }: CheckRun, one: Annotation) {
  const blob = `${repoPage(site, repo)}/blob/${commit}/${one.path}`;
  return { ...one, start_column: null, end_column: null, raw_details: null, blob_href: blob };
}
