import { createHash } from "node:crypto";
import { z } from "zod";
import type { Task } from "./decide.ts";

const mark = z.object({ key: z.string(), definition: z.string() });
/** What a task's pull request says of its task, hidden in its body. */
export type TaskMark = z.infer<typeof mark>;

const start = "<!-- agent-fix:task ";

export function renderTaskMark(key: string, task: Task): string {
  return `${start}${JSON.stringify({ key, definition: definitionOf(task) })} -->`;
}

export function parseTaskMark(body: string): TaskMark | undefined {
  const at = body.lastIndexOf(start);
  const end = body.indexOf(" -->", at);
  if (at === -1 || end === -1) return undefined;
  try {
    return mark.parse(JSON.parse(body.slice(at + start.length, end)));
  } catch {
    return undefined;
  }
}

/** Changes where the task asks for something else; its schedule does not count. */
export function definitionOf({ use, task, update, measure, paths }: Task): string {
  return createHash("sha256")
    .update(JSON.stringify([use, task, update, measure, paths]))
    .digest("hex")
    .slice(0, 12);
}
