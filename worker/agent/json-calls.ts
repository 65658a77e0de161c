import type { Reading, WrittenCall } from "./call-reader.ts";
import { cutJson, isRecord, parseJson } from "./json-text.ts";
import { kindAfter, tagAt } from "./tags.ts";
import type { Tag } from "./tags.ts";

const longestHead = 300;

/**
 * The calls that the `<tool_call>` at a tag holds as JSON, such as `{"name": "bash", "arguments": {}}` or a list of them,
 * and the tag after them. Undefined when there are none.
 */
export function readJsonCalls(
  reading: Reading,
  at: number,
  fence: Tag | undefined,
): { calls: WrittenCall[]; next: number } | undefined {
  const { text, tags, meter } = reading;
  const from = jsonAfter(reading, at);
  if (from === undefined) return undefined;
  // The JSON ends before the next call at the latest, so that no part of the text is read twice.
  let limit = at + 1;
  while (tagAt(tags, limit).kind !== "end" && !beginsCall(reading, limit)) limit++;
  const to = tagAt(tags, limit).start;
  const found = cutJson(text, { from, to, meter });
  const place = { start: tagAt(tags, at).start, fence };
  if (found === undefined) {
    const name = to === text.length ? nameIn(text.slice(from, from + longestHead)) : undefined;
    return name === undefined ? undefined : { calls: [{ ...place, name, end: to, complete: false }], next: limit };
  }
  let next = at + 1;
  while (tagAt(tags, next).start < found.end) next++;
  const closer = tagAt(tags, next);
  const isClosed = closer.kind === "/call" && text.slice(found.end, closer.start).trim() === "";
  const end = isClosed ? closer.end : found.end;
  const calls = [parseJson(found.json)].flat().flatMap((value: unknown) => toCalls(value, { ...place, end }));
  return calls.length === 0 ? undefined : { calls, next: isClosed ? next + 1 : next };
}

/** Where the JSON after a tag begins. */
function jsonAfter({ text, tags, meter }: Reading, at: number): number | undefined {
  const { end } = tagAt(tags, at);
  const gap = text.slice(end, tagAt(tags, at + 1).start);
  const from = end + gap.length - gap.trimStart().length;
  meter.steps += from - end + 1;
  return ["{", "["].includes(text[from] ?? "") ? from : undefined;
}

function beginsCall(reading: Reading, at: number): boolean {
  if (tagAt(reading.tags, at).kind !== "call") return false;
  return kindAfter(reading.tags, at) === "function" || jsonAfter(reading, at) !== undefined;
}

function nameIn(head: string): string | undefined {
  return /"name"\s{0,20}:\s{0,20}"([^"\\]{1,100})"/.exec(head)?.[1];
}

function toCalls(value: unknown, place: Omit<WrittenCall, "name" | "complete">): WrittenCall[] {
  if (!isRecord(value) || typeof value.name !== "string") return [];
  const given = value.arguments ?? value.parameters;
  const read = typeof given === "string" ? parseJson(given) : given;
  return [{ ...place, name: value.name.trim(), complete: true, given: read }];
}
