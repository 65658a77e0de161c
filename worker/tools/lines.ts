import { cutText } from "./output.ts";

/** The first and last of some lines, counted from 1. */
export interface LineRange {
  from: number;
  to: number;
}

const lineLength = 1000;
const aroundLimit = 3000;

/** The lines of a file's text; a final line end opens no further line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** The lines of a range, each with its number. */
export function numberLines(lines: readonly string[], { from, to }: LineRange): string {
  return lines
    .slice(from - 1, to)
    .map((line, index) => `${String(from + index).padStart(6)}\t${line}`)
    .join("\n");
}

/** The same for lines that are shown along with something else, shortened in the middle when they are many. */
export function linesAround(lines: readonly string[], { from, to }: LineRange): string {
  const short = lines.slice(0, to).map((line) => shorten(line));
  const shown = numberLines(short, { from: Math.max(1, from), to });
  return cutText(shown, { limit: aroundLimit, advice: "View the file to see them." });
}

/** A line that is not too long to be shown. */
export function shorten(line: string, most = lineLength): string {
  return line.length > most ? `${line.slice(0, most).replace(/[\uD800-\uDBFF]$/, "")} [line cut]` : line;
}

/** `text` with the line ends that `like` has most of; as it is where it has none, or some of each and LF leads. */
export function withLineEnds(text: string, like: string): string {
  const windows = like.split("\r\n").length - 1;
  const all = like.split("\n").length - 1;
  if (windows * 2 > all) return text.replaceAll(/\r?\n/g, "\r\n");
  return windows === 0 && all > 0 ? text.replaceAll("\r\n", "\n") : text;
}

/** Where `part` begins in `text`, as line numbers. */
export function linesOf(text: string, part: string): number[] {
  const numbers: number[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1))
    numbers.push(text.slice(0, at).split("\n").length);
  return numbers;
}

/** The number of the line most like `wanted`, or undefined when none is like it. */
export function nearestLine(lines: readonly string[], wanted: string): number | undefined {
  const target = pairsOf(wanted);
  let best = { number: 0, likeness: 0.5 };
  for (const [index, line] of lines.entries()) {
    const likeness = alike(target, pairsOf(line));
    if (likeness > best.likeness) best = { number: index + 1, likeness };
  }
  return best.number === 0 ? undefined : best.number;
}

function pairsOf(line: string): Set<string> {
  const text = line.trim().slice(0, 400);
  return new Set(text.length < 2 ? [text] : Array.from({ length: text.length - 1 }, (_, at) => text.slice(at, at + 2)));
}

// Dice's coefficient: which share of the pairs of characters both have.
function alike(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const both = [...a].filter((pair) => b.has(pair)).length;
  return (2 * both) / (a.size + b.size);
}
