import type { Language } from "./languages.ts";

/** What a file holds of tests. The order is the file's. */
export interface Measure {
  /** The names of its tests, as far as they can be read. */
  tests: string[];
  /** The line of each assertion, from the assertion on. */
  assertions: string[];
  skips: number;
  focus: number;
  many: number;
  exits: number;
}

const mostLine = 300;

/** Counts by words, not by grammar. Undefined where a comment or a string has no end, so that nothing can be counted. */
export function measure(text: string, language: Language): Measure | undefined {
  const code = blank(text, language, "strings too");
  if (code === undefined) return undefined;
  const count = (pattern: RegExp | undefined, where = code) => (pattern ? [...where.matchAll(pattern)].length : 0);
  return {
    tests: [...code.matchAll(language.tests)].map(({ index }) => nameAt(text, index, language)),
    assertions: [...code.matchAll(language.assertions)].map(({ index }) => lineFrom(text, index)),
    skips: count(language.skips) + count(language.rawSkips, text),
    focus: count(language.focus),
    many: count(language.many),
    exits: count(language.exits),
  };
}

/** The text with its comments as blanks; undefined where one, or a string, has no end. Lines and columns stay. */
export function withoutComments(text: string, language: Language): string | undefined {
  return blank(text, language, "comments");
}

function blank(text: string, { quiet }: Language, what: "comments" | "strings too"): string | undefined {
  const parts: string[] = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(quiet)) {
    parts.push(text.slice(at, index));
    at = index + found.length;
    if (isOpen(found)) return undefined;
    parts.push(isComment(found) ? blanks(found) : what === "comments" ? found : `${found[0]}${blanks(found.slice(1))}`);
  }
  return parts.join("") + text.slice(at);
}

function isComment(found: string): boolean {
  return /^(?:#|\/\/|\/\*|=begin)/.test(found);
}

/** Whether what may stretch over lines reached the end of the file without its end. */
function isOpen(found: string): boolean {
  if (found.startsWith("/*")) return found.length < 4 || !found.endsWith("*/");
  if (found.startsWith("=begin")) return !found.endsWith("=end");
  if (/^(?:"""|''')/.test(found)) return found.length < 6 || !found.endsWith(found.slice(0, 3));
  if (found.startsWith("`")) return found.length < 2 || !found.endsWith("`");
  return found.includes("\n") && /^["'@rR]/.test(found) && !/["'#]$/.test(found);
}

function blanks(found: string): string {
  return found.replaceAll(/[^\n]+/g, (line) => " ".repeat(line.length));
}

function nameAt(text: string, index: number, { name }: Language): string {
  const groups = name.exec(text.slice(index, index + mostLine))?.slice(1) ?? [];
  return groups.findLast((group) => group !== undefined)?.trim() ?? lineFrom(text, index);
}

function lineFrom(text: string, index: number): string {
  return (text.slice(index, index + mostLine).split("\n", 1)[0] ?? "").trim();
}
