import { createHash } from "node:crypto";
import { z } from "zod";
import { hiddenAt, hide } from "../hidden.ts";
import type { Task } from "./decide.ts";

const mark = z.object({ key: z.string(), definition: z.string() });
/** What a task's pull request says of its task, hidden in its body. */
export type TaskMark = z.infer<typeof mark>;

const start = "<!-- agent-fix:task ";

export function renderTaskMark(key: string, task: Task): string {
  return hide(start, { key, definition: definitionOf(task) });
}

export function parseTaskMark(body: string): TaskMark | undefined {
  // It stands at the end, below what others wrote.
  return hiddenAt(body, body.lastIndexOf(start), { start, schema: mark });
}

/** Changes where the task asks for something else; its schedule does not count. */
export function definitionOf({ use, task, update, measure, paths }: Task): string {
  return createHash("sha256")
    .update(JSON.stringify([use, task, update, measure, paths]))
    .digest("hex")
    .slice(0, 12);
}
