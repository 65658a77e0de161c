import type { Pull } from "../src/forge.ts";
import { isPersons } from "../src/hands-off.ts";
import { cancelled } from "./outcome.ts";
import type { Outcome, Run, WorkerDeps } from "./run.ts";

/**
 * Why a run that we began by ourselves leaves our pull request alone: it may have waited for hours, and a person closed
 * the pull request or pushed to its branch since; undefined where nobody did.
 */
export async function takenOver(
  { job: { repo, actor } }: Run,
  { host }: Pick<WorkerDeps, "host">,
  pull: Pull,
): Promise<Outcome | undefined> {
  if (pull.state !== "open") return cancelled("the pull request is closed");
  const { botLogin } = await host.app();
  // A person who asks for it knows what stands there.
  if (actor.login !== botLogin) return undefined;
  const isTheirs = await isPersons(host.forge(repo, "report"), pull, botLogin);
  return isTheirs ? cancelled("a person pushed to its branch") : undefined;
}
