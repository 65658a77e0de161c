/**
 * Whether a path is what a pattern of the settings names: a glob, a file, or a folder with all that is in it. A glob has
 * `*`, `?`, `[a-z]`, `[!a-z]` and `{one,other}` within a folder's or file's name, `**` for any folders, and a backslash
 * before what stands for itself. In time that grows with both lengths and no faster, whatever they are: what libraries
 * make of a glob is a regular expression, in which a line of somebody's settings can go on for ever.
 */
export function isUnder(path: string, pattern: string): boolean {
  const nodes = compile(pattern.replace(/^\.?\//, "").replace(/\/$/, ""));
  let at = reach(nodes, [nodes.length - 1], true);
  for (const char of path) {
    // A folder on the way.
    if (char === "/" && at.has(end)) return true;
    const next = [...at].flatMap((index) => stepFrom(nodes[index], index, char));
    at = reach(nodes, next, char === "/");
    if (at.size === 0) return false;
  }
  return at.has(end);
}

/** A part of a pattern; `next` is the place of what follows it. */
type Node =
  | { is: "end" }
  | { is: "char"; takes: (char: string) => boolean; next: number }
  /** Any number of these. */
  | { is: "many"; takes: (char: string) => boolean; next: number }
  /** Any number of folders, each with its slash. */
  | { is: "folders"; next: number }
  | { is: "either"; next: readonly number[] };
type Part =
  | { is: "char" | "many"; takes: (char: string) => boolean }
  | { is: "folders" }
  | { is: "either"; parts: Part[][] };

const end = 0;
const isAny = () => true;
const isInName = (char: string) => char !== "/";

function stepFrom(node: Node | undefined, index: number, char: string): number[] {
  if (node?.is === "char") return node.takes(char) ? [node.next] : [];
  if (node?.is === "many") return node.takes(char) ? [index] : [];
  return node?.is === "folders" ? [index] : [];
}

/** These and what may follow them without a character more. */
function reach(nodes: readonly Node[], from: readonly number[], isStart: boolean): Set<number> {
  const reached = new Set(from);
  for (const index of reached) {
    const node = nodes[index];
    const next = node?.is === "many" || node?.is === "either" || (node?.is === "folders" && isStart) ? node.next : [];
    for (const one of [next].flat()) reached.add(one);
  }
  return reached;
}

function compile(pattern: string): Node[] {
  const nodes: Node[] = [{ is: "end" }];
  link(nodes, partsOf(Array.from(pattern)), end);
  return nodes;
}

/** Puts the parts before what is at a place, the last first; returns the place of the first. */
function link(nodes: Node[], parts: readonly Part[], next: number): number {
  return parts.reduceRight((following: number, part) => {
    const node: Node =
      part.is === "either"
        ? { is: "either", next: part.parts.map((one) => link(nodes, one, following)) }
        : { ...part, next: following };
    return nodes.push(node) - 1;
  }, next);
}

function partsOf(chars: readonly string[]): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < chars.length; ) {
    const { part, length } = partAt(chars, at);
    parts.push(part);
    at += length;
  }
  return parts;
}

function partAt(chars: readonly string[], at: number): { part: Part; length: number } {
  const char = chars[at] ?? "";
  switch (char) {
    case "\\":
      return { part: literal(chars[at + 1] ?? char), length: 2 };
    case "?":
      return { part: { is: "char", takes: isInName }, length: 1 };
    case "*":
      return starAt(chars, at);
    case "[":
      return setAt(chars, at) ?? { part: literal(char), length: 1 };
    case "{":
      return eitherAt(chars, at) ?? { part: literal(char), length: 1 };
    default:
      return { part: literal(char), length: 1 };
  }
}

/** Two of them are a folder's or file's whole name, or mean what one does. */
function starAt(chars: readonly string[], at: number): { part: Part; length: number } {
  const [, second, third] = chars.slice(at, at + 3);
  const isWhole = second === "*" && (at === 0 || chars[at - 1] === "/");
  if (isWhole && third === "/") return { part: { is: "folders" }, length: 3 };
  if (isWhole && third === undefined) return { part: { is: "many", takes: isAny }, length: 2 };
  return { part: { is: "many", takes: isInName }, length: 1 };
}

function literal(wanted: string): Part {
  return { is: "char", takes: (char) => char === wanted };
}

/** Such as `[a-z_]`; undefined where it is never closed. */
function setAt(chars: readonly string[], at: number): { part: Part; length: number } | undefined {
  const isNot = chars[at + 1] === "!" || chars[at + 1] === "^";
  const from = at + (isNot ? 2 : 1);
  const to = chars.indexOf("]", from + 1);
  if (to === -1) return undefined;
  const all = chars.slice(from, to).join("");
  const ranges = Array.from(
    all.matchAll(/(.)-(.)|(.)/gsu),
    ([, low, high, one = ""]) => [low ?? one, high ?? one] as const,
  );
  const takes = (char: string) => isInName(char) && ranges.some(([low, high]) => low <= char && char <= high) !== isNot;
  return { part: { is: "char", takes }, length: to + 1 - at };
}

/** Such as `{one,other}`; undefined where it is never closed. */
function eitherAt(chars: readonly string[], at: number): { part: Part; length: number } | undefined {
  let depth = 0;
  const cuts = [at];
  for (let to = at; to < chars.length; to++) {
    if (chars[to] === "\\") to++;
    else if (chars[to] === "{") depth++;
    else if (chars[to] === "," && depth === 1) cuts.push(to);
    else if (chars[to] === "}" && --depth === 0) {
      const ends = [...cuts.slice(1), to];
      const parts = cuts.map((cut, index) => partsOf(chars.slice(cut + 1, ends[index])));
      return { part: { is: "either", parts }, length: to + 1 - at };
    }
  }
  return undefined;
}
