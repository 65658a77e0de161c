import { messageOf } from "../../src/errors.ts";
import { type Finding, finding, someOf } from "./findings.ts";
import { kindOf } from "./kinds.ts";
import { languageOf } from "./languages.ts";
import { withoutComments } from "./measure.ts";
import { changeOf, type Content, type Pair, textOf, without } from "./pairs.ts";

/** What a change does to how tests are run, and to how much of the code they have to cover. */
export function findConfigTampering(pairs: readonly Pair[]): Finding[] {
  return pairs.flatMap((pair) => {
    const { path, kind, before, after } = pair;
    const part = kind === "manifest" ? parts.get(path.slice(path.lastIndexOf("/") + 1)) : undefined;
    if (kind !== "test-config" && part === undefined) return [];
    const [was, is] = [wordsOf(before), wordsOf(after)];
    if (was === undefined || is === undefined) {
      return [finding("unmeasured", path, "what it says of tests was not read")];
    }
    const found = loweredThresholds(path, was, is);
    if (part === undefined) return [...found, finding("changed-test-config", path, `is ${changeOf(pair)}`)];
    return before === undefined ? found : [...found, ...part({ path, was, is })];
  });
}

function wordsOf(content: Content | undefined): string | undefined {
  return content === undefined ? "" : textOf(content);
}

interface Texts {
  path: string;
  was: string;
  is: string;
}

/** Manifests of which a part configures tests. */
const parts = new Map<string, (texts: Texts) => Finding[]>([
  ["package.json", jsonPart],
  ["composer.json", jsonPart],
  ["deno.json", jsonPart],
  ["pyproject.toml", sectionsPart],
  ["setup.cfg", sectionsPart],
  ["Cargo.toml", sectionsPart],
]);

function jsonPart({ path, was, is }: Texts): Finding[] {
  const before = jsonOf(was);
  const after = is === "" ? {} : jsonOf(is);
  if (before === undefined || after === undefined) {
    return [finding("unmeasured", path, "its scripts were not read: it is no JSON")];
  }
  try {
    return [...changedScripts(path, scriptsOf(before), scriptsOf(after)), ...changedKeys(path, before, after)];
  } catch (error) {
    return [finding("unmeasured", path, `its scripts were not compared: ${messageOf(error)}`)];
  }
}

type Json = Record<string, unknown>;

function jsonOf(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function scriptsOf(manifest: Json): Map<string, string> {
  const found = [manifest["scripts"], manifest["tasks"]].filter(isObject).flatMap((scripts) => Object.entries(scripts));
  return new Map(
    found.map(([name, command]) => [name, typeof command === "string" ? command : JSON.stringify(command)]),
  );
}

const testScript = /^(?:pre|post)?(?:test|tests|coverage|check|ci|spec)(?:$|[:._-])/;

function changedScripts(path: string, before: Map<string, string>, after: Map<string, string>): Finding[] {
  const changed = [...before].filter(([name, command]) => after.get(name) !== command);
  return changed.map(([name, command]) => {
    const now = after.get(name);
    const detail = `${now === undefined ? "removes" : "changes"} the script ${someOf([name])}`;
    const isTest = testScript.test(name) && !(now !== undefined && namesMoreTests(command, now));
    return finding(isTest ? "changed-test-script" : "changed-test-config", path, detail);
  });
}

/** Whether a command differs only by further test files in it. */
function namesMoreTests(before: string, after: string): boolean {
  const [had, has] = [before.split(/\s+/), after.split(/\s+/)];
  const more = without(has, had);
  const isFile = (word: string) => /^[\w./*-]+\.\w+$/.test(word) && kindOf(word) === "test";
  return more.length > 0 && more.every(isFile) && without(has, more).join(" ") === had.join(" ");
}

const testKeys = ["jest", "vitest", "mocha", "ava", "nyc", "c8", "tap", "jasmine", "karma", "cypress", "wtr", "test"];

function changedKeys(path: string, before: Json, after: Json): Finding[] {
  const changed = testKeys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
  return changed.length === 0 ? [] : [finding("changed-test-config", path, `changes ${changed.join(", ")}`)];
}

const testSection = /pytest|coverage|\btox\b|\bnox\b|testenv|unittest|nextest|tarpaulin|\btests?\b|\bbench\b/i;
const switchedOff = /^\s{0,8}(?:test|doctest|harness|bench|autotests)\s{0,8}=/;

function sectionsPart({ path, was, is }: Texts): Finding[] {
  const [before, after] = [testLines(was), testLines(is)];
  if (before.join("\n") === after.join("\n")) return [];
  return [finding("changed-test-config", path, "changes what it says of tests")];
}

/** The lines of TOML's or INI's sections that are about tests, and the switches that turn tests off in others. */
function testLines(text: string): string[] {
  let inside = false;
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    const header = /^\s{0,8}\[{1,2}([^\]]{1,200})\]/.exec(line)?.[1];
    if (header !== undefined) inside = testSection.test(header);
    const bare = line.trim();
    if (bare !== "" && !bare.startsWith("#") && (inside || switchedOff.test(line))) lines.push(bare);
  }
  return lines;
}

// Istanbul, nyc, c8, Vitest and Jest; coverage.py and pytest-cov; SimpleCov; JaCoCo; tarpaulin and cargo-llvm-cov; Codecov.
const threshold =
  /(?<![\w-])(?:--)?["']?(lines|branches|functions|statements|fail[-_]under|cov-fail-under|fail-under-lines|minimum_coverage|check[-_]?coverage|minimum|target|perFile|per-file)["']?[ \t]{0,8}(?:[:=>(]|[ \t])[ \t"']{0,8}(-?\d{1,5}(?:\.\d{1,5})?|true|false)/gi;

/** Numbers are compared by name, largest first: one that is smaller or gone lets less covered code pass. */
function loweredThresholds(path: string, was: string, is: string): Finding[] {
  const [before, after] = [thresholdsOf(path, was), thresholdsOf(path, is)];
  return [...before].flatMap(([name, had]) => {
    const has = after.get(name) ?? [];
    const at = had.findIndex((number, index) => (has[index] ?? Number.NEGATIVE_INFINITY) < number);
    if (at < 0) return [];
    return [finding("lowered-threshold", path, `${name} was ${had[at]} and is ${has[at] ?? "gone"}`)];
  });
}

function thresholdsOf(path: string, text: string): Map<string, number[]> {
  const language = languageOf(path);
  const code = (language && withoutComments(text, language)) ?? text;
  const found = new Map<string, number[]>();
  for (const [, name = "", value = ""] of code.matchAll(threshold)) {
    const number = value === "true" ? 1 : value === "false" ? 0 : Number(value);
    const key = name.toLowerCase();
    const known = found.get(key);
    if (known === undefined) found.set(key, [number]);
    else known.push(number);
  }
  for (const numbers of found.values()) numbers.sort((a, b) => b - a);
  return found;
}
