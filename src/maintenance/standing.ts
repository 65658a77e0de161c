import { ourPulls, taskBranch } from "../branches.ts";
import type { Forge, Pull } from "../forge.ts";
import { isPersons } from "../hands-off.ts";
import { taskPrefix } from "../triggers.ts";
import type { Standing, Task } from "./decide.ts";
import { definitionOf, parseTaskMark } from "./mark.ts";
import type { TaskMemory } from "./memory.ts";

/** What is known of one task while a repository is looked after. What is started or asked for changes it. */
export interface View {
  key: string;
  task: Task;
  memory: TaskMemory;
  standing: Standing;
  /** Ours for the task, oldest first. */
  pulls: readonly Pull[];
}

/** Ends the title of a pull request that we closed ourselves, since its task is not needed any more. */
export const autoclosed = " - autoclosed";
/** Ends the title of one that a person wrote to: that one stays open. */
export const abandoned = " - abandoned";

/**
 * What the code host says of a task: its pull requests, whether a person took them over or turned them down, and all the
 * contents that people turned down.
 */
export async function readPulls(
  forge: Forge,
  { key, task, memory }: Pick<View, "key" | "task" | "memory">,
  botLogin: string,
): Promise<Pick<Standing, "open" | "closed"> & { pulls: Pull[]; turnedDown: string[] }> {
  const pulls = await ourPulls(forge, taskBranch(key), memory.branches);
  const open = pulls.find(({ state }) => state === "open");
  const none = { pulls, open: undefined, closed: undefined, turnedDown: [] };
  if (open !== undefined) return { ...none, open: { ...open, isEdited: await isPersons(forge, open, botLogin) } };
  const last = pulls.at(-1);
  if (last === undefined || (memory.reopened ?? 0) >= last.number) return none;
  const mark = parseTaskMark(last.body);
  if (mark !== undefined && mark.definition !== definitionOf(task)) return none;
  const { content, turnedDown = [] } = mark ?? {};
  if (!(await isTurnedDown(forge, last))) return { ...none, turnedDown };
  return {
    ...none,
    closed: { ...last, content },
    turnedDown: [...turnedDown, ...(content === undefined ? [] : [content])],
  };
}

/** Closed unmerged by a person, who did not rename it since. */
async function isTurnedDown(forge: Forge, { number, merged, title, closedAt }: Pull): Promise<boolean> {
  if (merged || closedAt === undefined || title.endsWith(autoclosed)) return false;
  return !(await forge.renamedSince(number, closedAt));
}

/** Our open pull requests that say which task they are of; one whose text a person rewrote does not. */
export async function openTaskPulls(forge: Forge): Promise<{ key: string; pull: Pull }[]> {
  const open = await forge.openPulls();
  return open
    .filter(({ head }) => head.branch.startsWith(taskPrefix))
    .flatMap((pull) => {
      const key = parseTaskMark(pull.body)?.key;
      return key === undefined ? [] : [{ key, pull }];
    });
}
