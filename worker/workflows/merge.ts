import type { Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { lastEvent } from "../../src/runlog.ts";
import { recallStatus } from "../../src/status-comment.ts";
import { inlineCode } from "../../src/text.ts";
import type { Change } from "../../sandbox/changes.ts";
import type { Passed } from "../attempt.ts";
import { commitOf, createRunRepository } from "../checkout.ts";
import { deliverFor, deliveredOrKept } from "../deliver.ts";
import { baseSide, cleanSubmission, mergeCommits, undecidableIn } from "../merge.ts";
import type { Merged, Merging } from "../merge.ts";
import { obstacleTo } from "../obstacle.ts";
import { gaveUp, needsInput, nextMove, nothingToDo } from "../outcome.ts";
import { mergeMessages } from "../prompts/merge.ts";
import { readBranchPatch } from "../rebuild.ts";
import { elapsed, renderOutcome, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource, solveOn } from "../source.ts";
import { takenOver } from "../taken-over.ts";
import type { Source } from "../source.ts";

/** Our pull request takes in its base: one commit with both as parents, whose tree passed the gate. */
export const mergeWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log } = run;
  const { pull: number } = mergeSubject(run);
  const forge = deps.host.forge(job.repo, "report");
  const pull = await forge.pull(number);
  const over = await takenOver(run, deps, pull);
  if (over !== undefined) return over;
  await remember(run, deps);
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const planned = await plan(run, source, pull);
  if ("outcome" in planned) return planned;
  const { merging, changes } = planned;
  const { title } = pull;
  const body = merging.says.join("\n");
  await log.append({ type: "snapshot", hash: snapshotHash({ title, body }), title, body });

  await using reporter = reporterFor(run, deps, number);
  const diff = await readBranchPatch(source.mirror, pull.base, merging.head);
  const theirs = await baseSide(source.mirror, merging);
  const result = await solveOn(run, deps, source, {
    kind: "merge",
    base: merging.base,
    branch: pull.base,
    progress: reporter.say,
    begin: async () => ({ kind: "change", change: { changes, submission: cleanSubmission(merging) } }),
    merging,
    messages: (context, _planOnly, failed) => mergeMessages({ ...context, title, diff, theirs, merging, failed }),
  });
  if (!result.ok) return result.outcome;
  const delivery = { source, base: merging.base, merges: merging.head, to: pull };
  const obstacle = await obstacleTo(run, deps, delivery);
  if (obstacle !== undefined) return obstacle;
  const delivered = await deliverFor(run, deps, namedMerge(result.passed, pull), delivery);
  const outcome = await deliveredOrKept(run, source, delivered, "`/agent-fix continue` merges anew.");
  return delivered.ok ? { ...outcome, detail: publishedText(delivered.commit, pull, merging) } : outcome;
}

/** What was seen to, also where nothing comes of it. After a person's word our own attempts count anew. */
async function remember({ job, log }: Run, { host, redis }: WorkerDeps): Promise<void> {
  const { pull: number, key } = mergeSubject({ job });
  if (lastEvent(log.events, "watched") !== undefined) return;
  const before = (await recallStatus({ redis, forge: host.forge(job.repo, "report"), number }))?.watch;
  const attempts = job.follows === undefined ? (before?.attempts ?? 0) + 1 : 0;
  await log.append({ type: "watched", watch: { attempts, handled: key }, before });
}

/** Which two commits become one, and what git makes of them: as a former worker logged it where its change passed. */
async function plan(
  { log, signal }: Run,
  { mirror, passed }: Source,
  { head, base: into }: Pull,
): Promise<{ merging: Merging; changes: Change[] } | Outcome> {
  const before = lastEvent(log.events, "merge");
  if (passed !== undefined && before !== undefined) return { merging: before, changes: [] };
  const base = await commitOf(mirror, into);
  if (base === undefined) return needsInput("base branch", `It was \`${into}\`.`);
  const repository = await createRunRepository(log.dir, mirror);
  const merged = await mergeCommits(repository, { head: head.commit, base }, signal);
  if (merged.kind !== "merged") return unmerged(merged.kind, inlineCode(into), base);
  const { merging, changes } = merged;
  await log.append({ type: "merge", ...merging });
  const undecidable = undecidableIn(changes, merging);
  if (undecidable.length > 0)
    return gaveUp("conflict", `git marks no lines to choose from in ${pathsOf(undecidable)}.`);
  return merged;
}

