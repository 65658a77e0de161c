import { join } from "node:path";
import remarkParse from "remark-parse";
import { unified } from "unified";
import { visit } from "unist-util-visit";
import type { Author } from "../src/forge.ts";
import type { Point } from "../src/feedback.ts";
import { readCommit } from "./checkout.ts";

/** A reviewer's replacement for lines of a file, as GitHub's suggestion blocks state it. */
export interface Suggestion {
  /** The point whose thread has it. */
  point: string;
  by: Author;
  path: string;
  /** The first and the last line that it replaces, counted from 1. */
  from: number;
  to: number;
  /** Without line ends; none: the lines go. */
  lines: string[];
}

/** The newest suggestion of each point's new words; a thread whose lines are gone has none that could be applied. */
export function suggestionsOf(points: readonly Point[]): Suggestion[] {
  return points.flatMap(({ id: point, thread, texts }) => {
    if (thread?.line === undefined || thread.isOutdated) return [];
    const { path, line: to, startLine: from = to } = thread;
    const found = texts
      .filter(({ isNew }) => isNew)
      .flatMap(({ by, body }) => blocksIn(body).map((lines) => ({ point, by, path, from, to, lines })));
    return found.slice(-1);
  });
}

/** What stands in the `suggestion` blocks of a comment, each as lines. */
function blocksIn(markdown: string): string[][] {
  const found: string[][] = [];
  const tree = unified().use(remarkParse).parse(markdown.replaceAll("\r\n", "\n"));
  visit(tree, "code", ({ lang, value, position }) => {
    if (lang?.toLowerCase() !== "suggestion" || position === undefined) return;
    // An empty line and no line have the same value.
    const count = position.end.line - position.start.line - 1;
    found.push(count <= 0 ? [] : value.split("\n"));
  });
  return found;
}

/**
 * A file's text with suggestions about it applied, exactly and with its own line ends. Of two that touch the same lines
 * the first counts; what lies outside of the file is left out.
 */
export function applySuggestions(
  text: string,
  suggestions: readonly Suggestion[],
): { text: string; applied: Suggestion[] } {
  const end = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text.split(/\r?\n/);
  const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  const applied = suggestions.filter(({ from, to }, index) => {
    const isInside = from >= 1 && from <= to && to <= count;
    return isInside && !suggestions.slice(0, index).some((other) => other.from <= to && from <= other.to);
  });
  for (const { from, to, lines: wanted } of applied.toSorted((a, b) => b.from - a.from))
    lines.splice(from - 1, to - from + 1, ...wanted);
  return { text: lines.join(end), applied };
}

export interface Applied {
  /** New texts by path. */
  files: { path: string; text: string }[];
  applied: Suggestion[];
}

/** What a round's suggestions make of the files of a commit. */
export async function suggestionsAt(mirror: string, commit: string, points: readonly Point[]): Promise<Applied> {
  const suggestions = suggestionsOf(points);
  const result: Applied = { files: [], applied: [] };
  if (suggestions.length === 0) return result;
  const files = await readCommit(mirror, commit);
  for (const path of new Set(suggestions.map((one) => one.path))) {
    const before = await files.read(path);
    // What is no text would not come back as it was.
    if (before === undefined || before.includes("\u{FFFD}")) continue;
    const { text, applied } = applySuggestions(
      before,
      suggestions.filter((one) => one.path === path),
    );
    result.applied.push(...applied);
    if (text !== before) result.files.push({ path, text });
  }
  return result;
}

/** The files as the agent finds them. */
export function givenBy({ files }: Applied): Map<string, Buffer> {
  return new Map(files.map(({ path, text }) => [path, Buffer.from(text)]));
}

/** The suggestions whose lines stand in a run's commit as they were made. */
export async function standingIn(
  runDir: string,
  commit: string,
  suggestions: readonly Suggestion[],
): Promise<Suggestion[]> {
  if (suggestions.length === 0) return [];
  const files = await readCommit(join(runDir, "repo.git"), commit);
  const standing = await Promise.all(
    suggestions.map(async (one) => stands(one, (await files.read(one.path)) ?? "") && one),
  );
  return standing.filter((one) => one !== false);
}

/** Whether the lines of a suggestion stand together in a file. */
export function stands({ lines }: Pick<Suggestion, "lines">, text: string): boolean {
  const have = text.split(/\r?\n/);
  return have.some((_line, index) => lines.every((line, offset) => have[index + offset] === line));
}

/** The authors of suggestions as a commit's trailers name them, each once. */
export function thanksTo(suggestions: readonly Suggestion[], cloneUrl: string): string[] {
  const { host } = new URL(cloneUrl);
  const all = suggestions.map(({ by }) => `${by.login} <${by.id}+${by.login}@users.noreply.${host}>`);
  return [...new Set(all)];
}
