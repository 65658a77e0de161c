import { join } from "node:path";
import { taskBranch } from "../../src/branches.ts";
import type { Forge, Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { quietCause, slotTrigger } from "../../src/maintenance/decide.ts";
import { renderTaskMark } from "../../src/maintenance/mark.ts";
import { keepOutcome, loadMemory, newMemory } from "../../src/maintenance/memory.ts";
import { isQuiet, quietUntil } from "../../src/maintenance/schedule.ts";
import { readPulls } from "../../src/maintenance/standing.ts";
import { endUnneeded } from "../../src/maintenance/tidy.ts";
import { lastEvent } from "../../src/runlog.ts";
import { QuietError } from "../../src/errors.ts";
import { settingsPath } from "../../src/settings.ts";
import type { Settings } from "../../src/settings.ts";
import { replyMark } from "../../src/status.ts";
import { cut, inlineCode, inlineText } from "../../src/text.ts";
import type { Passed } from "../attempt.ts";
import { bullets, renderPullBody } from "../body.ts";
import { commitOf, createRunRepository } from "../checkout.ts";
import { ciHeld } from "../ci.ts";
import { deliverFor, deliveredOrKept, keepBranch } from "../deliver.ts";
import type { Delivery } from "../deliver.ts";
import { createLedger } from "../ledger.ts";
import { noteAsked } from "../maintenance/flaky.ts";
import { hasWork, taskWork, titled } from "../maintenance/task.ts";
import { failedAfter, nothingLeftOut } from "../maintenance/turns.ts";
import type { LeftOut } from "../maintenance/turns.ts";
import { mergeCommits } from "../merge.ts";
import { obstacleTo } from "../obstacle.ts";
import { cancelled, needsInput, nothingToDo } from "../outcome.ts";
import { readCommitChange } from "../rebuild.ts";
import { elapsed, isToldLate } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource, solveOn } from "../source.ts";
import type { Source } from "../source.ts";

/** Of a dry run, in the dashboard. */
const mostPaths = 15;
/** In characters; the dashboard shows less. */
const mostDetail = 4000;
/** As many contents that people turned down are kept in a pull request's mark. */
const mostTurnedDown = 40;

/** A task of the settings whose time has come becomes one pull request, or one more commit on the one that is open. */
export const maintenanceWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job } = run;
  const key = taskKey(run);
  const forge = deps.host.forge(job.repo, "report");
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const task = source.settings.maintenance[key];
  if (task === undefined) return cancelled("the task is no longer in the settings");
  if (!hasWork(task)) return needsInput("task", `The task \`${key}\` has no \`task:\` text.`);
  const into = source.settings.base ?? source.facts.defaultBranch;
  const tip = await commitOf(source.mirror, into);
  if (tip === undefined) return needsInput("base branch", `The settings name \`${into}\`.`);
  const found = await stillWanted(run, deps, { forge, key, task, source });
  if ("outcome" in found) return found;
  const { leftOut } = found;
  const open = ontoOpen(run, source, found.open);
  const { dryRun: isDry } = source.settings.unattended;
  if (open !== undefined && !isDry && (await isSpent(run, source, { head: open.head.commit, base: tip })))
    return endSpent(run, deps, open, into);
  const outcome = await workOn(run, deps, { source, key, task, into, tip, open, leftOut });
  const ledger = createLedger(deps.dataDir, source.mirror);
  await noteAsked({ log: run.log, runId: job.runId, ledger }, outcome.outcome);
  return outcome;
}

interface Place {
  source: Source;
  key: string;
  task: Settings["maintenance"][string];
  /** The branch that the pull request is for, and its commit. */
  into: string;
  tip: string;
  open: Pull | undefined;
  leftOut: LeftOut;
}

