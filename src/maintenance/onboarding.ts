import { ourPulls } from "../branches.ts";
import type { Forge } from "../forge.ts";
import { newRun } from "../intake/start.ts";
import type { IntakeDeps } from "../intake/start.ts";
import type { RepoRef } from "../job.ts";
import { configureBranch } from "../triggers.ts";

/**
 * A repository without settings gets one pull request with them. Merged or closed, it was answered; one that was closed
 * and renamed since is wanted after all. A run that ends without one is tried again the next day.
 */
export async function onboard(
  repo: RepoRef,
  { host, queues, log, now }: IntakeDeps,
  forge: Forge,
  defaultBranch: string,
): Promise<void> {
  const last = (await ourPulls(forge, configureBranch)).at(-1);
  if (last !== undefined && !(await isWantedAgain())) return;
  if ((await forge.branchHead(defaultBranch)) === undefined) return;
  const { id, botLogin } = await host.app();
  const day = now().toISOString().slice(0, 10);
  const trigger = `${last === undefined ? "first-contact" : `renamed-${last.number}`}-${day}`;
  const run = newRun(repo, { kind: "onboarding" }, { id, login: botLogin }, trigger);
  if (await queues.addRun(run))
    log.info({ repo: `${repo.owner}/${repo.name}`, run: run.runId }, "a repository is to get its first settings");

  async function isWantedAgain(): Promise<boolean> {
    if (last?.closedAt === undefined || last.merged) return false;
    return forge.renamedSince(last.number, last.closedAt);
  }
}
