import { createHash } from "node:crypto";
import { type Finding, finding, someOf } from "./findings.ts";
import { isTestName } from "./kinds.ts";
import { type Language, languageOf } from "./languages.ts";
import { measure, type Measure } from "./measure.ts";
import { countsOf, type Content, type Pair, take, textOf, without } from "./pairs.ts";

interface Counted {
  pair: Pair;
  before: Measure;
  after: Measure;
  /** Tests that are there no more, and new ones; by name. */
  lost: string[];
  gained: string[];
}

const nothing: Measure = { tests: [], assertions: [], skips: 0, focus: 0, many: 0, exits: 0 };

/** What a change does to its tests: deleted, skipped, narrowed, emptied, weakened. A test that moved is none of it. */
export function findTestTampering(pairs: readonly Pair[]): Finding[] {
  const moved = movedFiles(pairs);
  const files = pairs
    .filter((pair) => !moved.has(pair) && mayHoldTests(pair))
    .map((pair) => ({ pair, counted: count(pair) }));
  const arrived = countsOf(files.flatMap(({ counted }) => counted?.gained ?? []));
  return files.flatMap(({ pair, counted }) =>
    counted === undefined ? uncounted(pair) : judge(counted, arrived, pairs),
  );
}

/** The names of tests that a source file of the change has and had not: those can't be taken apart from the source. */
export function testsInside(pair: Pair): string[] {
  if (pair.kind !== "source" || !mayHoldTests(pair)) return [];
  return count(pair)?.gained ?? [];
}

// Rust's unit tests stand in the file that they test.
function mayHoldTests({ path, kind }: Pair): boolean {
  return kind === "test" || (kind === "source" && path.endsWith(".rs"));
}

/** Both ends of files that have another path now and the same content. */
function movedFiles(pairs: readonly Pair[]): Set<Pair> {
  const hash = (content: Content) => createHash("sha256").update(content.bytes).digest("hex");
  const added = new Map<string, Pair>();
  for (const pair of pairs) {
    if (pair.before === undefined && pair.after !== undefined && pair.kind === "test")
      added.set(hash(pair.after), pair);
  }
  const moved = new Set<Pair>();
  for (const pair of pairs) {
    if (pair.after !== undefined || pair.before === undefined || pair.kind !== "test") continue;
    const now = added.get(hash(pair.before));
    if (now !== undefined) moved.add(pair).add(now);
  }
  return moved;
}

function count(pair: Pair): Counted | undefined {
  const language = languageOf(pair.path);
  if (language === undefined) return undefined;
  const before = measured(pair.before, language);
  const after = measured(pair.after, language);
  if (before === undefined || after === undefined) return undefined;
  const [lost, gained] = [without(before.tests, after.tests), without(after.tests, before.tests)];
  return { pair, before, after, lost, gained };
}

function measured(content: Content | undefined, language: Language): Measure | undefined {
  if (content === undefined) return nothing;
  const text = textOf(content);
  return text === undefined ? undefined : measure(text, language);
}

/** Data, or a language that nobody counts here: its name and its being there are all there is to judge by. */
function uncounted({ path, before, after, kind }: Pair): Finding[] {
  const isTest = isTestName(path);
  if (before === undefined) return isTest ? [finding("unmeasured", path, "its tests were not counted")] : [];
  if (after === undefined && isTest) return [finding("deleted-test-file", path, "is deleted")];
  if (isTest && isBlank(after) && !isBlank(before))
    return [finding("gutted-test-file", path, "has nothing in it any more")];
  if (isTest || languageOf(path) !== undefined) {
    const what = "what it held of tests before and now was not counted";
    return [finding("unmeasured", path, what)];
  }
  return kind === "test" ? [finding("changed-test-data", path, after === undefined ? "is deleted" : "is changed")] : [];
}

function isBlank(content: Content | undefined): boolean {
  return content !== undefined && content.bytes.toString("latin1").trim() === "";
}

