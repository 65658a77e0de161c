import { listRefs, readCommit } from "../git.ts";
import type { Annotation, CheckRun, CheckSuite, Repository } from "../state.ts";
import { appJson } from "./app.ts";
import { nodeId, repoApi, repoPage } from "./site.ts";
import type { Site } from "./site.ts";

export function checkRunJson(site: Site, repo: Repository, one: CheckRun) {
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
    check_suite: { id: one.suite.id },
    app: appJson(site, one.app, repo.owner),
    pull_requests: pullsAt(site, repo, one.commit),
  };
}

/** As a webhook has it. */
export async function checkRunEventJson(site: Site, repo: Repository, one: CheckRun) {
  const shown = checkRunJson(site, repo, one);
  return {
    ...shown,
    external_id: shown.external_id ?? "",
    details_url: shown.details_url ?? shown.html_url,
    check_suite: await suiteJson(site, repo, one.suite, [one]),
  };
}

const worstFirst = ["failure", "timed_out", "cancelled", "action_required", "success"];

export async function checkSuiteJson(site: Site, repo: Repository, suite: CheckSuite, runs: readonly CheckRun[]) {
  const shown = await suiteJson(site, repo, suite, runs);
  return {
    ...shown,
    latest_check_runs_count: runs.length,
    check_runs_url: `${shown.url}/check-runs`,
    head_commit: await simpleCommit(repo, shown.head_sha),
  };
}

/** By the newest runs of each name. */
async function suiteJson(site: Site, repo: Repository, { id, createdAt }: CheckSuite, runs: readonly CheckRun[]) {
  const [first] = runs;
  if (first === undefined) throw new Error(`the suite ${id} is empty`);
  const { app, commit } = first;
  const isDone = runs.every(({ status }) => status === "completed");
  const conclusions = runs.map(({ conclusion }) => conclusion);
  return {
    id,
    node_id: nodeId("CheckSuite", id),
    head_branch: await branchAt(repo, commit),
    head_sha: commit,
    status: isDone ? "completed" : "in_progress",
    conclusion: isDone ? (worstFirst.find((word) => conclusions.includes(word)) ?? "neutral") : null,
    url: `${repoApi(site, repo)}/check-suites/${id}`,
    before: null,
    after: commit,
    pull_requests: pullsAt(site, repo, commit),
    app: appJson(site, app, repo.owner),
    created_at: createdAt,
    updated_at: first.completedAt ?? createdAt,
  };
}

async function branchAt({ gitDir }: Repository, commit: string): Promise<string | null> {
  const branches = [...(await listRefs(gitDir))].filter(([ref]) => ref.startsWith("refs/heads/"));
  return branches.find(([, head]) => head === commit)?.[0].replace("refs/heads/", "") ?? null;
}

async function simpleCommit({ gitDir }: Repository, id: string) {
  const data = await readCommit(gitDir, id);
  if (data === undefined) throw new Error(`there is no commit ${id}`);
  const { tree, message, author, committer } = data;
  return { id, tree_id: tree, message, timestamp: committer.date, author, committer };
}

/** The open pull requests with this head, in short. */
function pullsAt(site: Site, repo: Repository, commit: string) {
  const side = (ref: string, sha: string) => ({
    ref,
    sha,
    repo: { id: repo.id, url: repoApi(site, repo), name: repo.name },
  });
  return [...repo.issues.values()].flatMap(({ id, number, state, pull }) =>
    pull === undefined || state === "closed" || pull.headCommit !== commit
      ? []
      : [
          {
            url: `${repoApi(site, repo)}/pulls/${number}`,
            id,
            number,
            head: side(pull.head, commit),
            base: side(pull.base, commit),
          },
        ],
  );
}

export function annotationJson(site: Site, repo: Repository, { commit }: CheckRun, one: Annotation) {
  const blob = `${repoPage(site, repo)}/blob/${commit}/${one.path}`;
  return { ...one, start_column: null, end_column: null, raw_details: null, blob_href: blob };
}
