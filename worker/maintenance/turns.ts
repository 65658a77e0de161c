import { createHash } from "node:crypto";
import { inlineCode } from "../../src/text.ts";
import type { Outcome } from "../run.ts";
import type { Cause } from "../outcome.ts";
import type { Plan, Update } from "./plan.ts";
import { leadingOf } from "./versions.ts";

/** What makes one pull request. */
export interface Turn {
  /** `minor` of all minor updates together, or such as `left-pad@2` of one package's major one. */
  content: string;
  /** Names the versions that it leads to. */
  versions: string;
  updates: Update[];
}
/** What is not taken, and what before all else. */
export interface LeftOut {
  /** Contents that a person turned down. */
  turnedDown: readonly string[];
  /** By content, the versions that did not pass in its last run. */
  failed: Readonly<Record<string, string>>;
  /** The content to begin with, where a plan has it. */
  first?: string | undefined;
}
export const nothingLeftOut: LeftOut = { turnedDown: [], failed: {} };

/** Of as many contents it is remembered that they did not pass. */
const mostFailed = 50;
/** What lies in the change itself, and not in the model's server, the worker or the code host. */
const ownCauses: ReadonlySet<string | undefined> = new Set<Cause | undefined>([
  "gate rejected",
  "no answer",
  "stuck",
  "out of steps",
  "out of tokens",
  "out of time",
  "context exhausted",
  "context overflow",
  "model repetition",
  "install script",
  "question",
]);

/**
 * Pure: the pull requests that a plan makes, in their order: minor updates first, then one package's major one after the
 * other, by name; and what is left out of it, with the reason. What one of them is kept from keeps back no other.
 */
export function turnsOf(
  { minors, majors }: Plan,
  { turnedDown, failed, first }: LeftOut,
): { turns: Turn[]; left: Plan["left"] } {
  const byName = majors.toSorted((one, other) => compare(one.name, other.name));
  const contents = Map.groupBy(byName, ({ name, to }) => `${name}@${leadingOf(to)}`);
  const all = [["minor", minors] as const, ...contents]
    .filter(([, updates]) => updates.length > 0)
    .map(([content, updates]) => ({ content, versions: versionsOf(updates), updates }));
  const whyNot = ({ content, versions }: Turn) => {
    if (turnedDown.includes(content)) return "a pull request with that was closed unmerged";
    return failed[content] === versions ? "it did not pass the last time, and nothing newer is published" : undefined;
  };
  const left = all.flatMap((turn) => {
    const why = whyNot(turn);
    return why === undefined ? [] : turn.updates.map(({ name, to }) => ({ name, why: `${why} (${inlineCode(to)})` }));
  });
  const turns = all.filter((turn) => whyNot(turn) === undefined);
  return {
    turns: turns.toSorted((one, other) => Number(other.content === first) - Number(one.content === first)),
    left,
  };
}

/** Pure: what did not pass, once a run of a turn has ended. What lies elsewhere says nothing of it. */
export function failedAfter(
  before: LeftOut["failed"],
  turn: Pick<Turn, "content" | "versions"> | undefined,
  { outcome, cause }: Pick<Outcome, "outcome" | "cause">,
): LeftOut["failed"] {
  if (turn === undefined) return before;
  const { [turn.content]: _, ...others } = before;
  if (outcome === "published") return others;
  const isItsOwn = ownCauses.has(cause) || (outcome === "no-change" && cause !== "dry run");
  if (!isItsOwn) return before;
  return Object.fromEntries([...Object.entries(others).slice(1 - mostFailed), [turn.content, turn.versions]]);
}

function versionsOf(updates: readonly Update[]): string {
  const all = new Set(updates.map(({ name, to }) => `${name}@${to}`));
  return createHash("sha256")
    .update([...all].toSorted().join(" "))
    .digest("hex")
    .slice(0, 12);
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
