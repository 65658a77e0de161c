import { linesAround, nearestLine, numberLines, shorten, splitLines } from "./lines.ts";
import type { LineRange } from "./lines.ts";
import { listFolder, readText } from "./files.ts";
import type { Place } from "./files.ts";
import type { ToolResult } from "../agent/tool.ts";

const mostLines = 400;

/** Lines of a file with their numbers, at most 400 and `place.limit` characters of them; or what is in a folder. */
export async function view(place: Place, range: string | undefined): Promise<ToolResult> {
  const file = await readText(place);
  if (file.kind === "directory") return listFolder(place);
  if (file.kind !== "text") return { text: file.problem, failed: true };
  const lines = splitLines(file.text);
  if (lines.length === 0) return { text: `${place.path} is empty.` };
  const wanted = rangeOf(range, lines.length);
  if (wanted === undefined)
    return {
      text: `view_range "${shorten(range ?? "", 40)}" does not fit: ${place.path} has ${lines.length} lines. Write it like "1-40".`,
      failed: true,
    };
  const short = lines.map((line) => shorten(line));
  const to = lastShown(short, wanted, place.limit);
  const rest = to < wanted.to || (range === undefined && to < lines.length);
  const note = rest ? `\n[Lines ${wanted.from} to ${to} of ${lines.length}. Use view_range for the others.]` : "";
  return { text: `${place.path}:\n${numberLines(short, { from: wanted.from, to })}${note}` };
}

/** Why `old` was not found in the text of a file, with the place that it may have meant. */
export function noMatch(text: string, old: string, path: string): string {
  const lines = splitLines(text);
  const [wanted = ""] = splitLines(old).filter((line) => line.trim() !== "");
  const number = nearestLine(lines, wanted);
  const hint =
    number === undefined
      ? "No line of the file is like it; view the file first."
      : `The line most like its beginning is line ${number}; around it the file reads:\n${linesAround(lines, { from: number - 2, to: number + 4 })}`;
  return `old_str does not occur in ${path}. It must match exactly, including white space. ${hint}`;
}

/** First and last line of "10-40", "10-" or "10"; undefined when it does not fit the file. */
function rangeOf(range: string | undefined, count: number): LineRange | undefined {
  if (range === undefined) return { from: 1, to: count };
  const match = /^\D*(\d+)(?:\s*[-,:]\s*(-?\d*))?\D*$/.exec(range.slice(0, 100));
  const from = Number(match?.[1] ?? 0);
  const last = match?.[2] === undefined ? from : Number(match[2]);
  const to = last <= 0 ? count : Math.min(count, last);
  return from >= 1 && from <= to ? { from, to } : undefined;
}

/** The last line that fits into one answer; at least one does. */
function lastShown(lines: readonly string[], { from, to }: LineRange, limit: number): number {
  const last = Math.min(to, from + mostLines - 1);
  let length = 0;
  for (let line = from; line <= last; line++) {
    length += (lines[line - 1]?.length ?? 0) + 8;
    if (length > limit) return Math.max(from, line - 1);
  }
  return last;
}
