import type { Change } from "../../sandbox/changes.ts";
import { kindOf } from "./kinds.ts";
import { languageOf } from "./languages.ts";
import { withoutComments } from "./measure.ts";
import { type Pair, textOf } from "./pairs.ts";
import { testsInside } from "./tests.ts";

/**
 * What kind of change its files show. With `documentation`, `dependencies`, `adaptation` (of code to dependencies that are
 * to be updated) and `refactoring` there is nothing that a new test could show to be mended; with `tests` nothing is
 * mended; `steadying`: of tests that fail at times, so that one which fails without the change shows nothing; `inside`:
 * the only new tests stand in source files, which can't be put on the base without the source.
 */
export type Claim =
  | "documentation"
  | "dependencies"
  | "adaptation"
  | "refactoring"
  | "tests"
  | "steadying"
  | "with-tests"
  | "with-tests-inside"
  | "without-tests";

interface Asked {
  request?: string | undefined;
  updates?: boolean | undefined;
  steadies?: boolean | undefined;
}

/**
 * `request`: what a person asked for, in the title; the agent's own words don't count. A request for a refactoring
 * makes one of a change without tests; files alone show only moves. `updates`: dependencies are to be updated.
 * `steadies`: tests that do as they like are to be mended, wherever the reason is.
 */
export function claimOf(pairs: readonly Pair[], { request = "", updates = false, steadies }: Asked = {}): Claim {
  const rest = pairs.filter((pair) => !isInert(pair));
  if (rest.length === 0) return "documentation";
  const [manifests, others] = [rest.filter(isOfManifest), rest.filter((pair) => !isOfManifest(pair))];
  if (others.length === 0) return "dependencies";
  const isTest = ({ kind }: Pair) => kind === "test" || kind === "snapshot";
  if (rest.every(isTest)) return "tests";
  if (steadies === true) return "steadying";
  if (rest.some((pair) => isTest(pair) && pair.after !== undefined)) return "with-tests";
  if (rest.some((pair) => testsInside(pair).length > 0)) return "with-tests-inside";
  if (rest.some(isTest)) return "without-tests";
  if (updates && manifests.length > 0) return "adaptation";
  return isMove(rest) || refactoring.test(request.slice(0, 500)) ? "refactoring" : "without-tests";
}

function isOfManifest({ kind }: Pair): boolean {
  return kind === "manifest";
}

/** The files that carry a change's tests: added or changed tests, what they need, and snapshots. */
export function testFilesOf(changes: readonly Change[]): Exclude<Change, { mode: "deleted" }>[] {
  return changes.flatMap((change) => {
    if (change.mode === "deleted") return [];
    const kind = kindOf(change.path);
    return kind === "test" || kind === "snapshot" ? [change] : [];
  });
}

// At the beginning, where a title says what it wants: "Crash while renaming a folder" asks for no renaming.
const refactoring =
  /^\W{0,5}(?:(?:refactor|rename|restructure|reorgani[sz]e|clean[ -]?up|tidy|deduplicate|inline|extract|split)\b|remove (?:the )?(?:dead|unused)\b|(?:fix )?typos?\b|(?:chore|style)(?:\([^)]{0,60}\))?:)/i;

/** A document, or source in which only comments and blanks at the ends of lines differ. */
function isInert({ path, kind, before, after }: Pair): boolean {
  if (kind === "documentation") return true;
  const language = languageOf(path);
  const [was, is] = [textOf(before), textOf(after)];
  if (kind !== "source" || language === undefined || was === undefined || is === undefined) return false;
  if (before?.mode !== after?.mode || directives.test(was) || directives.test(is)) return false;
  const [one, other] = [withoutComments(was, language), withoutComments(is, language)];
  return one !== undefined && other !== undefined && bare(one) === bare(other);
}

// Comments that a compiler or a linter obeys.
const directives = /^[ \t]{0,40}(?:\/\/\s?(?:go:|\+build)|import "C"|\/\/\s?@ts-|#\s?type:|\/\*\s?@jsx)/m;

function bare(code: string): string {
  return code
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .join("\n");
}

/** Whether all that is there now was there before under another path. */
function isMove(pairs: readonly Pair[]): boolean {
  const contents = (side: "before" | "after") =>
    pairs
      .flatMap(({ [side]: content }) => (content ? `${content.mode} ${content.bytes.toString("latin1")}` : []))
      .sort();
  const [before, after] = [contents("before"), contents("after")];
  return before.length === after.length && before.every((content, index) => content === after[index]);
}
