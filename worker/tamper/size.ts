import type { Kind } from "./kinds.ts";
import { isBinary, type Pair, without } from "./pairs.ts";

export interface Size {
  source: Lines;
  test: Lines;
  /** For the reviewer, when the change grows more than its budget; it stops nothing. */
  question: string | undefined;
}

/** Lines; one that moved within its file is neither. */
export interface Lines {
  added: number;
  removed: number;
}

/** Net lines that a change may grow before it is asked why. */
export interface Budget {
  source: number;
  test: number;
}

/** How much source and test a change adds and removes. Documents, manifests, snapshots and generated files don't count. */
export function sizeOf(pairs: readonly Pair[], budget: Budget = { source: 400, test: 400 }): Size {
  const source = total(pairs, ["source", "test-config", "ci", "protected"]);
  const test = total(pairs, ["test"]);
  const over = [...overBudget("source", source, budget.source), ...overBudget("test", test, budget.test)];
  const question = over.length === 0 ? undefined : `The change grows by ${over.join(" and ")}. Is all of it needed?`;
  return { source, test, question };
}

function total(pairs: readonly Pair[], kinds: readonly Kind[]): Lines {
  const lines = { added: 0, removed: 0 };
  for (const { kind, before, after } of pairs) {
    if (!kinds.includes(kind) || (before && isBinary(before)) || (after && isBinary(after))) continue;
    const [was, is] = [linesOf(before?.bytes), linesOf(after?.bytes)];
    lines.added += without(is, was).length;
    lines.removed += without(was, is).length;
  }
  return lines;
}

function overBudget(what: string, { added, removed }: Lines, most: number): string[] {
  const net = added - removed;
  return net > most ? [`${net} lines of ${what} (${most} are usual)`] : [];
}

function linesOf(bytes: Buffer | undefined): string[] {
  const text = bytes?.toString("utf8") ?? "";
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}
