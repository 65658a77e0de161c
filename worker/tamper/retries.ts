import { type Finding, finding } from "./findings.ts";
import { languageOf } from "./languages.ts";
import { withoutComments } from "./measure.ts";
import { type Content, type Pair, textOf, without } from "./pairs.ts";

// What a value goes on with: to the end of its line, its object or its argument.
const rest = String.raw`(?:\([^()]{0,200}\)|\[[^\][]{0,200}\]|[^,;(){}\][\n]|\n\s{0,80}[?:&|]){0,200}`;
// No type, no stand-in, no function and no words of a test's name; a package of that name has a version in quotes.
const word = String.raw`(?!(?:number|string|boolean|unknown|any|int|async)\b|[\w$.]{1,60}\.(?:fn|mock|stub|spy)\b)[A-Za-z_$][\w$.]{0,100}(?=\s{0,80}[?|&([,;})*+/]|[ \t]{0,80}(?:\n|$))`;
const inBrackets = String.raw`(?=\()(?!\([^()]{0,200}\)\s{0,4}(?:=>|[:{]))`;
const expression = `(?:[!+]{0,2}${word}|${inBrackets})${rest}`;
const given = String.raw`:\s{0,80}(?:\d${rest}|["']\d{1,9}["']|\{(?!\s{0,4}version)[^{}]{0,300}|${expression})|=\s{0,80}(?:\d${rest}|\{(?!\s{0,4}version)[^{}]{0,300})`;
const inCall = String.raw`(?:\([^()]{0,200}\)|[^()]){0,200}`;

/** How runners are told to run a test again until it passes, by what they document, with how often. */
const again = new RegExp(
  [
    // Vitest, Playwright, Cypress, AVA and nextest; RSpec; Bazel; pytest-rerunfailures
    String.raw`(?<![\w$])(?:retr(?:y|ies)|retry_count|flaky_test_attempts|reruns)["']?\s{0,4}(?:${given})`,
    // Mocha; Jest
    String.raw`(?:\.retries|\bretryTimes)\s{0,4}\(${inCall}`,
    // The same and pytest-retry, by options
    String.raw`--(?:retr(?:y|ies)|reruns|force-flaky)(?![\w-])(?:["',=\s]{0,6}\d{1,9})?`,
    // flaky; JUnit Pioneer, rerunner-jupiter and Surefire; NUnit; CTest
    String.raw`(?:@flaky|\bmark\.flaky|@RetryingTest|@RepeatedIfExceptionsTest|\[Retry)\b(?:\s{0,4}\(${inCall}\))?`,
    String.raw`\brerunFailingTestsCount\b[\s=>]{0,4}\d{0,9}|until-pass\b(?::\d{1,9})?`,
  ].join("|"),
  "g",
);
const never = /^[-.\w]+["']?[\s:=(>"',]{1,90}(?:0|false|null|undefined|none|nil)?["']?$/i;

/** Where a change has tests run again until they pass, which makes none of them steady. */
export function findRetries(pairs: readonly Pair[]): Finding[] {
  return pairs.flatMap(({ path, kind, before, after }) => {
    const mayRetry = kind === "test" || kind === "test-config" || kind === "manifest";
    if (!mayRetry || without(retriesIn(path, after), retriesIn(path, before)).length === 0) return [];
    return [finding("retried-test", path, "has tests run again until they pass")];
  });
}

/** Each as it stands there, but for its blanks. */
function retriesIn(path: string, content: Content | undefined): string[] {
  const text = (content && textOf(content)) ?? "";
  const language = languageOf(path);
  const found = ((language && withoutComments(text, language)) ?? text).match(again) ?? [];
  return found.map((one) => one.replaceAll(/\s+/g, " ").trim()).filter((one) => !never.test(one));
}
