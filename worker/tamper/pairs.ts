import type { Change } from "../../sandbox/changes.ts";
import type { TrackedModes } from "../../sandbox/paths.ts";
import { type Kind, kindOf } from "./kinds.ts";

/** The commit that a change starts from. */
export interface Base {
  /** The content of a file there, or the target of a link; undefined where there is none. */
  before(path: string): Promise<Buffer | undefined>;
  tracked: TrackedModes;
}

/** One path before and after the change; at least one of both is there. */
export interface Pair {
  path: string;
  kind: Kind;
  before: Content | undefined;
  after: Content | undefined;
}

export interface Content {
  mode: string;
  bytes: Buffer;
}

/** Larger files are not read as text. */
const mostText = 1_000_000;
/** Where git looks for a NUL to tell a binary file. */
const looked = 8000;

/** Each change beside what was there, ordered by path. `protect`: further protected paths. */
export async function pairsOf(
  changes: readonly Change[],
  base: Base,
  protect: readonly string[] = [],
): Promise<Pair[]> {
  const pairs = await Promise.all(
    changes.map(async (change): Promise<Pair> => {
      const { path } = change;
      const mode = base.tracked.get(Buffer.from(path).toString("latin1"))?.mode;
      const bytes = mode === undefined || mode === "160000" ? undefined : await base.before(path);
      return {
        path,
        kind: kindOf(path, protect),
        before: mode === undefined ? undefined : { mode, bytes: bytes ?? Buffer.alloc(0) },
        after: change.mode === "deleted" ? undefined : change,
      };
    }),
  );
  return pairs.sort((one, other) => (one.path < other.path ? -1 : 1));
}

export function changeOf({ before, after }: Pair): "new" | "changed" | "deleted" {
  if (after === undefined) return "deleted";
  return before === undefined ? "new" : "changed";
}

export function isBinary({ mode, bytes }: Content): boolean {
  return mode !== "120000" && mode !== "160000" && bytes.subarray(0, looked).includes(0);
}

/** The text of a file; undefined for a link, a binary file, and one of more than 1 MB. */
export function textOf(content: Content | undefined): string | undefined {
  if (content === undefined || !content.mode.startsWith("100") || content.bytes.length > mostText) return undefined;
  return isBinary(content) ? undefined : content.bytes.toString("utf8");
}

/** What is in the first list more often than in the second, in order. Both are taken as bags. */
export function without<T>(items: readonly T[], others: readonly T[]): T[] {
  const counts = countsOf(others);
  return items.filter((item) => !take(counts, item));
}

export function countsOf<T>(items: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** Takes one of a kind out of a bag; false where there is none left. */
export function take<T>(counts: Map<T, number>, item: T): boolean {
  const count = counts.get(item) ?? 0;
  if (count > 0) counts.set(item, count - 1);
  return count > 0;
}
