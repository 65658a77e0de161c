import type { Octokit } from "@octokit/rest";
import type { CheckRun } from "../forge.ts";

interface Name {
  owner: string;
  repo: string;
}

const checkName = "agent-fix";

/** Creates or edits our check run of this run on the commit. */
export async function ensureCheckRun(octokit: Octokit, name: Name, check: CheckRun): Promise<void> {
  const { commit, runId, conclusion, url, title, summary, annotations } = check;
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
