/** What a person may tell us, as the first line of a comment. */
export const commands = ["stop", "retry", "continue", "status", "plan", "approve", "ci"] as const;
export type Command = (typeof commands)[number];

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
