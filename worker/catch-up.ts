import { join } from "node:path";
import { OutageError } from "../src/errors.ts";
import type { Pull } from "../src/forge.ts";
import type { Stamped } from "../src/runlog.ts";
import type { Passed } from "./attempt.ts";
import { showCheckRun } from "./check-run.ts";
import { commitOf, forkOf } from "./checkout.ts";
import { ciHeld } from "./ci.ts";
import { deliverFor } from "./deliver.ts";
import type { Delivered, Delivery } from "./deliver.ts";
import { mergeCommits } from "./merge.ts";
import type { Merged } from "./merge.ts";
import { commitMessage } from "./publish.ts";
import type { Run, WorkerDeps } from "./run.ts";
import { fetchNow } from "./source.ts";

const mostTries = 3;
const caughtUp =
  "The branch received new commits while I worked; they are merged, but my checks ran before that merge.";

/** What people have to know of a commit that was delivered so; nothing where its branch had not moved. */
export function caughtUpIn(events: readonly Stamped[]): string[] {
  return events.some((event) => event.type === "note" && event.text === caughtUp) ? [caughtUp] : [];
}

/** Delivers what passed to a new branch, or as one more commit to our open pull request. */
export async function deliverTo(run: Run, deps: WorkerDeps, passed: Passed, delivery: Delivery): Promise<Delivered> {
  const { to } = delivery;
  return "head" in to ? deliverRound(run, deps, passed, { ...delivery, to }) : deliverFor(run, deps, passed, delivery);
}

interface Round extends Delivery {
  to: Pull;
}

/**
 * Delivers one more commit to our open pull request. Where somebody else wrote to its branch meanwhile, and git joins both
 * without a conflict, a merge of both follows the commit; the check run stays beside the commit that was checked.
 */
export async function deliverRound(run: Run, deps: WorkerDeps, passed: Passed, round: Round): Promise<Delivered> {
  const { to, base } = round;
  const delivered = await deliverFor(run, deps, passed, round);
  if (delivered.ok) return delivered;
  const { made } = delivered;
  for (let tries = 0; tries < mostTries; tries++) {
    const onto = await newHead(run, deps, round);
    if (onto === undefined) break;
    const merged = await mergeCommits(join(run.log.dir, "repo.git"), { head: passed.commit, base: onto }, run.signal);
    if (!isJoined(merged)) break;
    const commit = merged.kind === "spent" ? onto : await pushMerge(run, round, { merged, onto, made });
    if (commit === undefined) continue;
    await run.log.append({ type: "note", text: caughtUp });
    await showCheckRun(run, deps.host.forge(run.job.repo, "check"), { passed, base, commit: made, pull: to });
    return { ok: true, commit, branch: to.head.branch, pull: to };
  }
  return delivered;
}

/** Where the branch stands now; undefined where it no longer has what the change stands on: that was taken out of it. */
async function newHead(run: Run, deps: WorkerDeps, { source, base, to }: Round): Promise<string | undefined> {
  const mirror = await fetchNow(run, source.facts, deps);
  const head = await commitOf(mirror, to.head.branch);
  return head !== undefined && (await forkOf(mirror, base, head)) === base ? head : undefined;
}

type Joined = Extract<Merged, { kind: "spent" | "merged" }>;

function isJoined(merged: Merged): merged is Joined {
  return merged.kind === "spent" || (merged.kind === "merged" && merged.merging.conflicts.length === 0);
}

/** Undefined where the branch has moved again. */
async function pushMerge(
  run: Run,
  { source: { mirror, trusted, settings, facts }, to }: Round,
  { merged, onto, made }: { merged: Extract<Joined, { kind: "merged" }>; onto: string; made: string },
): Promise<string | undefined> {
  const { changes, merging } = merged;
  const title = "Merge what was pushed meanwhile";
  const held = await ciHeld(mirror, trusted, { ci: settings.ci, isPrivate: facts.private });
  const message = commitMessage({ title, why: caughtUp, runId: run.job.runId, held });
  const change = {
    base: onto,
    parents: [onto, made],
    message,
    files: changes.filter((one) => one.mode !== "deleted"),
    deleted: changes.flatMap(({ path, mode }) => (mode === "deleted" ? [path] : [])),
  };
  await run.guard();
  return run.withToken("publish", async (writer) => {
    const { commit, tree: built } = await writer.createCommit(change);
    if (built !== merging.tree) throw new OutageError(`the code host built tree ${built}, and git ${merging.tree}`);
    return (await writer.ensureBranch(to.head.branch, commit, onto)) === "done" ? commit : undefined;
  });
}
