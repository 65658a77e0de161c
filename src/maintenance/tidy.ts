import type { Redis } from "ioredis";
import type { Forge, Pull } from "../forge.ts";
import { isPersons } from "../hands-off.ts";
import type { IntakeDeps } from "../intake/start.ts";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";
import { say } from "./say.ts";
import { abandoned, autoclosed, openTaskPulls } from "./standing.ts";
import type { View } from "./standing.ts";

/** Ends the pull requests of tasks that are no longer in the settings. */
export async function closeUnneeded(
  deps: Pick<IntakeDeps, "host">,
  repo: RepoRef,
  keys: readonly string[],
): Promise<void> {
  for (const { key, pull } of await openTaskPulls(deps.host.forge(repo, "report"))) {
    if (!keys.includes(key)) await endUnneeded(deps, repo, pull, `The task \`${key}\` is no longer in the settings.`);
  }
}

/** A pull request that nobody needs any more is closed and its branch deleted; one that a person wrote to is theirs. */
export async function endUnneeded(
  { host }: Pick<IntakeDeps, "host">,
  repo: RepoRef,
  { number, title, head }: Pick<Pull, "number" | "title" | "head">,
  why: string,
): Promise<void> {
  const forge = host.forge(repo, "report");
  const { botLogin } = await host.app();
  const mark = "<!-- agent-fix:autoclosed -->";
  if (await isPersons(forge, { number, head }, botLogin)) {
    if (title.endsWith(abandoned)) return;
    const text = `${why} Somebody else wrote to this branch, so it stays open, and is left to you.`;
    await say(forge, number, mark, text);
    await forge.editPull(number, { title: `${title}${abandoned}` });
    return;
  }
  await say(forge, number, mark, `${why} So I close this.`);
  await forge.editPull(number, { title: `${title}${autoclosed}`, state: "closed" });
  await host.forge(repo, "publish").ensureBranchGone(head.branch, head.commit);
}

/** Says once on a pull request that a person closed what that means. */
export async function tellTurnedDown(forge: Forge, redis: Redis, views: readonly View[]): Promise<void> {
  for (const { key, standing } of views) {
    const number = standing.closed?.number;
    if (number === undefined) continue;
    const told = `${redisPrefix}:turned-down:${forge.repo.id}:${number}`;
    if ((await within(3000, redis.exists(told))) === 1) continue;
    const mark = "<!-- agent-fix:turned-down -->";
    const text = `Closed: I will not open this again by myself. Rename this pull request, say \`/agent-fix run ${key}\`, or tick its box in the dashboard to get a new one.`;
    await say(forge, number, mark, text);
    await within(3000, redis.set(told, "1", "EX", 90 * 24 * 3600));
  }
}
