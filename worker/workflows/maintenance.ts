import { snapshotHash } from "../../src/job.ts";
import { commitOf } from "../checkout.ts";
import { ciHeld } from "../ci.ts";
import { needsInput } from "../environment.ts";
import { maintenanceMessages } from "../prompts/messages.ts";
import { commitMessage, freeBranch, publish } from "../publish.ts";
import { renderPullBody } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { solve } from "../solve.ts";
import { openSource } from "../source.ts";

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
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const task = source.settings.maintenance[key];
  if (task === undefined)
    return { outcome: "cancelled", cause: "the task is no longer in the settings", detail: "", pull: undefined };
  const text = task.task;
  if (text === undefined) return needsInput("task", `The task \`${key}\` has no \`task:\` text.`);
  const name = `agent-fix/task/${key}`;
  const mine = await forge.pullsFrom(name);
  const before = mine.find((pull) => pull.ours && pull.state === "open");
  if (before !== undefined && source.passed === undefined) {
    return {
      outcome: "no-change",
      cause: "its pull request is open",
      detail: before.url,
      pull: { number: before.number, url: before.url },
    };
  }
  const branch = source.settings.base ?? source.facts.defaultBranch;
  const base = source.passed?.base ?? (await commitOf(source.mirror, branch));
  if (base === undefined)
    return needsInput("base branch", `The branch \`${branch}\` that the settings name as \`base\` does not exist.`);
  await log.append({ type: "snapshot", hash: snapshotHash({ title: key, body: text }), title: key, body: text });

  const result =
    source.passed !== undefined
      ? { ok: true as const, passed: source.passed.change }
      : await solve(
          {
            runId: job.runId,
            kind: "maintenance",
            log,
            signal,
            mirror: source.mirror,
            trusted: source.trusted,
            base,
            branch,
            progress: () => {},
            repo: `${job.repo.owner}/${job.repo.name}`,
            messages: (context) =>
              maintenanceMessages({ ...context, task: text, paths: task.paths, measure: task.measure }),
          },
          deps,
        );
  if (!result.ok) return result.outcome;

  const held = await ciHeld(source.mirror, source.trusted, { ci: source.settings.ci, isPrivate: source.facts.private });
  const model = (await deps.model.describe(signal)).name;
  const { title, cause } = result.passed.submission;
  return run.withToken("publish", async (writer) => {
    const footer = `The task \`${key}\` of \`.github/agent-fix.yml\`, due at \`${task.schedule}\` (${task.timezone}).`;
    const body = renderPullBody({
      closes: undefined,
      passed: result.passed,
      events: log.events,
      base,
      model,
      held,
      footer,
    });
    const target = await freeBranch(writer, name, job.runId);
    const message = commitMessage({ title, why: cause, runId: job.runId, held });
    const published = await publish(run, writer, result.passed, {
      base,
      branch: target,
      expected: undefined,
      message,
      pull: { base: branch, title, body },
    });
    if (!published.ok || published.pull === undefined)
      return needsInput("branch moved", published.ok ? "" : published.reason);
    return {
      outcome: "published",
      cause: undefined,
      detail: published.pull.url,
      pull: { number: published.pull.number, url: published.pull.url },
    };
  });
}

function taskKey(run: Run): string {
  if (run.job.subject.kind !== "task") throw new Error(`run ${run.job.runId} is not about a task`);
  return run.job.subject.key;
}