async function workOn(run: Run, deps: WorkerDeps, at: Place): Promise<Outcome> {
  const { source, key, task, into, tip, open, leftOut } = at;
  const asked = { title: key, body: task.task ?? "" };
  await run.log.append({ type: "snapshot", hash: snapshotHash(asked), ...asked });
  const base = source.passed?.base ?? open?.head.commit ?? tip;
  const on = { kind: "maintenance" as const, base, branch: open?.head.branch ?? into };
  const result = await solveOn(run, deps, source, { ...on, ...taskWork(run, deps, { key, task, leftOut }) });
  if (source.settings.unattended.dryRun) return result.ok ? dryRun(run, base, result.passed) : result.outcome;
  const delivery = { source, base, to: open ?? newBranch(run, at) };
  if (!result.ok) return keepBranch(run, deps, result, delivery);
  return publish(run, deps, at, { delivery, passed: titled(result.passed, run) });
}

async function publish(
  run: Run,
  deps: WorkerDeps,
  { source, open }: Place,
  { delivery, passed }: { delivery: Delivery; passed: Passed },
): Promise<Outcome> {
  const obstacle = await obstacleTo(run, deps, delivery);
  if (obstacle !== undefined) return obstacle;
  if (open === undefined) waitOutQuiet(run, source.settings.unattended);
  const delivered = await deliverFor(run, deps, passed, delivery);
  if (open !== undefined && delivered.ok) await tellUpdate(run, deps, { source, base: delivery.base, open, passed });
  return deliveredOrKept(run, source, delivered, "The task's next run starts from where it stands then.");
}

/** What passed in quiet hours is opened after them: the run goes on from there when it is taken again. */
function waitOutQuiet({ job }: Run, { quiet, timezone }: Settings["unattended"]): void {
  const now = new Date();
  if (isOfSchedule(job) && isQuiet(quiet, timezone, now)) throw new QuietError(quietUntil(quiet, timezone, now));
}

/** Not where a person asked for it; a tick that no event told of is asked for in our own name. */
function isOfSchedule({ trigger }: Run["job"]): boolean {
  return trigger.startsWith(slotTrigger);
}

/**
 * Its open pull request, if there is one, and what a new one is not to be about. The run may have waited for hours: what
 * a person did to its pull request since then counts, unless a person asked for the run.
 */
async function stillWanted(
  { job }: Run,
  { host, redis }: WorkerDeps,
  { forge, key, task, source }: Pick<Place, "key" | "task" | "source"> & { forge: Forge },
): Promise<{ open: Pull | undefined; leftOut: LeftOut } | Outcome> {
  const memory = (await loadMemory(redis, job.repo, {}))[key] ?? newMemory(task, new Date());
  const { botLogin } = await host.app();
  const { pulls, open, closed, turnedDown } = await readPulls(forge, { key, task, memory }, botLogin);
  const { quiet, timezone } = source.settings.unattended;
  const isAsked = !isOfSchedule(job);
  if (open?.isEdited === true) return cancelled("a person pushed to its pull request");
  if (!isAsked && closed !== undefined && closed.content === undefined)
    return cancelled("a person closed its pull request");
  if (!isAsked && memory.isIgnored === true) return cancelled("its task is to be ignored");
  const isBegun = source.passed !== undefined;
  if (!isAsked && !isBegun && isQuiet(quiet, timezone, new Date())) return cancelled(quietCause);
  const { failed = {} } = memory.last ?? {};
  // Whoever asks wants what did not pass the last time.
  const leftOut = isAsked ? { ...nothingLeftOut, first: Object.keys(failed).at(-1) } : { turnedDown, failed };
  return { open: pulls.find(({ state }) => state === "open"), leftOut };
}

/** The open pull request to go on with; not one that this very run opened before its worker died. */
function ontoOpen({ log }: Run, { passed }: Source, open: Pull | undefined): Pull | undefined {
  const before = passed === undefined ? undefined : lastEvent(log.events, "base");
  return before === undefined || before.branch === open?.head.branch ? open : undefined;
}

/** Whether the base has all that the pull request changes. */
async function isSpent(run: Run, { mirror }: Source, at: { head: string; base: string }): Promise<boolean> {
  const repository = await createRunRepository(run.log.dir, mirror);
  return (await mergeCommits(repository, at, run.signal)).kind === "spent";
}

