import type { Submission } from "../src/runlog.ts";
import { renderOutput } from "../sandbox/output.ts";
import type { Layered, Sources } from "../sandbox/workspace.ts";
import type { AttemptResult, AttemptTask, Passed } from "./attempt.ts";
import { changesDependencies, installChanged, needsScripts } from "./dependencies.ts";
import { judge, runLeg, verdictReason } from "./gate.ts";
import { ChangeRefused, readPatch, rebuildCommit } from "./rebuild.ts";
import type { Outcome, Tools } from "./run.ts";
import type { Workplace } from "./workplace.ts";

const diffBytes = 20_000;

/** `next`: where the agent goes on, when the change brought dependencies that are installed now. */
export type Judged =
  | { kind: "done"; result: AttemptResult }
  | { kind: "rejected"; reason: string; output: string; next?: Parameters<Workplace["moveTo"]>[0] };

/** Takes the change out as data, builds it into a commit, brings its dependencies about, and runs the checks on it. */
export async function judgeChange(
  task: AttemptTask,
  tools: Tools,
  { place, installed, round, submission }: JudgeParts,
): Promise<Judged> {
  const { signal, prepared, sources, base, repository } = task;
  const taken = await place.changes(signal);
  if (taken.kind === "refused") return refused(taken.reasons.join("\n"));
  const { changes } = taken;
  if (changes.length === 0) return { kind: "done", result: { ok: false, outcome: noChange(submission) } };
  const built = await rebuildCommit(repository, base, changes, signal).catch(unlessRefused);
  if (built instanceof ChangeRefused) return refused(built.message);

  const { commit, tree: treeId } = built;
  const changeSources = { ...sources, extraObjects: [...(sources.extraObjects ?? []), `${repository}/objects`] };
  const head = { commit, treeId, sources: changeSources, round, submission };
  if (!changesDependencies(changes)) {
    return checkHead(task, tools, { ...head, layered: prepared.tree });
  }
  const own = await installChanged({ ...prepared.setup, commit, changes, changeSources, tree: prepared.tree }, tools);
  if (own.kind === "needs-input") return { kind: "done", result: { ok: false, outcome: own.outcome } };
  if (own.kind === "rejected") return own;
  const { tree: layered, scripted } = own.dependencies;
  installed.defer(() => own.dependencies.dispose());
  const judged = await checkHead(task, tools, { ...head, layered });
  if (judged.kind === "done") return judged;
  if (scripted.length > 0) return { kind: "done", result: { ok: false, outcome: needsScripts(scripted) } };
  return { ...judged, next: { tree: layered, commit, sources: changeSources, changes } };
}

interface Head {
  commit: string;
  /** The id of its tree in git. */
  treeId: string;
  /** What its checks stand on. */
  layered: Layered;
  sources: Sources;
  round: number;
  submission: Submission;
}

/** Runs the checks on the rebuilt commit and compares them with the base's. */
async function checkHead(task: AttemptTask, tools: Tools, head: Head): Promise<Judged> {
  const { log, signal, prepared, runId, baseline } = task;
  const { image, environment } = prepared;
  const { prepare, checks, env } = environment;
  const { commit, layered: tree, sources, round, submission } = head;
  const leg = { runId, leg: "head" as const, commit, tree, sources, image, env, prepare, checks, signal };
  const results = await runLeg(tools.engine, leg);
  await log.append({ type: "checks", leg: "head", results });

  const verdict = judge(baseline, results);
  const reason = verdictReason(verdict);
  const passed: Passed = { commit, tree: head.treeId, submission, checks: { base: baseline, head: results } };
  await log.append({ type: "gate", round, passed: verdict.passed, reason, ...passed });
  if (verdict.passed) return { kind: "done", result: { ok: true, passed } };
  const failing = results.filter((check) => !check.passed && check.required);
  return { kind: "rejected", reason, output: failing.map((check) => `$ ${check.run}\n${check.tail}`).join("\n\n") };
}

export interface JudgeParts {
  place: Workplace;
  /** What the change installs is disposed of with it. */
  installed: AsyncDisposableStack;
  round: number;
  submission: Submission;
}

/** The change as it stands, for the agent to read: what the pull request would show. */
export async function renderDiff(
  { repository, base }: AttemptTask,
  place: Workplace,
  signal: AbortSignal,
): Promise<string> {
  const taken = await place.changes(signal);
  if (taken.kind === "refused") return `The change can't be taken over:\n${taken.reasons.join("\n")}`;
  if (taken.changes.length === 0) return "";
  const built = await rebuildCommit(repository, base, taken.changes, signal).catch(unlessRefused);
  if (built instanceof ChangeRefused) return `The change can't be taken over: ${built.message}`;
  const patch = Buffer.from(await readPatch(repository, base, built.commit));
  if (patch.length <= diffBytes) return patch.toString("utf8");
  return renderOutput(patch.subarray(0, diffBytes / 2), patch.subarray(-diffBytes / 2), patch.length).text;
}

function unlessRefused(error: unknown): ChangeRefused {
  if (error instanceof ChangeRefused) return error;
  throw error;
}

function refused(output: string): Judged {
  return { kind: "rejected", reason: "the change cannot be taken over", output };
}

function noChange(submission: Submission): Outcome {
  return {
    outcome: "no-change",
    cause: undefined,
    detail: `${submission.cause}\n\n${submission.change}`,
    pull: undefined,
  };
}
