import type { Forge } from "../forge.ts";
import { sayStartedOver } from "../hands-off.ts";
import type { IntakeDeps } from "../intake/start.ts";
import type { Actor, RepoRef } from "../job.ts";
import type { Verb } from "./dashboard.ts";
import { unlessLocked } from "./say.ts";
import { startTask } from "./start.ts";
import { autoclosed } from "./standing.ts";
import { openIn } from "./tidy.ts";
import type { View } from "./standing.ts";

/** What a person wants of a task, by a box of the dashboard or by a command. */
export interface Ask {
  verb: Verb | "ignore" | "unignore";
  key: string;
  actor: Actor;
  /** Names what they said or ticked, so that it counts once. */
  trigger: string;
}

/** Does it, and returns what to answer. Schedules and limits do not bind a person. */
export async function applyAsk(
  ask: Ask,
  views: readonly View[],
  { deps, repo, forge }: { deps: Pick<IntakeDeps, "queues" | "inbox" | "log">; repo: RepoRef; forge: Forge },
): Promise<string> {
  const { verb, key } = ask;
  const view = views.find((one) => one.key === key);
  if (view === undefined) return unknownTask(key, views);
  if (verb === "ignore") {
    await stop(view, ask, deps);
    view.memory = { ...view.memory, isIgnored: true };
    return `I leave \`${key}\` alone until somebody says \`/agent-fix unignore ${key}\`.`;
  }
  if (verb === "unignore") {
    wantAgain(view);
    return `\`${key}\` is back on its schedule.`;
  }
  const { open } = view.standing;
  if (open?.isEdited === true) {
    if (verb !== "recreate")
      return `#${open.number} has commits of somebody else, so I leave it alone. The dashboard has a box that starts over.`;
    await closeEdited(forge, view, ask.actor);
  }
  if (view.standing.isLive) return `\`${key}\` is at work already.`;
  wantAgain(view);
  await startTask(deps, repo, view, ask);
  return `\`${key}\` is queued.`;
}

/** Ends the run that waits or works. */
async function stop(
  view: View,
  { actor }: Ask,
  { queues, inbox }: Pick<IntakeDeps, "queues" | "inbox">,
): Promise<void> {
  const { run, ...rest } = view.memory;
  if (run === undefined || !view.standing.isLive) return;
  await inbox.send(run.id, { kind: "stop", by: actor.login, reason: "its task is to be ignored" });
  if (!(await queues.removeWaiting(run.id))) return queues.hasten(run.id);
  // The same may be asked for again, and is not to find itself stopped.
  await inbox.delete(run.id);
  view.memory = rest;
  view.standing = { ...view.standing, isLive: false };
}

function wantAgain(view: View): void {
  const { isIgnored: _, ...rest } = view.memory;
  const last = view.pulls.at(-1);
  view.memory = { ...rest, ...(last !== undefined && { reopened: last.number }) };
  view.standing = { ...view.standing, closed: undefined };
}

/** What people pushed stays on its branch: nothing is forced or deleted. */
async function closeEdited(forge: Forge, view: View, by: Actor): Promise<void> {
  const open = openIn(view);
  if (open === undefined) return;
  const { number, title } = open;
  await unlessLocked(sayStartedOver(forge, open, by));
  await forge.editPull(number, {
    title: title.endsWith(autoclosed) ? title : `${title}${autoclosed}`,
    state: "closed",
  });
  view.standing = { ...view.standing, open: undefined };
}

function unknownTask(key: string, views: readonly View[]): string {
  const known = views.map((view) => `\`${view.key}\``).join(", ");
  const there = known === "" ? "There are none in `.github/agent-fix.yml`." : `There are ${known}.`;
  return `I know no task \`${key.replaceAll(/[^\w-]/g, "").slice(0, 40)}\`. ${there}`;
}
