import { type Finding, finding } from "./findings.ts";
import { languageOf } from "./languages.ts";
import { withoutComments } from "./measure.ts";
import { type Content, type Pair, textOf } from "./pairs.ts";

/** How runners are told to run a test again until it passes, by what they document. */
const again = new RegExp(
  [
    // Vitest, Playwright, Cypress, AVA and nextest; Mocha; Jest
    String.raw`\bretr(?:y|ies)["']?\s{0,4}[:=]\s{0,4}["'{\d]|\.retries\s{0,4}\(|\bretryTimes\s{0,4}\(|--retr(?:y|ies)\b`,
    // pytest-rerunfailures, flaky and pytest-retry
    String.raw`--reruns\b|\breruns\s{0,4}=|@flaky\b|\bmark\.flaky\b|--force-flaky\b|--retries\b`,
    // JUnit Pioneer, rerunner-jupiter and Surefire; NUnit; CTest; Bazel; RSpec
    String.raw`@RetryingTest\b|@RepeatedIfExceptionsTest\b|\brerunFailingTestsCount\b|\[Retry\(|until-pass\b|flaky_test_attempts\b|\bretry_count\b`,
  ].join("|"),
  "g",
);

/** Where a change has tests run again until they pass, which makes none of them steady. */
export function findRetries(pairs: readonly Pair[]): Finding[] {
  return pairs.flatMap(({ path, kind, before, after }) => {
    const mayRetry = kind === "test" || kind === "test-config" || kind === "manifest";
    if (!mayRetry || countIn(path, after) <= countIn(path, before)) return [];
    return [finding("retried-test", path, "has tests run again until they pass")];
  });
}

function countIn(path: string, content: Content | undefined): number {
  const text = (content && textOf(content)) ?? "";
  const language = languageOf(path);
  return ((language && withoutComments(text, language)) ?? text).match(again)?.length ?? 0;
}
