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

/** What the code host says of a task: its pull requests, and whether a person took them over or turned them down. */
export async function readPulls(
  forge: Forge,
  { key, task, memory }: Pick<View, "key" | "task" | "memory">,
  botLogin: string,
): Promise<Pick<Standing, "open" | "closed"> & { pulls: Pull[] }> {
  const pulls = await ourPulls(forge, taskBranch(key), memory.branches);
  const open = pulls.find(({ state }) => state === "open");
  if (open !== undefined)
    return { pulls, open: { ...open, isEdited: await isPersons(forge, open, botLogin) }, closed: undefined };
  const last = pulls.at(-1);
  const closed = last !== undefined && (await isTurnedDown(forge, last, { task, memory })) ? last : undefined;
  return { pulls, open: undefined, closed };
}

/** Closed unmerged by a person: that counts until they rename it or ask for it again, or the task asks for something else. */
async function isTurnedDown(
  forge: Forge,
  { number, merged, title, body, closedAt }: Pull,
  { task, memory }: { task: Task; memory: TaskMemory },
): Promise<boolean> {
  if (merged || closedAt === undefined || title.endsWith(autoclosed) || memory.reopened === number) return false;
  const mark = parseTaskMark(body);
  if (mark !== undefined && mark.definition !== definitionOf(task)) return false;
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
