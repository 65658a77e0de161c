import { createHash } from "node:crypto";
import { z } from "zod";
import { hiddenAt, hide } from "../hidden.ts";
import type { Task } from "./decide.ts";

/** As long as the name of a package with its version. */
const content = z.string().max(300);
const mark = z.object({
  key: z.string(),
  definition: z.string(),
  /** What it is about, where a task has pull requests about one thing after the other, such as `minor` or `left-pad@2`. */
  content: content.optional(),
  /** The contents that people had turned down before. */
  turnedDown: z.array(content).max(100).optional(),
});
/** What a task's pull request says of its task, hidden in its body. */
export type TaskMark = z.infer<typeof mark>;

const start = "<!-- agent-fix:task ";

export function renderTaskMark(key: string, task: Task, about?: Pick<TaskMark, "content" | "turnedDown">): string {
  return hide(start, { key, definition: definitionOf(task), ...about });
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
