import type { Octokit } from "@octokit/rest";
import type { Annotation, Check, CheckRun } from "../forge.ts";

interface Name {
  owner: string;
  repo: string;
}

const evidenceName = "agent-fix";

/** Creates or edits our check run of this run on the commit. */
export async function ensureCheckRun(octokit: Octokit, name: Name, check: CheckRun): Promise<void> {
  const { name: checkName = evidenceName, commit, runId, conclusion, url, title, summary, annotations } = check;
  const { data } = await octokit.rest.checks.listForRef({
    ...name,
    ref: commit,
    check_name: checkName,
    filter: "all",
    per_page: 100,
  });
  const content = {
    name: checkName,
    external_id: runId,
    ...(url !== undefined && { details_url: url }),
    status: "completed" as const,
    conclusion,
    output: {
      title,
      summary,
      annotations: annotations.map(({ path, line = 1, title: what, message }) => ({
        path,
        start_line: line,
        end_line: line,
        annotation_level: "failure" as const,
        title: what,
        message,
      })),
    },
  };
  const found = data.check_runs.find((one) => one.external_id === runId);
  // An edit comes back as a webhook, which may bring the same text again.
  if (found?.conclusion === conclusion && found.output.title === title && found.output.summary === summary) return;
  if (found === undefined) await octokit.rest.checks.create({ ...name, ...content, head_sha: commit });
  // GitHub adds the annotations of an edit to those that are there.
  else
    await octokit.rest.checks.update({
      ...name,
      ...content,
      check_run_id: found.id,
      output: { title, summary },
    });
}

const conclusions: Record<string, Check["state"]> = {
  success: "passed",
  failure: "failed",
  timed_out: "failed",
  startup_failure: "failed",
  action_required: "action-required",
};
const statusStates: Record<string, Check["state"]> = {
  success: "passed",
  failure: "failed",
  error: "failed",
  pending: "pending",
};

/** Check runs and commit statuses, the newest of each name and app. */
export async function checksOn(octokit: Octokit, name: Name, commit: string): Promise<Check[]> {
  const where = { ...name, ref: commit, per_page: 100 };
  const [runs, statuses] = await Promise.all([
    octokit.paginate(octokit.rest.checks.listForRef, { ...where, filter: "latest" }),
    octokit.paginate(octokit.rest.repos.listCommitStatusesForRef, where),
  ]);
  const newest = new Map<string, Check>();
  // Each suite of an app may have a run of the same name. Of statuses, GitHub lists the newest first.
  for (const run of runs.toSorted((a, b) => a.id - b.id))
    newest.set(JSON.stringify([run.app?.slug, run.name]), {
      name: run.name,
      app: run.app?.slug,
      state: run.status === "completed" ? (conclusions[run.conclusion ?? ""] ?? "neutral") : "pending",
      since: run.started_at ?? undefined,
      url: run.html_url ?? undefined,
      run: run.id,
    });
  for (const status of statuses.toReversed())
    newest.set(JSON.stringify([status.context]), {
      name: status.context,
      app: undefined,
      state: statusStates[status.state] ?? "neutral",
      since: status.created_at,
      url: status.target_url ?? undefined,
      run: undefined,
    });
  return [...newest.values()];
}

export async function readAnnotations(octokit: Octokit, name: Name, checkRun: number): Promise<Annotation[]> {
  const found = await octokit.paginate(octokit.rest.checks.listAnnotations, {
    ...name,
    check_run_id: checkRun,
    per_page: 100,
  });
  return found.map(({ path, start_line: line, title, message, annotation_level: level }) => ({
    path,
    line,
    title: title ?? "",
    message: message ?? "",
    level: level ?? "",
  }));
}