function judge(counted: Counted, arrived: Map<string, number>, pairs: readonly Pair[]): Finding[] {
  const { pair, before, after, lost } = counted;
  const gone = lost.filter((name) => !take(arrived, name));
  if (pair.before === undefined) return judgeNew(counted);
  if (pair.after === undefined) return judgeDeleted(counted, gone, pairs);
  const { path } = pair;
  const findings = isGutted(counted, gone)
    ? [finding("gutted-test-file", path, `has ${amounts(after)}, and had ${amounts(before)}`)]
    : [...judgeNames(counted, gone), ...judgeAssertions(counted, gone)];
  const skipped = after.skips - before.skips;
  if (skipped > 0) findings.push(finding("skipped-test", path, `skips more tests than before (${skipped})`));
  return [...findings, ...judgeRun(counted)];
}

function judgeNew(counted: Counted): Finding[] {
  const { pair, after } = counted;
  const skipped =
    after.skips === 0 ? [] : [finding("skipped-new-test", pair.path, `skips some of its tests (${after.skips})`)];
  return [...skipped, ...judgeRun(counted)];
}

function judgeRun({ pair: { path, kind }, before, after }: Counted): Finding[] {
  const findings: Finding[] = [];
  if (after.focus > before.focus) findings.push(finding("narrowed-tests", path, "runs only some of its tests"));
  if (kind === "test" && after.exits > before.exits) {
    findings.push(finding("ended-test-process", path, "ends the process that runs the tests"));
  }
  return findings;
}

function judgeDeleted(
  { pair: { path, kind }, before }: Counted,
  gone: readonly string[],
  pairs: readonly Pair[],
): Finding[] {
  if (before.tests.length === 0 && (before.assertions.length === 0 || !isTestName(path))) {
    return kind === "test" ? [finding("changed-test-data", path, "is deleted")] : [];
  }
  if (before.tests.length > 0 && gone.length === 0) return [];
  const detail = `is deleted, and ${gone.length === 0 ? "its assertions" : someOf(gone)} with it`;
  const withSource = kind === "source" || pairs.some((other) => isSourceOf(other, path));
  return [finding(withSource ? "tests-removed-with-source" : "deleted-test-file", path, detail)];
}

/** Whether a deleted source file is the one that a test file is named for. */
function isSourceOf({ path, kind, after }: Pair, test: string): boolean {
  return kind === "source" && after === undefined && stemOf(path) === stemOf(test) && stemOf(path) !== "";
}

function stemOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return (name.split(".", 1)[0] ?? "")
    .replace(/^(?:test[-_]|Test(?=[A-Z]))/, "")
    .replace(/(?:[-_](?:test|tests|spec|unittest)|Tests?|TestCase|Spec|IT)$/, "");
}

function isGutted({ pair: { path }, before, after, lost }: Counted, gone: readonly string[]): boolean {
  if (lost.length > 0 && gone.length === 0) return false;
  if (before.tests.length > 0 && after.tests.length === 0) return true;
  const [had, has] = [before.assertions.length, after.assertions.length];
  if (had === 0 || (before.tests.length === 0 && !isTestName(path))) return false;
  return has === 0 || (has * 2 < had && after.many <= before.many);
}

function judgeNames({ pair: { path }, before, after, gained }: Counted, gone: readonly string[]): Finding[] {
  if (gone.length === 0) return [];
  const fewer = gone.length - gained.length;
  if (fewer > 0 && after.many <= before.many) {
    return [finding("deleted-test", path, `has fewer tests than before (${fewer}); gone: ${someOf(gone)}`)];
  }
  return [finding("replaced-test", path, `has other tests in place of ${someOf(gone)}`)];
}

function judgeAssertions({ pair: { path }, before, after, lost }: Counted, gone: readonly string[]): Finding[] {
  if (lost.length > 0 && gone.length === 0) return [];
  const changed = without(before.assertions, after.assertions).length;
  const fewer = before.assertions.length - after.assertions.length;
  if (fewer > 0) {
    const counts = `${after.assertions.length} assertions, and had ${before.assertions.length}`;
    return [finding("fewer-assertions", path, `has ${counts}`)];
  }
  return changed > 0 ? [finding("changed-assertions", path, `changes assertions that were there (${changed})`)] : [];
}

function amounts({ tests, assertions }: Measure): string {
  return `${tests.length} tests with ${assertions.length} assertions`;
}
