/** The lines of a file's text; a final line end opens no further line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Lines `from` to `to`, both counted from 1 and included, each with its number. */
export function numberLines(lines: readonly string[], from: number, to: number): string {
  return lines
    .slice(from - 1, to)
    .map((line, index) => `${String(from + index).padStart(6)}\t${line}`)
    .join("\n");
}

/** `text` with the line ends that `like` has most of. */
export function withLineEnds(text: string, like: string): string {
  const windows = like.split("\r\n").length - 1;
  const all = like.split("\n").length - 1;
  return windows * 2 > all ? text.replaceAll(/\r?\n/g, "\r\n") : text;
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