function unmerged(kind: Exclude<Merged["kind"], "merged">, into: string, base: string): Outcome {
  switch (kind) {
    case "contained":
      return nothingToDo("merged before", `The branch has all of ${into}, as far as ${base.slice(0, 12)}.`);
    case "spent":
      return nothingToDo("nothing left", `${into} has all that this pull request changes, so it can be closed.`);
    case "unrelated":
      return gaveUp("conflict", `The branch has no commit in common with ${into} any more.`);
  }
}

function namedMerge(passed: Passed, { base, head }: Pull): Passed {
  return { ...passed, submission: { ...passed.submission, title: `Merge ${base} into ${head.branch}` } };
}

function publishedText(commit: string, { base }: Pull, { conflicts }: Merging): string {
  const found =
    conflicts.length === 0 ? "no conflict" : `it conflicted in ${pathsOf(conflicts)}, resolved in this push`;
  return `In ${commit}. Merge with ${inlineCode(base)}: ${found}.`;
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const { pull: number } = mergeSubject(run);
  const took = elapsed(run.log.events);
  const reporter = reporterFor(run, deps, number);
  if (outcome.outcome === "published") return reporter.finish("opened", `Base merged in ${took}`, [outcome.detail]);
  if (outcome.outcome === "no-change") return reporter.finish("no-change", "Nothing to merge", [outcome.detail]);
  const { header, lines } = renderOutcome(outcome, { took, stoppedBy: run.stopped()?.by });
  if (outcome.outcome !== "cancelled") await handOver(run, deps, number, outcome);
  await reporter.finish(outcome.outcome, header, lines, { cause: outcome.cause });
}

const conflictMark = "<!-- agent-fix:conflict -->";

/** One comment on a pull request, which is edited: an edit of the status comment is told nobody. */
async function handOver(run: Run, deps: WorkerDeps, number: number, outcome: Outcome): Promise<void> {
  const forge = deps.host.forge(run.job.repo, "report");
  const { base, head } = await forge.pull(number);
  const merging = lastEvent(run.log.events, "merge");
  const lacks = merging === undefined || (outcome.outcome === "needs-input" && outcome.cause !== "question");
  const says = lacks ? lackingText(base, outcome) : decisionText(base, head.branch, merging);
  await run.guard();
  const body = [conflictMark, ...says, "The status comment has the rest."];
  await forge.ensureComment(number, conflictMark, body.join("\n\n"));
}

/** Where something else is to be put right before it can be merged, or pushed. */
function lackingText(base: string, { cause = "" }: Outcome): string[] {
  return [`I could not merge ${inlineCode(base)} into this branch by myself: ${cause}.`, nextMove(cause)];
}

/** Where a person has to say what comes of both sides. */
function decisionText(base: string, branch: string, { conflicts }: Pick<Merging, "conflicts">): string[] {
  const what =
    conflicts.length === 0
      ? `I merged ${inlineCode(base)} into this branch, and what comes of it does not pass.`
      : `${inlineCode(base)} conflicts with this branch in ${pathsOf(conflicts)}, and I could not keep what both want.`;
  const ways = [
    `1. Merge ${inlineCode(base)} into ${inlineCode(branch)} yourself, and push. \`/agent-fix continue\` then hands the branch back to me.`,
    "2. Close this pull request, and set the label on its issue again: I start over from the base as it is then.",
  ];
  return [what, "There are two ways out:", ways.join("\n")];
}

const mostPaths = 20;

function pathsOf(conflicts: readonly string[]): string {
  const shown = conflicts.slice(0, mostPaths).map(inlineCode).join(", ");
  return conflicts.length > mostPaths ? `${shown} and ${conflicts.length - mostPaths} more files` : shown;
}

function mergeSubject({ job }: Pick<Run, "job">) {
  if (job.subject.kind !== "merge") throw new Error(`run ${job.runId} is not about a merge`);
  return job.subject;
}
