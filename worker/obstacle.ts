import { OutageError } from "../src/errors.ts";
import { mayWrite } from "../src/forge.ts";
import { forkOf } from "./checkout.ts";
import type { Delivery } from "./deliver.ts";
import { cancelled, needsInput } from "./outcome.ts";
import type { Outcome, Run, WorkerDeps } from "./run.ts";
import { fetchNow } from "./source.ts";

/** What has happened on the code host while a run worked, so that its change is not to be published; undefined: nothing. */
export async function obstacleTo(run: Run, deps: WorkerDeps, delivery: Delivery): Promise<Outcome | undefined> {
  const { to } = delivery;
  const { repo, actor, subject } = run.job;
  const forge = deps.host.forge(repo, "report");
  // What we see to by ourselves is asked for by the settings.
  const isAsked = !actor.login.endsWith("[bot]");
  const [permission, issue] = await Promise.all([
    isAsked ? forge.permission(actor.login) : undefined,
    subject.kind === "issue" ? forge.issue(subject.number) : undefined,
  ]);
  if (permission !== undefined && !mayWrite(permission)) return cancelled(`${actor.login} no longer has write access`);
  if (issue?.state === "closed") return cancelled("the issue was closed while I worked");
  if ("head" in to) {
    const { state } = await forge.pull(to.number);
    if (state !== "open") return cancelled(`#${to.number} was closed while I worked`);
  }
  const into = baseBranch(delivery);
  return into === undefined ? undefined : takenOut(run, deps, delivery, into);
}

/** The branch that the change is to join, where it stands on that one. */
function baseBranch({ merges, to }: Delivery): string | undefined {
  if ("head" in to) return merges === undefined ? undefined : to.base;
  return to.pull?.into;
}

/** A pull request would bring back what somebody took out of the branch. */
async function takenOut(
  run: Run,
  deps: WorkerDeps,
  { source, base }: Delivery,
  into: string,
): Promise<Outcome | undefined> {
  const head = await deps.host.forge(run.job.repo, "report").branchHead(into);
  if (head === base) return undefined;
  const mirror = await fetchNow(run, source.facts, deps);
  if (head === undefined)
    throw new OutageError(`the branch ${into} is gone: where it was renamed, the next try finds it`);
  if ((await forkOf(mirror, base, head)) === base) return undefined;
  return needsInput(
    "branch moved",
    `The reason: \`${into}\` was force-pushed and has no longer the commit ${base.slice(0, 7)}, which my change stands on.`,
  );
}
