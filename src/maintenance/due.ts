import type { Forge } from "../forge.ts";
import { quietCause } from "./decide.ts";
import type { Task } from "./decide.ts";
import type { TaskMemory } from "./memory.ts";
import { dueSlot } from "./schedule.ts";
import { autoclosed } from "./standing.ts";
import type { View } from "./standing.ts";

/** What makes a task due. */
export interface Due {
  /** Starts one run, however often it is found. */
  name: string;
  /** The newest time of its schedule, where one has come. */
  slot?: Date;
  /** A pull request that a person closed and then renamed. */
  renamed?: number;
}

/** Undefined where nothing does: no time of its schedule, no new title, and no run that found quiet hours. */
export function dueOf(
  task: Task,
  { slot: since, run, last }: TaskMemory,
  { now, renamed }: { now: Date; renamed?: number | undefined },
): Due | undefined {
  const slot = dueSlot(task, { since: new Date(since), now });
  const again = renamed === undefined ? {} : { renamed };
  if (slot !== undefined) return { name: slot.toISOString(), slot, ...again };
  if (renamed !== undefined) return { name: `renamed-${renamed}`, ...again };
  const hasWaited = run !== undefined && last?.run === run.id && last.cause === quietCause;
  return hasWaited ? { name: `after-${run.id}` } : undefined;
}

/** What is remembered of a task once that is done with. */
export function doneWith(memory: TaskMemory, { slot, renamed }: Due): TaskMemory {
  return {
    ...memory,
    ...(slot !== undefined && { slot: slot.toISOString() }),
    ...(renamed !== undefined && { renamed }),
  };
}

/** The task's newest pull request, where a person closed it unmerged and renamed it since, and that was not seen to yet. */
export async function renamedPull(
  forge: Forge,
  { pulls, memory, standing }: Pick<View, "pulls" | "memory" | "standing">,
): Promise<number | undefined> {
  const last = pulls.at(-1);
  if (last === undefined || standing.isLive || standing.open !== undefined || standing.closed !== undefined)
    return undefined;
  const { number, merged, closedAt, title } = last;
  const { reopened = 0, renamed = 0 } = memory;
  if (merged || closedAt === undefined || title.endsWith(autoclosed) || Math.max(reopened, renamed) >= number)
    return undefined;
  return (await forge.renamedSince(number, closedAt)) ? number : undefined;
}
