import { begin } from "../../src/begin.ts";
import { OutageError } from "../../src/errors.ts";
import type { Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { settingsPath } from "../../src/settings.ts";
import type { Settings } from "../../src/settings.ts";
import type { Passed } from "../attempt.ts";
import { renderPullBody } from "../body.ts";
import { commitOf } from "../checkout.ts";
import { showCheckRun } from "../check-run.ts";
import { ciHeld } from "../ci.ts";
import { needsInput } from "../outcome.ts";
import { maintenanceMessages } from "../prompts/messages.ts";
import type { RepositoryContext } from "../prompts/messages.ts";
import { commitMessage, freeBranch, openPull, publish } from "../publish.ts";
import { elapsed } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { solve } from "../solve.ts";
import { openSource } from "../source.ts";
import type { Source } from "../source.ts";

/** A task of the settings whose time has come becomes one pull request; one that is open is left alone. */
export const maintenanceWorkflow: Workflow = {
  work,
  // A scheduled task has no issue to answer on: its pull request is the answer, the run log has the rest.
  report: async () => {},
};

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log, signal } = run;
  const key = taskKey(run);
  const forge = deps.host.forge(job.repo, "report");
  const finding = begin(openPull(forge, branchOf(key)));
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const { mirror, trusted, passed } = source;
  const task = source.settings.maintenance[key];
  if (task === undefined)
    return { outcome: "cancelled", cause: "the task is no longer in the settings", detail: "", pull: undefined };
  const { task: text, paths, measure } = task;
  if (text === undefined) return needsInput("task", `The task \`${key}\` has no \`task:\` text.`);
  const before = passed === undefined ? await finding : undefined;
  if (before !== undefined) return leftAlone(before);
  const branch = source.settings.base ?? source.facts.defaultBranch;
  const base = passed?.base ?? (await commitOf(mirror, branch));
  if (base === undefined)
    return needsInput("base branch", `The branch \`${branch}\` that the settings name as \`base\` does not exist.`);
  await log.append({ type: "snapshot", hash: snapshotHash({ title: key, body: text }), title: key, body: text });
  if (passed !== undefined) return publishTask(run, deps, { source, key, task, base, branch, passed: passed.change });

  const solving = {
    runId: job.runId,
    kind: "maintenance" as const,
    log,
    signal,
    mirror,
    trusted,
    base,
    branch,
    progress: () => {},
    inbox: () => run.inboxMessages(),
    repo: `${job.repo.owner}/${job.repo.name}`,
    messages: (context: RepositoryContext) => maintenanceMessages({ ...context, task: text, paths, measure }),
  };
  const result = await solve(solving, deps);
  if (!result.ok) return result.outcome;
  return publishTask(run, deps, { source, key, task, base, branch, passed: result.passed });
}

function leftAlone({ number, url }: Pull): Outcome {
  return { outcome: "no-change", cause: "its pull request is open", detail: url, pull: { number, url } };
}

interface Publishing {
  source: Source;
  key: string;
  task: Settings["maintenance"][string];
  base: string;
  branch: string;
  passed: Passed;
}

async function publishTask(run: Run, deps: WorkerDeps, publishing: Publishing): Promise<Outcome> {
  const { source, key, task, base, branch, passed } = publishing;
  const { log, job } = run;
  const { title, cause } = passed.submission;
  const held = await ciHeld(source.mirror, source.trusted, { ci: source.settings.ci, isPrivate: source.facts.private });
  const footer = `The task \`${key}\` of \`${settingsPath}\`, due at \`${task.schedule}\` (${task.timezone}).`;
  const body = renderPullBody({
    closes: undefined,
    passed,
    events: log.events,
    base,
    held,
    footer,
    took: elapsed(log.events),
  });
  const message = commitMessage({ title, why: cause, runId: job.runId, held });
  return run.withToken("publish", async (writer) => {
    const target = await freeBranch(writer, branchOf(key), { runId: job.runId, base, tree: passed.tree });
    const pull = { base: branch, title, body, draft: passed.verdict.decision === "draft" };
    const published = await publish(run, writer, passed, { base, branch: target, expected: undefined, message, pull });
    if (!published.ok) return needsInput("branch moved", published.reason);
    if (published.pull === undefined) throw new OutageError("the pull request could not be found after it was opened");
    const { number, url } = published.pull;
    await showCheckRun(run, deps, { passed, base, commit: published.commit, pull: published.pull });
    return { outcome: "published", cause: undefined, detail: url, pull: { number, url } };
  });
}

function branchOf(key: string): string {
  return `agent-fix/task/${key}`;
}

function taskKey(run: Run): string {
  if (run.job.subject.kind !== "task") throw new Error(`run ${run.job.runId} is not about a task`);
  return run.job.subject.key;
}
