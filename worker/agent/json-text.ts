import type { Meter } from "./tags.ts";

/**
 * The text of the JSON object or array that begins at `from`, with the line ends that a model leaves unescaped in its
 * strings escaped. Undefined when `to` comes before its end.
 */
export function cutJson(
  text: string,
  { from, to, meter }: { from: number; to: number; meter?: Meter },
): { json: string; end: number } | undefined {
  const pieces: string[] = [];
  let taken = from;
  let depth = 0;
  let quoted = false;
  for (let at = from; at < to; at++) {
    if (meter !== undefined) meter.steps++;
    const character = text[at] ?? "";
    if (quoted) {
      if (character === "\\") at++;
      else if (character === '"') quoted = false;
      else if (character < " ") {
        pieces.push(text.slice(taken, at), JSON.stringify(character).slice(1, -1));
        taken = at + 1;
      }
    } else if (character === '"') quoted = true;
    else if (character === "{" || character === "[") depth++;
    else if ((character === "}" || character === "]") && --depth === 0)
      return { json: pieces.join("") + text.slice(taken, at + 1), end: at + 1 };
  }
  return undefined;
}

/** Undefined when it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined when the value is nested too deeply for it. */
export function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
