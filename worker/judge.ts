import { lastEvent } from "../src/runlog.ts";
import type { CheckSummary, Submission } from "../src/runlog.ts";
import type { Change } from "../sandbox/changes.ts";
import { git } from "../sandbox/git.ts";
import { renderOutput } from "../sandbox/output.ts";
import { atSources, trackedAt } from "../sandbox/tracked.ts";
import type { Layered } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import type { AttemptResult, AttemptTask, Passed } from "./attempt.ts";
import { brokenBase } from "./baseline.ts";
import type { Baseline, Measuring } from "./baseline.ts";
import { changesDependencies, installChanged, needsScripts } from "./dependencies.ts";
import { measureBite } from "./bite.ts";
import { compare } from "./compare.ts";
import type { Ran } from "./compare.ts";
import type { Prepared } from "./environment.ts";
import { keepEvidence } from "./evidence.ts";
import { recordTo, runLeg } from "./gate.ts";
import type { Leg } from "./gate.ts";
import { failingAgain } from "./ledger.ts";
import { unresolvedIn } from "./merge.ts";
import type { Merging } from "./merge.ts";
import { orderChecks } from "./order.ts";
import { ChangeRefused, changedPaths, readPatch, rebuildCommit } from "./rebuild.ts";
import { removedBy } from "./removals.ts";
import { readTests } from "./reports/kept.ts";
import type { GaveUpCause } from "./outcome.ts";
import type { Outcome, Tools } from "./run.ts";
import { examineChange } from "./tamper/examine.ts";
import type { Finding } from "./tamper/findings.ts";
import { decide, obstacleOf, recordOf, verdictLines } from "./verdict.ts";
import type { Decision, Verdict } from "./verdict.ts";
import type { Workplace } from "./workplace.ts";

const diffBytes = 20_000;

/** `next`: where the agent goes on, when the change brought dependencies that are installed now. */
export type Judged =
  | { kind: "done"; result: AttemptResult }
  | ({ kind: "rejected"; next?: Next } & Rejected)
  /** It passes, and would be a draft for want of a test that fails without it. */
  | { kind: "without-test"; result: AttemptResult; reason: string; next?: Next };
type Next = Parameters<Workplace["moveTo"]>[0];

interface Rejected {
  cause: GaveUpCause;
  /** Whether its author may be able to mend it. */
  goesBack: boolean;
  reason: string;
  /** Markdown. */
  rows: string[];
  output: string;
  /** What the checks ran on, where nothing in it keeps it from being shown as a branch. */
  kept?: Passed;
}

/** Takes the change out as data, builds it into a commit, brings its dependencies about, and runs the checks on it. */
export async function judgeChange(task: AttemptTask, tools: Tools, parts: JudgeParts): Promise<Judged> {
  const { place, ...rest } = parts;
  const taken = await place.changes(task.signal);
  if (taken.kind === "refused") return refused(taken.reasons.join("\n"));
  const { changes } = taken;
  if (changes.length === 0) return { kind: "done", result: { ok: false, outcome: noChange(parts.submission) } };
  return judgeChanges(task, tools, { ...rest, changes });
}

/** The same for a change that is data already. */
export async function judgeChanges(
  task: AttemptTask,
  tools: Tools,
  parts: Omit<JudgeParts, "place"> & { changes: readonly Change[] },
): Promise<Judged> {
  const { signal, prepared, sources, base, repository } = task;
  const { changes, installed } = parts;
  const unresolved = task.merging === undefined ? [] : unresolvedIn(changes, task.merging);
  if (unresolved.length > 0) return { ...rejectedFor(stillConflicting(unresolved)), cause: "conflict" };
  const built = await rebuildCommit(repository, base, changes, signal).catch(unlessRefused);
  if (built instanceof ChangeRefused) return refused(built.message);

  const { commit, tree: treeId } = built;
  const changeSources = { ...sources, extraObjects: [...(sources.extraObjects ?? []), `${repository}/objects`] };
  const head = { ...parts, commit, treeId, sources: changeSources };
  if (!changesDependencies(changes)) {
    return checkHead(task, tools, { ...head, layered: prepared.tree });
  }
  const own = await installChanged({ ...prepared.setup, commit, changes, changeSources, tree: prepared.tree }, tools);
  if (own.kind === "needs-input") return { kind: "done", result: { ok: false, outcome: own.outcome } };
  if (own.kind === "rejected") return rejectedFor(own);
  const { tree: layered, scripted } = own.dependencies;
  installed.defer(() => own.dependencies.dispose());
  const judged = await checkHead(task, tools, { ...head, layered });
  if (judged.kind === "done") return judged;
  if (judged.kind === "rejected" && scripted.length > 0)
    return { kind: "done", result: { ok: false, outcome: needsScripts(scripted) } };
  return { ...judged, next: { tree: layered, commit, sources: changeSources, changes } };
}

