import { fitValue, takenBy, typeText } from "./coerce.ts";
import type { Taken } from "./coerce.ts";
import { readCalls } from "./call-reader.ts";
import type { WrittenCall } from "./call-reader.ts";
import { isRecord } from "./json-text.ts";
import { closesFence, createTags } from "./tags.ts";
import type { Meter } from "./tags.ts";

/** What is needed of a tool as it goes over the wire: `parameters` is a JSON Schema. */
export interface CallableTool {
  function: { name: string; parameters?: unknown };
}

export interface RecoveredCall {
  name: string;
  arguments: Record<string, unknown>;
  /** Its end was seen; otherwise it must not run. */
  complete: boolean;
}

export interface Recovered {
  /** The text without the calls and what follows them; null when there is none. */
  content: string | null;
  calls: RecoveredCall[];
}

/**
 * Finds the tool calls in what the model wrote, where the server did not; only tools of the request count, and no
 * examples in Markdown fences. Never throws; its time is linear in the text, as `meter` shows.
 */
export function recoverToolCalls(raw: string, tools: readonly CallableTool[], meter: Meter = { steps: 0 }): Recovered {
  const text = withoutTurnEnd(raw);
  const known = new Map(tools.map(({ function: { name, parameters } }) => [name, takenBy(parameters)]));
  const written = readCalls({ text, tags: createTags(text, meter), taken: (name) => known.get(name), meter });
  const accepted = acceptable(written, text).filter(({ name }) => known.has(name));
  const [first] = accepted;
  if (first === undefined) return { content: text.trim() === "" ? null : raw, calls: [] };

  // A call of an unknown tool that stands before is cut off too: raw markup in the history makes the model imitate it.
  const start = Math.min(
    ...written
      .filter((call) => call.fence === undefined)
      .slice(0, 1)
      .map(startOf),
    startOf(first),
  );
  const content = text
    .slice(0, start)
    .replaceAll(/<\/?(?:think|tool_call)>/g, "")
    .trim();
  meter.steps += start;
  const calls = accepted.map((call) => toCall(call, text, { taken: known.get(call.name), meter }));
  return { content: content === "" ? null : content, calls };
}

function withoutTurnEnd(raw: string): string {
  const text = raw.trimEnd();
  const mark = ["<|im_end|>", "<|endoftext|>"].find((end) => text.endsWith(end));
  return mark === undefined ? raw : text.slice(0, -mark.length);
}

/** In a fence a complete call counts when nothing follows the fence; what is more is an example. */
function acceptable(written: readonly WrittenCall[], text: string): WrittenCall[] {
  const last = written.at(-1);
  const rest = last === undefined ? "" : text.slice(last.end).trim();
  const { fence } = last ?? {};
  const ends = rest === "" || (fence !== undefined && closesFence(fence.name, rest));
  return written.filter((call) => call.fence === undefined || (ends && call.complete && call.fence === fence));
}

function startOf({ fence, start }: WrittenCall): number {
  return fence?.start ?? start;
}

function toCall(
  { name, complete, values, given }: WrittenCall,
  text: string,
  { taken = takenBy(undefined), meter }: { taken: Taken | undefined; meter: Meter },
): RecoveredCall {
  const typed = new Map<string, unknown>();
  for (const [key, { from, to }] of values ?? []) {
    meter.steps += to - from;
    typed.set(key, typeText(valueOf(text.slice(from, to)), key, taken));
  }
  for (const [key, value] of Object.entries(isRecord(given) ? given : {})) typed.set(key, fitValue(value, key, taken));
  const kept = [...typed].filter(([, value]) => value !== undefined);
  return { name, arguments: Object.fromEntries(kept), complete };
}

/** The template puts one line end on each side of a value. */
function valueOf(text: string): string {
  const from = text.startsWith("\n") ? 1 : text.startsWith("\r\n") ? 2 : 0;
  const to = text.endsWith("\r\n") ? 2 : text.endsWith("\n") ? 1 : 0;
  return text.slice(from, Math.max(from, text.length - to));
}
