import { isUnder } from "../globs.ts";
import { isManifest } from "../manifests.ts";
import { type Finding, finding, someOf } from "./findings.ts";
import { languageOf } from "./languages.ts";
import { withoutComments } from "./measure.ts";
import { changeOf, type Pair, textOf } from "./pairs.ts";

/**
 * Where a change reaches beside sources and tests: CI, protected paths, dependencies, snapshots, generated files.
 * `updates`: other dependencies are what was asked for. `paths`: what the change is to stay in, as globs or folders, where
 * there are any.
 */
export function findOutOfScope(
  pairs: readonly Pair[],
  { updates = false, paths = [] }: { updates?: boolean | undefined; paths?: readonly string[] | undefined } = {},
): Finding[] {
  return pairs.flatMap((pair) => {
    const { path, kind, before } = pair;
    const what = `is ${changeOf(pair)}`;
    if (before?.mode === "160000") return [finding("changed-submodule", path, what)];
    if (kind === "protected") return [finding("protected-path", path, what)];
    if (isOutside(path, paths) && !(updates && lockFiles.test(path)))
      return [finding("outside-paths", path, `${what}, and the task is to change ${someOf(paths)} alone`)];
    const dependencies = isManifest(path) && !updates ? [finding("changed-dependencies", path, what)] : [];
    return [...dependencies, ...byKind(pair, what)];
  });
}

/** They hold the packages of manifests in other folders too. */
const lockFiles = /(?:^|\/)(?:package-lock|npm-shrinkwrap)\.json$/;

function isOutside(path: string, paths: readonly string[]): boolean {
  return paths.length > 0 && !paths.some((pattern) => isUnder(path, pattern));
}

function byKind(pair: Pair, what: string): Finding[] {
  const { path, kind, before } = pair;
  if (kind === "ci") return [finding("edited-ci", path, what)];
  if (kind === "generated") return [finding("changed-generated-file", path, what)];
  if (kind === "snapshot" && before !== undefined) return [finding("changed-snapshot", path, what)];
  return kind === "source" ? specialCases(pair) : [];
}

/** How code asks whether it is being tested, by what the runners document or are known to set. */
const asksForTests = new RegExp(
  [
    String.raw`\b(?:VITEST|VITEST_\w{1,40}|JEST_WORKER_ID|NODE_TEST_CONTEXT|PYTEST_CURRENT_TEST|PYTEST_VERSION|MOCHA_\w{1,40}|CARGO_TARGET_TMPDIR|PHPUNIT_\w{1,40})\b`,
    String.raw`\b(?:NODE_ENV|RAILS_ENV|RACK_ENV|APP_ENV|MIX_ENV|ENV|ENVIRONMENT)\b["'\])]{0,3}\s{0,4}[=!]==?\s{0,4}["']test(?:ing)?["']`,
    String.raw`["']test(?:ing)?["']\s{0,4}[=!]==?\s{0,4}process\.env\b|import\.meta\.vitest\b`,
    String.raw`["'](?:pytest|unittest|_pytest|nose)["']\s{1,4}(?:not\s{1,4})?in\s{1,4}sys\.(?:modules|argv)`,
    String.raw`\btesting\.Testing\s{0,4}\(|\bflag\.Lookup\s{0,4}\(\s{0,4}"test\.|HasSuffix\s{0,4}\(\s{0,4}os\.Args\[0\],\s{0,4}"\.test"`,
    String.raw`\bcfg!\s{0,4}\(\s{0,4}test\b|\bRails\.env\.test\?|\bdefined\?\s{0,4}\(?\s{0,4}(?:RSpec|Minitest)\b`,
    String.raw`\brunningUnitTests\s{0,4}\(|["']org\.junit|["']xunit\.|\bglobalThis\.(?:it|describe|vi|jest)\b|\btypeof\s{1,4}(?:it|describe|jest|vi)\b`,
  ].join("|"),
  "g",
);
const uncovered =
  /\b(?:istanbul|c8|v8|node:coverage)\s{1,4}(?:ignore|disable)\b|\bpragma:\s{0,4}no\s?(?:cover|branch)\b|\bLCOV_EXCL_|\bGCOV_EXCL_|:nocov:|@codeCoverageIgnore|\bExcludeFromCodeCoverage\b|\bcoverage\(off\)/g;

function specialCases({ path, before, after }: Pair): Finding[] {
  const [was, is] = [textOf(before) ?? "", textOf(after)];
  if (is === undefined) return [];
  const findings: Finding[] = [];
  if (timesIn(codeOf(path, is), asksForTests) > timesIn(codeOf(path, was), asksForTests)) {
    findings.push(finding("special-cased-tests", path, "asks whether it is being tested, and did not before"));
  }
  if (timesIn(is, uncovered) > timesIn(was, uncovered)) {
    findings.push(finding("excluded-from-coverage", path, "takes code out of the measured coverage"));
  }
  return findings;
}

function codeOf(path: string, text: string): string {
  const language = languageOf(path);
  return (language && withoutComments(text, language)) ?? text;
}

function timesIn(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
