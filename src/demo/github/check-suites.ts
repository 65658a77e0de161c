import type { Context } from "./context.ts";
import { checkRunEventJson, checkSuiteJson } from "./json/check-run.ts";
import type { AppFacts, CheckRun, Repository, State } from "./state.ts";

/** A queued run in the app's one suite on the commit. */
export function addRun(
  state: State,
  repository: Repository,
  { app, commit, name }: { app: AppFacts; commit: string; name: string },
): CheckRun {
  const beside = repository.checkRuns.find((one) => one.app === app && one.commit === commit);
  const run: CheckRun = {
    id: state.nextId(),
    app,
    suite: beside?.suite ?? { id: state.nextId(), createdAt: state.now() },
    commit,
    name,
    externalId: null,
    detailsUrl: null,
    status: "queued",
    conclusion: null,
    startedAt: state.now(),
    completedAt: null,
    output: { title: "", summary: "", text: null },
    annotations: [],
  };
  repository.checkRuns.push(run);
  return run;
}

/** The newest run of each name in a suite. */
export function newestRuns(runs: readonly CheckRun[]): CheckRun[] {
  return [...new Map(runs.map((run) => [`${run.suite.id} ${run.name}`, run])).values()];
}

/** Tells of a run that has just been completed, and of its suite when it was the last one. */
export async function tellCompleted({ site, webhooks }: Context, repository: Repository, run: CheckRun): Promise<void> {
  const event = { action: "completed", repository, sender: run.app.bot };
  const check_run = await checkRunEventJson(site, repository, run);
  webhooks.emit({ ...event, event: "check_run", subject: { check_run } });
  const beside = newestRuns(repository.checkRuns.filter(({ suite }) => suite === run.suite));
  if (beside.some(({ status }) => status !== "completed")) return;
  const check_suite = await checkSuiteJson(site, repository, run.suite, beside);
  webhooks.emit({ ...event, event: "check_suite", subject: { check_suite } });
}
