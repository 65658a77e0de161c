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

/** Our pull requests for a subject's branch, whichever of its newest names they have, oldest first. `from`: a number known to be used. */
export async function ourPulls(forge: Forge, name: string, from = 1): Promise<Pull[]> {
  const found = (await newestNames(forge, name, from)).flatMap(({ pulls }) => pulls.filter((pull) => pull.ours));
  return found.sort((one, other) => one.number - other.number);
}

/** The one of them that is open. */
export async function openPull(forge: Forge, name: string): Promise<Pull | undefined> {
  return (await ourPulls(forge, name)).find(({ state }) => state === "open");
}

/** One of the numbered names of a subject's branch, and what was done with it. */
export interface UsedName {
  branch: string;
  number: number;
  head: string | undefined;
  pulls: Pull[];
}

/** People's own branches may end in a date. */
const mostNumber = 999_999;
/** Who looks for something of the newest run finds it here: beside names of ours, a person may have taken one. */
const mostNames = 3;

/**
 * The used names with the highest numbers, lowest first. Names are used in turn, so the highest is searched for in
 * growing steps: a branch that was merged is used for ever, and a task may have hundreds. Beside what that finds are the
 * highest branches that there are, since people may have deleted one below them that never had a pull request.
 */
export async function newestNames(forge: Forge, name: string, from = 1): Promise<UsedName[]> {
  const seen = new Map<number, UsedName>();
  const look = async (number: number): Promise<UsedName> => {
    const branch = branchName(name, number);
    const [head, pulls] = await Promise.all([forge.branchHead(branch), forge.pullsFrom(branch)]);
    const found = { branch, number, head, pulls };
    seen.set(number, found);
    return found;
  };
  const isUsed = async (number: number) => {
    const { head, pulls } = await look(number);
    return head !== undefined || pulls.length > 0;
  };
  let used = from - 1;
  let free = from;
  for (let step = 1; await isUsed(free); step *= 2) {
    used = free;
    free += step;
  }
  while (free - used > 1) {
    const middle = Math.floor((used + free) / 2);
    if (await isUsed(middle)) used = middle;
    else free = middle;
  }
  const kept = (await forge.branchesFrom(`${name}-`)).flatMap((branch) => numberIn(name, branch) ?? []);
  const highest = kept.toSorted((one, other) => other - one).slice(0, mostNames);
  const found = Array.from({ length: Math.min(mostNames, used) }, (_, i) => used - i);
  const numbers = [...new Set([...found, ...highest])].toSorted((one, other) => one - other);
  return Promise.all(numbers.map(async (number) => seen.get(number) ?? look(number)));
}

/** The name with a number; the first has none. */
export function branchName(name: string, number: number): string {
  return number === 1 ? name : `${name}-${number}`;
}

/** The number in a name; undefined where it is no name of the subject. */
export function numberIn(name: string, branch: string): number | undefined {
  if (branch === name) return 1;
  const number = branch.startsWith(`${name}-`) ? Number(branch.slice(name.length + 1)) : 0;
  return number <= mostNumber && branch === branchName(name, number) ? number : undefined;
}
