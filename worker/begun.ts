import type { Submission } from "../src/runlog.ts";
import type { Change } from "../sandbox/changes.ts";
import { attempt } from "./attempt.ts";
import type { AttemptResult, AttemptTask } from "./attempt.ts";
import { changesDependencies, installChanged } from "./dependencies.ts";
import type { EarlierWork } from "./earlier.ts";
import { rejectionText } from "./endings.ts";
import { judgeChanges } from "./judge.ts";
import type { Judged } from "./judge.ts";
import { gaveUp, needsInput } from "./outcome.ts";
import { ChangeRefused, rebuildCommit } from "./rebuild.ts";
import type { Outcome, Tools } from "./run.ts";

/** What the harness itself makes of a task before any model is asked. */
export type Begun = { kind: "nothing" } | { kind: "over"; outcome: Outcome } | { kind: "change"; change: OwnChange };

interface OwnChange {
  changes: readonly Change[];
  /** Where it may be all that there is to do: it is judged as it stands. Without, the agent begins on it. */
  submission?: Submission | undefined;
}

/** The attempt from there. A change of the harness that passes needs no agent; else the agent is told why it does not. */
export async function attemptBegun(task: AttemptTask, tools: Tools, begun: Begun): Promise<AttemptResult> {
  switch (begun.kind) {
    case "nothing":
      return attempt(task, tools);
    case "over":
      return { ok: false, outcome: begun.outcome };
    case "change":
      return attemptFrom(task, tools, begun.change);
  }
}

async function attemptFrom(
  task: AttemptTask,
  tools: Tools,
  { changes, submission }: OwnChange,
): Promise<AttemptResult> {
  // What it installs stands below the agent's tree, so it goes after that.
  await using installed = new AsyncDisposableStack();
  const parts = { changes, installed, round: 0, mayAskForTest: false };
  const judged = submission && (await judgeChanges(task, tools, { ...parts, submission }));
  if (judged !== undefined && judged.kind !== "rejected") return judged.result;
  // What came to no verdict is not for the agent to mend, nor what was red before, but where the pull request was for that.
  const isMendable = judged?.cause === "gate rejected" || (task.merging !== undefined && judged?.goesBack === true);
  if (judged !== undefined && !isMendable) {
    return { ok: false, outcome: gaveUp(judged.cause, rejectionText(judged)) };
  }
  const goesOnFrom = await startFrom(task, tools, { changes, installed, judged });
  if (goesOnFrom instanceof ChangeRefused) {
    const cause = task.merging === undefined ? "update failed" : "merge refused";
    return { ok: false, outcome: needsInput(cause, `git can't take it in: ${goesOnFrom.message}`) };
  }
  return await attempt(
    { ...task, goesOnFrom, messages: (contextTokens) => task.messages(contextTokens, judged) },
    tools,
  );
}

/** The change as a commit in the run's own repository, on a tree that has its dependencies where they can be had. */
async function startFrom(
  task: AttemptTask,
  tools: Tools,
  {
    changes,
    installed,
    judged,
  }: {
    changes: readonly Change[];
    installed: AsyncDisposableStack;
    judged: Extract<Judged, { kind: "rejected" }> | undefined;
  },
): Promise<EarlierWork | ChangeRefused> {
  const { repository, base, signal, sources, prepared } = task;
  const built = await rebuildCommit(repository, base, changes, signal).catch((error: unknown) => {
    if (error instanceof ChangeRefused) return error;
    throw error;
  });
  if (built instanceof ChangeRefused) return built;
  const { commit } = built;
  const objects = `${repository}/objects`;
  const work = { commit, changes: [...changes], objects };
  if (judged !== undefined || !changesDependencies(changes)) return { ...work, tree: judged?.next?.tree };
  const changeSources = { ...sources, extraObjects: [...(sources.extraObjects ?? []), objects] };
  const own = await installChanged({ ...prepared.setup, commit, changes, changeSources, tree: prepared.tree }, tools);
  if (own.kind !== "installed") return work;
  installed.defer(() => own.dependencies.dispose());
  return { ...work, tree: own.dependencies.tree };
}