type Facts = "runId" | "kind" | "log" | "signal" | "settings" | "base" | "repository" | "whenPassed" | "merging";
export type CheckTask = Pick<AttemptTask, Facts> & {
  ledger?: AttemptTask["ledger"];
  paths?: AttemptTask["paths"];
  prepared: Pick<Prepared, "image" | "environment">;
  measuring: Pick<Measuring, "baseline">;
  progress?: () => void;
  /** Of each check, and of those about other paths; default: those of a leg. */
  bounds?: Pick<Leg, "limits" | "restMs">;
};

export interface Head extends Omit<JudgeParts, "place" | "installed"> {
  commit: string;
  /** The id of its tree in git. */
  treeId: string;
  changes: readonly Change[];
  /** What its checks stand on. */
  layered: Layered;
  sources: Sources;
}

/** Runs the checks on the rebuilt commit, compares them with the base's, and looks whether its tests fail without it. */
export async function checkHead(task: CheckTask, tools: Pick<Tools, "engine" | "redact">, head: Head): Promise<Judged> {
  const { log, signal, prepared, runId } = task;
  const { image, environment } = prepared;
  const { prepare, checks, env } = environment;
  const { commit, layered: tree, sources, round, submission } = head;
  const ordered = orderChecks(
    checks,
    head.changes.map(({ path }) => path),
  );
  const leg = {
    runId,
    dir: log.dir,
    leg: "head" as const,
    commit,
    tree,
    sources,
    image,
    env,
    prepare,
    checks: ordered.checks,
    rest: ordered.rest,
    signal,
    onCheck: recordTo(task, "head"),
    ...task.bounds,
  };
  const baseline = await task.measuring.baseline;
  if (baseline.broken !== undefined)
    return { kind: "done", result: { ok: false, outcome: brokenBase(baseline.broken) } };
  const results = await runLeg(tools.engine, leg);
  await log.append({ type: "checks", leg: "head", results });

  const verdict = await judge(task, tools, { head, leg, results, baseline });
  const passed = { commit, tree: head.treeId, submission, checks: { base: baseline.results, head: results }, verdict };
  const { decision, reason, bite } = verdict;
  const opens = decision === "ready" || decision === "draft";
  const lacksTest = bite.kind === "no-test" || bite.kind === "green-on-base";
  const isAsked = opens && lacksTest && head.mayAskForTest;
  const unwanted = opens ? await task.whenPassed?.(leg) : undefined;
  if (unwanted !== undefined) return { kind: "done", result: { ok: false, outcome: unwanted } };
  await log.append({ type: "gate", round, passed: opens && !isAsked, reason, ...passed, verdict: recordOf(verdict) });
  keepEvidence(log, passed);
  if (isAsked) return { kind: "without-test", result: { ok: true, passed }, reason };
  return opens ? { kind: "done", result: { ok: true, passed } } : rejectedBy(passed);
}

async function judge(
  task: CheckTask,
  tools: Pick<Tools, "engine" | "redact">,
  { head, leg, results, baseline }: { head: Head; leg: Leg; results: CheckSummary[]; baseline: Baseline },
): Promise<Verdict> {
  const { log, base, repository, settings } = task;
  const { flaky } = baseline;
  const { changes, sources } = head;
  const tracked = await trackedAt(sources, base);
  const before = async (path: string) => {
    const file = tracked.get(Buffer.from(path).toString("latin1"));
    return file && git(["cat-file", "blob", file.oid], atSources(sources));
  };
  const options = { redact: tools.redact, protect: settings.protect, paths: task.paths, ...requestOf(task) };
  const { findings: found, size, claim, testFiles } = await examineChange(changes, { before, tracked }, options);
  const findings = task.merging === undefined ? found : await ofMerge(task, task.merging, head.commit, found);
  const withTests = (check: CheckSummary): Ran => ({ check, tests: readTests(log.dir, check) });
  const ran = { base: baseline.results.map(withTests), head: results.map(withTests) };
  const seen = { saw: "flaky", run: task.runId, leg: "head", commit: head.commit } as const;
  await task.ledger?.note(seen, failingAgain(flaky, ran.head));
  const rows = compare(ran.base, ran.head, { flaky, isRemoved: await removedBy(changes, found, before) });
  const about = { rows, findings, size, claim };
  const obstacle = obstacleOf(rows, findings);
  if (obstacle !== undefined) return { ...obstacle, ...about, bite: { kind: "not-measured", why: "it did not pass" } };
  const onRan = (bitten: CheckSummary[]) => log.append({ type: "checks", leg: "bite", results: bitten });
  const bite = await measureBite(tools.engine, { leg, repository, base, changes, claim, testFiles, ran, flaky, onRan });
  return { ...decide(bite), ...about, bite };
}

