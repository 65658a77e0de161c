import type { Redis } from "ioredis";
import { RefusedError } from "../errors.ts";
import type { Forge, Pull } from "../forge.ts";
import { isPersons, sayHandsOff } from "../hands-off.ts";
import type { IntakeDeps } from "../intake/start.ts";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";
import { inlineCode } from "../text.ts";
import { say, unlessLocked } from "./say.ts";
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
  const plain = title.endsWith(autoclosed) ? title.slice(0, -autoclosed.length) : title;
  if (await isPersons(forge, { number, head }, botLogin)) {
    if (title.endsWith(abandoned)) return;
    const text = `${why} Somebody else wrote to this branch, so it stays open, and is left to you.`;
    await say(forge, number, mark, text);
    await forge.editPull(number, { title: `${plain}${abandoned}` });
    return;
  }
  await say(forge, number, mark, `${why} So I close this.`);
  // It is open until its branch is gone, so that what fails in between is found again.
  await forge.editPull(number, { title: `${plain}${autoclosed}` });
  const gone = await host.forge(repo, "publish").ensureBranchGone(head.branch, head.commit).catch(unlessRefused);
  // Somebody wrote to it meanwhile.
  if (gone === "moved") return forge.editPull(number, { title: plain });
  await forge.editPull(number, { state: "closed" });
}

/** A branch that a rule keeps stays. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof RefusedError)) throw error;
}

/** A task's open pull request. */
export function openIn({ pulls, standing: { open } }: View): Pull | undefined {
  return pulls.find(({ number }) => number === open?.number);
}

/** Says once on a pull request that a person pushed to that it is left to them. */
export async function tellEdited(forge: Forge, redis: Redis, views: readonly View[]): Promise<void> {
  for (const view of views) {
    const pull = openIn(view);
    if (pull === undefined || view.standing.open?.isEdited !== true || view.memory.isIgnored === true) continue;
    const about = `edited:${forge.repo.id}:${pull.number}:${pull.head.commit}`;
    await once(redis, about, () => unlessLocked(sayHandsOff(forge, pull)));
  }
}

/** Says once on a pull request that a person closed what that means. */
export async function tellTurnedDown(forge: Forge, redis: Redis, views: readonly View[]): Promise<void> {
  for (const { key, standing } of views) {
    if (standing.closed === undefined) continue;
    const { number, content } = standing.closed;
    const mark = "<!-- agent-fix:turned-down -->";
    const goesOn = content === undefined ? "" : ` The task goes on with all but ${inlineCode(content)}.`;
    const text = `Closed: I will not open this again by myself.${goesOn} Rename this pull request, say \`/agent-fix run ${key}\`, or tick its box in the dashboard to get a new one.`;
    await once(redis, `turned-down:${forge.repo.id}:${number}`, () => say(forge, number, mark, text));
  }
}

/** What was told stands there: to look whether it does would cost a call each time. */
async function once(redis: Redis, about: string, tell: () => Promise<void>): Promise<void> {
  const told = `${redisPrefix}:${about}`;
  if ((await within(3000, redis.exists(told))) === 1) return;
  await tell();
  await within(3000, redis.set(told, "1", "EX", 90 * 24 * 3600));
}