async function endSpent(run: Run, deps: WorkerDeps, open: Pull, into: string): Promise<Outcome> {
  await run.guard();
  await endUnneeded(deps, run.job.repo, open, `\`${into}\` has all that this changes.`);
  return { ...nothingToDo("its pull request is not needed any more"), detail: open.url };
}

/** The pull request's own text tells of its first commit; each later one has a comment. */
async function tellUpdate(
  { job, log }: Run,
  { host }: WorkerDeps,
  { source, base, open, passed }: Pick<Place, "source"> & { base: string; open: Pull; passed: Passed },
): Promise<void> {
  const { mirror, trusted, settings, facts } = source;
  const held = await ciHeld(mirror, trusted, { ci: settings.ci, isPrivate: facts.private });
  const { events } = log;
  const footer = "This commit stands on what this pull request was before.";
  const body = renderPullBody({ closes: undefined, passed, events, base, held, footer, took: elapsed(events) });
  const mark = replyMark(job.runId);
  const text = `${mark}\n**One more commit: ${inlineText(passed.submission.title)}**\n\n${body}`;
  await host.forge(job.repo, "report").ensureComment(open.number, mark, text);
}

/** What would have been published. */
async function dryRun({ log }: Run, base: string, { commit, submission }: Passed): Promise<Outcome> {
  const { files, deleted } = await readCommitChange(join(log.dir, "repo.git"), base, commit);
  const paths = [...files.map(({ path }) => path), ...deleted];
  const more = paths.length > mostPaths ? [`- and ${paths.length - mostPaths} more`] : [];
  const shown = paths.slice(0, mostPaths).map((path) => `- ${inlineCode(path)}`);
  const detail = [
    `**${inlineText(submission.title)}**`,
    bullets(submission.change),
    ["It changes", ...shown, ...more].join("\n"),
  ];
  return { ...nothingToDo("dry run"), detail: detail.join("\n\n") };
}

/** A scheduled task has no issue to answer on: its pull request is the answer, and the dashboard shows the rest. */
async function report(run: Run, { outcome, cause, detail }: Outcome, deps: WorkerDeps): Promise<void> {
  const { runId, repo } = run.job;
  const at = lastEvent(run.log.events, "finished")?.at ?? new Date().toISOString();
  const key = taskKey(run);
  const { last } = (await loadMemory(deps.redis, repo, {}))[key] ?? {};
  if (last !== undefined && last.run !== runId && last.at > at && isToldLate(run.log.events)) return;
  const { failed = {} } = last ?? {};
  await keepOutcome(deps.redis, repo, key, {
    run: runId,
    at,
    outcome,
    ...(cause !== undefined && { cause }),
    detail: cut(detail, mostDetail),
    failed: failedAfter(failed, lastEvent(run.log.events, "updates")?.turn, { outcome, cause }),
  });
}

/** A task of the settings, whose branch is no other's. */
function newBranch({ log }: Run, { key, task, into, leftOut }: Place) {
  const due = `The task \`${key}\` of \`${settingsPath}\`, due at \`${task.schedule}\` (${task.timezone}).`;
  const manners = `Close this, and I do not open it again by myself; push to its branch, and I leave it to you. \`/agent-fix continue\` takes the base in, \`/agent-fix ignore ${key}\` ends the task.`;
  const turnedDown = leftOut.turnedDown.slice(-mostTurnedDown);
  const content = lastEvent(log.events, "updates")?.turn?.content;
  const about = content === undefined ? {} : { content, turnedDown };
  const footer = `${due} ${manners}\n\n${renderTaskMark(key, task, about)}`;
  return { name: taskBranch(key), pull: { into, closes: undefined, footer } };
}

function taskKey(run: Run): string {
  if (run.job.subject.kind !== "task") throw new Error(`run ${run.job.runId} is not about a task`);
  return run.job.subject.key;
}
