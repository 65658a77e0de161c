import type { Settings } from "../settings.ts";
import type { TaskMemory } from "./memory.ts";
import { isQuiet } from "./schedule.ts";

/** How the trigger of a run begins that became due, and that nobody asked for now: schedule, limits and quiet hours bind it. */
export const slotTrigger = "slot-";
/** How a run ends that found quiet hours when its turn came: it is due again after them. */
export const quietCause = "quiet hours";

export type Task = Settings["maintenance"][string];

/** What the code host and the queue say of a task. */
export interface Standing {
  /** A run of it waits or works. */
  isLive: boolean;
  /** Its open pull request. */
  open:
    | { number: number; url: string; title: string /** Somebody else wrote to its branch. */; isEdited: boolean }
    | undefined;
  /**
   * Its newest pull request, where a person closed it unmerged, and that still counts: for the task as a whole, or for the
   * content that it was about.
   */
  closed: { number: number; url: string; title: string; content?: string | undefined } | undefined;
}

/** What counts for all tasks of a repository. */
export interface Room {
  now: Date;
  /** Pull requests that are open, and runs that may open one. */
  open: number;
  /** New ones within the last hour. */
  lastHour: number;
}

/** Why nothing is started. Each has its place in the dashboard. */
export type Wait =
  | "not-due"
  | "works"
  | "ignored"
  | "closed"
  | "edited"
  | "open"
  | "too-many-open"
  | "too-many-in-an-hour"
  | "quiet-hours";

export type TaskDecision =
  | { do: "start"; trigger: string }
  /** Started and not ended, and no longer in the queue: the queue was lost. */
  | { do: "start-again" }
  /** `isOver`: its time has passed all the same. */
  | { do: "wait"; why: Wait; isOver: boolean };

interface Known {
  task: Task;
  memory: TaskMemory;
  /** Names what makes it due, if anything does. */
  due: string | undefined;
}

/** Pure: what to do about a task. The first rule that fits decides. */
export function decideTask(known: Known, standing: Standing, room: Room, limits: Settings["unattended"]): TaskDecision {
  const { task, memory, due } = known;
  const { open } = standing;
  if (standing.isLive) return wait("works");
  const left = leftAlone(memory, standing);
  if (left !== undefined) return over(left);
  if (memory.run !== undefined && memory.last?.run !== memory.run.id) return { do: "start-again" };
  if (due === undefined) return wait(open === undefined ? "not-due" : "open");
  // What a person is to read does not grow under their eyes; what tools made is brought up to date.
  if (open !== undefined && !isMadeByTools(task)) return over("open");
  const held = heldBack(open === undefined, room, limits);
  return held === undefined ? { do: "start", trigger: `${slotTrigger}${due}` } : wait(held);
}

/** What a person wants left alone. */
function leftAlone({ isIgnored }: TaskMemory, { open, closed }: Standing): Wait | undefined {
  if (isIgnored === true) return "ignored";
  if (closed !== undefined && closed.content === undefined) return "closed";
  return open?.isEdited === true ? "edited" : undefined;
}

function heldBack(isNew: boolean, room: Room, limits: Settings["unattended"]): Wait | undefined {
  if (isNew && room.open >= limits.open) return "too-many-open";
  if (isNew && room.lastHour >= limits.hourly) return "too-many-in-an-hour";
  return isQuiet(limits.quiet, limits.timezone, room.now) ? "quiet-hours" : undefined;
}

/** Whether the harness itself makes the change, so that it says anew what it is today. */
function isMadeByTools({ use, update }: Task): boolean {
  return use === "dependencies" || update.length > 0;
}

function wait(why: Wait): TaskDecision {
  return { do: "wait", why, isOver: false };
}

function over(why: Wait): TaskDecision {
  return { do: "wait", why, isOver: true };
}