/** What git alone made of both is nothing of this run's: it was judged before, or is a person's. */
async function ofMerge(
  { repository }: CheckTask,
  { tree }: Merging,
  commit: string,
  findings: readonly Finding[],
): Promise<Finding[]> {
  const made = await changedPaths(repository, tree, commit);
  return findings.filter(({ path }) => made.has(path));
}

/** What a person asked for. A review's pull request has a title of ours. */
function requestOf({ kind, log }: CheckTask): { request?: string; updates?: boolean; steadies?: boolean } {
  const asked = lastEvent(log.events, "snapshot");
  if (asked === undefined || kind === "review" || kind === "checks" || kind === "merge") return {};
  if (lastEvent(log.events, "updates") !== undefined) return { updates: true };
  if (lastEvent(log.events, "flaky") !== undefined) return { steadies: true };
  return { request: kind === "issue" ? asked.title : asked.body };
}

const causes: Partial<Record<Decision, GaveUpCause>> = { "already-red": "already red", "gate-broke": "the gate broke" };

function rejectedBy(passed: Passed): Judged {
  const { decision, reason, findings } = passed.verdict;
  const isBlocked = findings.some(({ weight }) => weight === "block");
  const failing = passed.checks.head.filter((check) => !check.passed && check.required && check.notRun !== true);
  const rows = verdictLines(passed.verdict);
  return {
    kind: "rejected",
    cause: causes[decision] ?? "gate rejected",
    // A check that was red before may be what the task is to mend.
    goesBack: decision === "rejected" || decision === "already-red",
    reason,
    rows,
    output: [rows.join("\n"), ...failing.map((check) => `$ ${check.run}\n${check.tail}`)].join("\n\n"),
    ...(isBlocked ? {} : { kept: passed }),
  };
}

export interface JudgeParts {
  place: Workplace;
  /** What the change installs is disposed of with it. */
  installed: AsyncDisposableStack;
  round: number;
  submission: Submission;
  /** Whether it goes back where no test of it fails without it. */
  mayAskForTest: boolean;
}

/**
 * The change as it stands: as text, for the agent to read and as a pull request would show it, and as a commit in the run's
 * own repository, where there is one that can be taken over.
 */
export async function readWork(
  { repository, base }: AttemptTask,
  place: Workplace,
  signal: AbortSignal,
): Promise<{ diff: string; commit?: string }> {
  const taken = await place.changes(signal);
  if (taken.kind === "refused") return { diff: `The change can't be taken over:\n${taken.reasons.join("\n")}` };
  if (taken.changes.length === 0) return { diff: "" };
  const built = await rebuildCommit(repository, base, taken.changes, signal).catch(unlessRefused);
  if (built instanceof ChangeRefused) return { diff: `The change can't be taken over: ${built.message}` };
  const { commit } = built;
  const patch = Buffer.from(await readPatch(repository, base, commit));
  if (patch.length <= diffBytes) return { diff: patch.toString("utf8"), commit };
  const { text } = renderOutput(patch.subarray(0, diffBytes / 2), patch.subarray(-diffBytes / 2), patch.length);
  return { diff: text, commit };
}

function unlessRefused(error: unknown): ChangeRefused {
  if (error instanceof ChangeRefused) return error;
  throw error;
}

function refused(output: string): Judged {
  return rejectedFor({ reason: "the change cannot be taken over", output });
}

function stillConflicting(paths: readonly string[]): { reason: string; output: string } {
  return {
    reason: "lines of git's that mark a conflict are still there",
    output: `In: ${paths.join(", ")}\nWhere both sides can't be kept, leave them, and submit again: a person decides.`,
  };
}

function rejectedFor({ reason, output }: { reason: string; output: string }): Extract<Judged, { kind: "rejected" }> {
  return { kind: "rejected", cause: "gate rejected", goesBack: true, reason, rows: [], output };
}

function noChange(submission: Submission): Outcome {
  return {
    outcome: "no-change",
    cause: undefined,
    detail: `${submission.cause}\n\n${submission.change}`,
    pull: undefined,
  };
}
