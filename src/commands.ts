/** What a person may tell us, as the first line of a comment. */
export const commands = ["stop", "retry", "continue", "status", "plan", "approve", "ci"] as const;
export type Command = (typeof commands)[number];

/** What a person may tell us about a scheduled task, followed by its key. */
export const taskCommands = ["run", "ignore", "unignore"] as const;
export interface TaskCommand {
  verb: (typeof taskCommands)[number];
  key: string;
}

const prefix = "/agent-fix";

/** Whether a comment is meant as a command, known or not. */
export function isCommand(comment: string): boolean {
  const [word] = comment.trimStart().split(/\s/, 1);
  return word === prefix;
}

/** The command of a comment's first line; undefined where it is none that we know. */
export function readCommand(comment: string): Command | undefined {
  const [line = ""] = comment.trimStart().split("\n", 1);
  const word = line.slice(prefix.length).trim().toLowerCase();
  return isCommand(comment) ? commands.find((name) => name === word) : undefined;
}

/** The same of one about a task; the key is empty where none is named. */
export function readTaskCommand(comment: string): TaskCommand | undefined {
  const [line = ""] = comment.trimStart().split("\n", 1);
  const [word = "", key = ""] = line.slice(prefix.length).trim().split(/\s+/);
  const verb = taskCommands.find((name) => name === word.toLowerCase());
  return isCommand(comment) && verb !== undefined ? { verb, key } : undefined;
}
