import type { Forge, Pull } from "./forge.ts";
import { branchPrefix, taskPrefix } from "./triggers.ts";

/** The branch of an issue's first pull request. */
export function issueBranch(number: number): string {
  return `${branchPrefix}issue-${number}`;
}

/** The branch of a task's first pull request. */
export function taskBranch(key: string): string {
  return `${taskPrefix}${key}`;
}

/** Our pull requests for a subject's branch, whichever of the numbered names they have, oldest first. */
export async function ourPulls(forge: Forge, name: string): Promise<Pull[]> {
  const found: Pull[] = [];
  for await (const { pulls } of usedNames(forge, name)) found.push(...pulls.filter((pull) => pull.ours));
  return found.sort((one, other) => one.number - other.number);
}

/** The one of them that is open. */
export async function openPull(forge: Forge, name: string): Promise<Pull | undefined> {
  return (await ourPulls(forge, name)).find(({ state }) => state === "open");
}

/** The numbered names of a subject's branch, up to and with the first that nobody used. */
export async function* usedNames(forge: Forge, name: string) {
  for (let i = 1; i <= 100; i++) {
    const branch = i === 1 ? name : `${name}-${i}`;
    const [head, pulls] = await Promise.all([forge.branchHead(branch), forge.pullsFrom(branch)]);
    yield { branch, head, pulls };
    if (head === undefined && pulls.length === 0) return;
  }
}
