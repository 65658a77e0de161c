import type { RunLog } from "../src/runlog.ts";
import { unreadable, visibleText } from "../src/visible.ts";
import type { Attachment } from "../src/visible.ts";

const mostNames = 50;

/** Which texts of people were not read, and what is attached to them, which nobody opens; for one of them. Not Markdown. */
export function unreadText(texts: readonly string[]): string | undefined {
  const visible = texts.map((text) => visibleText(text));
  const lengths = texts.filter((_text, at) => visible[at] === unreadable).map((text) => `${text.length} characters`);
  const names = namesOf(visible.flatMap(({ attachments }) => attachments));
  const parts = [
    notRead("its Markdown is too complicated: a text of", lengths),
    notRead("I can't open attachments:", names),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join(". ");
}

function notRead(why: string, what: readonly string[]): string | undefined {
  return what.length === 0 ? undefined : `Not read, since ${why} ${what.join(", ")}`;
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
