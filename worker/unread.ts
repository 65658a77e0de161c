import type { RunLog } from "../src/runlog.ts";
import { visibleText } from "../src/visible.ts";
import type { Attachment } from "../src/visible.ts";

const mostNames = 50;

/** What is attached to texts of people, which nobody opens, for one of them to read. Not Markdown. */
export function unreadText(texts: readonly string[]): string | undefined {
  const names = namesOf(texts.flatMap((text) => visibleText(text).attachments));
  return names.length === 0 ? undefined : `Not read, since I can't open attachments: ${names.join(", ")}`;
}

/** Says so in the run's log, once. */
export async function noteUnread(log: RunLog, texts: readonly string[]): Promise<void> {
  const text = unreadText(texts);
  const isNoted = log.events.some((event) => event.type === "note" && event.text === text);
  if (text !== undefined && !isNoted) await log.append({ type: "note", text });
}

/** Each by name and type, at most 50. */
export function namesOf(attachments: readonly Attachment[]): string[] {
  const names = attachments.map(({ name, type }) => `${name} (${type})`);
  return [...new Set(names)].slice(0, mostNames);
}
