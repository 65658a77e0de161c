import { begin } from "../../src/begin.ts";
import type { Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { settingsPath } from "../../src/settings.ts";
import type { Settings } from "../../src/settings.ts";
import { commitOf } from "../checkout.ts";
import { deliverFor, deliveredOutcome, keepBranch } from "../deliver.ts";
import { cancelled, needsInput } from "../outcome.ts";
import { maintenanceMessages } from "../prompts/messages.ts";
import { openPull } from "../publish.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource, solveOn } from "../source.ts";

/** A task of the settings whose time has come becomes one pull request; one that is open is left alone. */
export const maintenanceWorkflow: Workflow = {
  work,
  // A scheduled task has no issue to answer on: its pull request is the answer, the run log has the rest.
  report: async () => {},
};

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log } = run;
  const key = taskKey(run);
  const forge = deps.host.forge(job.repo, "report");
  const finding = begin(openPull(forge, branchOf(key)));
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const { mirror, passed } = source;
  const task = source.settings.maintenance[key];
  if (task === undefined) return cancelled("the task is no longer in the settings");
  const { task: text, paths, measure } = task;
  if (text === undefined) return needsInput("task", `The task \`${key}\` has no \`task:\` text.`);
  const before = passed === undefined ? await finding : undefined;
  if (before !== undefined) return leftAlone(before);
  const branch = source.settings.base ?? source.facts.defaultBranch;
  const base = passed?.base ?? (await commitOf(mirror, branch));
  if (base === undefined) return needsInput("base branch", `The settings name \`${branch}\`.`);
  await log.append({ type: "snapshot", hash: snapshotHash({ title: key, body: text }), title: key, body: text });
  const result = await solveOn(run, deps, source, {
    kind: "maintenance",
    base,
    branch,
    messages: (context) => maintenanceMessages({ ...context, task: text, paths, measure }),
  });
  const delivery = { source, base, to: newBranch(key, task, branch) };
  if (!result.ok) return keepBranch(run, deps, result, delivery);
  const delivered = await deliverFor(run, deps, result.passed, delivery);
  return deliveredOutcome(delivered, "The task's next run starts from where it stands then.");
}

function leftAlone({ number, url }: Pull): Outcome {
  return { outcome: "no-change", cause: "its pull request is open", detail: url, pull: { number, url } };
}

/** A task of the settings, whose branch is no other's. */
function newBranch(key: string, { schedule, timezone }: Settings["maintenance"][string], into: string) {
  const footer = `The task \`${key}\` of \`${settingsPath}\`, due at \`${schedule}\` (${timezone}).`;
  return { name: branchOf(key), pull: { into, closes: undefined, footer } };
}

function branchOf(key: string): string {
  return `agent-fix/task/${key}`;
}

function taskKey(run: Run): string {
  if (run.job.subject.kind !== "task") throw new Error(`run ${run.job.runId} is not about a task`);
  return run.job.subject.key;
}
