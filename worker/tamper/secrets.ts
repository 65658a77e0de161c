import { type Redact, tokenShapes } from "../../src/redact.ts";
import { type Finding, finding } from "./findings.ts";
import { type Content, type Pair, without } from "./pairs.ts";

/**
 * Secrets in the lines that a change adds, unless one of its files had them before. A finding names the line and the
 * shape, and shows four characters at most. `redact` knows the secrets of this machine.
 */
export function findSecrets(pairs: readonly Pair[], redact: Redact): Finding[] {
  const former = pairs.map(({ before }) => textIn(before)).join("\n");
  const search = (pattern: RegExp) => ({
    pattern,
    seen: new Set(matchesIn(pattern, former).map(({ value }) => value)),
  });
  const shapes = tokenShapes.map(({ kind, pattern }) => ({ kind, ...search(pattern) }));
  const values = search(assignment);
  return pairs.flatMap((pair) => secretsIn(pair, { shapes, values, redact }));
}

// Binary and large files too: a token is ASCII, and that stays readable.
function textIn(content: Content | undefined): string {
  return content === undefined || content.mode === "120000" ? "" : content.bytes.toString("utf8");
}

interface Search {
  pattern: RegExp;
  /** The values that are known, from before or from another place of the change. */
  seen: Set<string>;
}

interface Searches {
  shapes: readonly (Search & { kind: string })[];
  values: Search;
  redact: Redact;
}

interface Match {
  value: string;
  at: number;
}

interface Added {
  /** The added lines, each with its line feed. */
  text: string;
  /** Where each begins in the text, and its number in the file. */
  starts: number[];
  lines: number[];
}

function secretsIn({ path, kind, before, after }: Pair, { shapes, values, redact }: Searches): Finding[] {
  const was = textIn(before);
  const added = addedLines(was, textIn(after));
  const where = (at: number, what: string) => `line ${lineAt(added, at)}: ${what}`;
  const shown = (value: string) => `that begins with "${value.slice(0, 4)}"`;
  const shaped = shapes.flatMap(({ kind: shape, ...search }) =>
    newMatches(search, added.text, isReal).map(({ value, at }) =>
      finding("secret", path, where(at, `${shape} ${shown(value)}`)),
    ),
  );
  const at = hasOurs(was, redact) ? undefined : firstOfOurs(added, redact);
  const exact = at === undefined ? [] : [finding("secret", path, where(at, "a secret of this machine"))];
  if (kind === "manifest" || kind === "generated") return [...exact, ...shaped];
  const possible = newMatches(values, added.text, isRandom).map(({ value, at }) =>
    finding("possible-secret", path, where(at, `what looks like a secret ${shown(value)}`)),
  );
  return [...exact, ...shaped, ...possible];
}

const mostPerShape = 20;

/** The first of each value that passes and was not seen before. */
function newMatches({ pattern, seen }: Search, added: string, passes: (value: string) => boolean): Match[] {
  return matchesIn(pattern, added)
    .filter(({ value }) => passes(value) && !seen.has(value) && seen.add(value))
    .slice(0, mostPerShape);
}

/** What a pattern finds, or its group. */
function matchesIn(pattern: RegExp, text: string): Match[] {
  return [...text.matchAll(pattern)].map((match) => ({ value: match[1] ?? match[0], at: match.index }));
}

const assignment =
  /(?:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth)[\w-]{0,30}["']?\s{0,5}(?:[:=]{1,2}>?|:=)\s{0,5}["'`]([^"'`\s]{16,200})["'`]/gi;
const placeholder =
  /example|changeme|change_me|placeholder|dummy|sample|your[_-]|xxxx|\$\{|\{\{|<|process\.env|:\/\/|\s/i;
const leastBits = 3.5;

// What people type who need any token.
const typed = /0123456|1234567|abcdefg|EXAMPLE$/i;

/** Documentation and tests show made-up ones, and code names the first line of a key without one. */
function isReal(value: string): boolean {
  if (value.startsWith("-----")) return /[A-Za-z0-9+/=]{40}/.test(value);
  return !typed.test(value) && new Set(value.slice(-12)).size > 3;
}

/** By the entropy of its letters. */
function isRandom(value: string): boolean {
  if (placeholder.test(value) || typed.test(value) || !/\d/.test(value) || !/[a-z]/i.test(value)) return false;
  const counts = new Map<string, number>();
  for (const letter of value) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits >= leastBits;
}

/** Where the first line with a secret of this machine begins. */
function firstOfOurs({ text, starts }: Added, redact: Redact): number | undefined {
  if (!hasOurs(text, redact)) return undefined;
  return starts.find((start) => hasOurs(text.slice(start, text.indexOf("\n", start)), redact)) ?? 0;
}

function hasOurs(text: string, redact: Redact): boolean {
  const rest = tokenShapes.reduce((left, { pattern }) => left.replace(pattern, blanksFor), text);
  return redact(rest) !== rest;
}

function blanksFor(value: string): string {
  return value.replaceAll(/[^\n]+/g, (line) => " ".repeat(line.length));
}

function addedLines(before: string, after: string): Added {
  const left = new Set(without(after.split("\n"), before.split("\n")));
  const added: Added = { text: "", starts: [], lines: [] };
  const parts: string[] = [];
  let length = 0;
  for (const [index, line] of after.split("\n").entries()) {
    if (!left.has(line)) continue;
    added.starts.push(length);
    added.lines.push(index + 1);
    parts.push(line, "\n");
    length += line.length + 1;
  }
  return { ...added, text: parts.join("") };
}

function lineAt({ starts, lines }: Added, at: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return lines[low] ?? 1;
}
