/** A piece of call markup in a text, the line of a Markdown fence, or the text's end. */
export interface Tag {
  kind: "call" | "/call" | "function" | "/function" | "parameter" | "/parameter" | "fence" | "end";
  start: number;
  end: number;
  /** Of a function or parameter; of a fence what stands on its line. */
  name: string;
  /** Nothing but blanks and other tags stand before it on its line. */
  leads: boolean;
  /** Nothing but blanks stand between it and the tag before it. */
  near: boolean;
}

/** Counts how often a part of a text is looked at, one for each character and tag. */
export interface Meter {
  steps: number;
}

const longestInside = 200;
const closing = { call: "/call", function: "/function", parameter: "/parameter" } as const;
const first: readonly (Tag["kind"] | "text")[] = ["parameter", "/function", "end"];
const attribute = /^\s+name\s*=\s*(["'])([^"']*)\1/;

/** The tags of a text in order, numbered from 0; the last one is its end. */
export interface Tags {
  /** Undefined behind the last one. */
  find(number: number): Tag | undefined;
  /** Those before this one are not asked for any more. */
  leave(number: number): void;
}

const leastLeft = 1000;

/**
 * Reads tags as they are asked for and keeps no more than that takes: of a text of nothing but tags, all of them at once
 * would be many times its size. Every character is looked at once, those of a tag twice.
 */
export function createTags(raw: string, meter: Meter): Tags {
  const read = createReader(raw, meter);
  const kept: Tag[] = [];
  let first = 0;
  return {
    find(number) {
      const at = number - first;
      while (at >= kept.length && kept.at(-1)?.kind !== "end") kept.push(read());
      return kept[at];
    },
    leave(number) {
      const left = number - first;
      // So that no more are moved than are taken out.
      if (left < leastLeft || left < kept.length / 2) return;
      kept.splice(0, left);
      first = number;
    },
  };
}

/** Returns the next tag each time it is called. */
function createReader(raw: string, meter: Meter): () => Tag {
  let line = 0;
  let before = 0;
  /** Where the last character ends that is neither blank nor part of a tag. */
  let ink = 0;
  let at = 0;

  return () => {
    while (at < raw.length) {
      meter.steps++;
      const character = raw[at] ?? "";
      const leads = ink <= line;
      const near = ink <= before;
      let tag: Tag | undefined;
      if (character === "<") tag = tagFrom(raw, at, leads, near);
      else if ((character === "`" || character === "~") && leads && before <= line && at - line <= 3)
        tag = fenceFrom(raw, at, near);
      if (tag !== undefined) {
        meter.steps += tag.end - at;
        at = tag.end;
        before = at;
        if (tag.kind === "fence") ink = at;
        return tag;
      }
      at++;
      if (character === "\n") line = at;
      else if (character !== " " && character !== "\t" && character !== "\r") ink = at;
    }
    return { kind: "end", start: at, end: at, name: "", leads: ink <= line, near: ink <= before };
  };
}

function tagFrom(raw: string, at: number, leads: boolean, near: boolean): Tag | undefined {
  const closes = raw[at + 1] === "/";
  const from = closes ? at + 2 : at + 1;
  const word = wordAt(raw, from);
  if (word === undefined) return undefined;
  const start = from + word.length;
  let end = start;
  while (end - start < longestInside && !endsInside(raw[end])) end++;
  const inside = raw.slice(start, end);
  const isWhole = raw[end] === ">";
  if (isWhole) end++;
  const kind = word === "tool_call" ? "call" : word;
  if (closes || kind === "call") {
    if (!isWhole || inside.trim() !== "") return undefined;
    return { kind: closes ? closing[kind] : "call", start: at, end, name: "", leads, near };
  }
  // The model forgets the closing angle: then the end of the line, or the next tag, ends the name.
  const ends = isWhole || inside.length < longestInside;
  const name = nameIn(inside);
  return ends && name !== "" ? { kind, start: at, end, name, leads, near } : undefined;
}

function wordAt(raw: string, at: number): "tool_call" | "function" | "parameter" | undefined {
  const first = raw[at];
  const word = first === "t" ? "tool_call" : first === "f" ? "function" : first === "p" ? "parameter" : undefined;
  return word !== undefined && raw.startsWith(word, at) ? word : undefined;
}

function endsInside(character: string | undefined): boolean {
  return character === ">" || character === "<" || character === "\n" || character === undefined;
}

// https://spec.commonmark.org/0.31.2/#fenced-code-blocks
function fenceFrom(raw: string, at: number, near: boolean): Tag | undefined {
  if (!raw.startsWith("```", at) && !raw.startsWith("~~~", at)) return undefined;
  let end = at;
  while (raw[end] === ">" || !endsInside(raw[end])) end++;
  const name = raw.slice(at, end).trim();
  const isFence = name.startsWith("~") || !name.slice(marksOf(name).length).includes("`");
  return isFence ? { kind: "fence", start: at, end, name, leads: true, near } : undefined;
}

/** `=NAME`, `="NAME"` or ` name="NAME"`. */
function nameIn(inside: string): string {
  if (!inside.startsWith("=")) return attribute.exec(inside)?.[2]?.trim() ?? "";
  const name = inside.slice(1).trim();
  const quote = name[0];
  const quoted = name.length > 1 && (quote === '"' || quote === "'") && name.endsWith(quote);
  return quoted ? name.slice(1, -1).trim() : name;
}

function marksOf(line: string): string {
  const [mark = ""] = line;
  let length = 0;
  while (line[length] === mark) length++;
  return line.slice(0, length);
}

/** Whether the fence line `line` closes the fence that `opening` opened. */
export function closesFence(opening: string, line: string): boolean {
  return marksOf(line) === line && line.startsWith(marksOf(opening));
}

/** What follows directly upon a tag. */
export function kindAfter(tags: Tags, at: number): Tag["kind"] | "text" {
  const next = tags.find(at + 1);
  return next?.near === true ? next.kind : "text";
}

/** Where the name of the call stands that seems to begin at a tag. */
export function beginsAt(tags: Tags, at: number): number | undefined {
  const named = tagAt(tags, at).kind === "call" ? at + 1 : at;
  if (named > at && kindAfter(tags, at) !== "function") return undefined;
  return first.includes(kindAfter(tags, named)) ? named : undefined;
}

export function tagAt(tags: Tags, at: number): Tag {
  const tag = tags.find(at);
  if (tag === undefined) throw new RangeError(`there is no tag ${at}`);
  return tag;
}
