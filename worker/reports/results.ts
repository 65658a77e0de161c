import { createHash } from "node:crypto";

/** What became of one test. A report is written by what it reports on: it tells which test, never whether a check passed. */
export interface TestResult {
  /** Its suites and itself, joined by " > "; at most 500 characters. */
  name: string;
  /** As the runner names it; below the root of the repository from there. */
  file?: string;
  status: "passed" | "failed" | "skipped";
  /** Of one that failed; at most 2,000 characters. */
  message?: string;
  /** Where it failed, as its own text tells: in its file; where that is not known, in the first of the repository's. */
  at?: Place;
}

export interface Place {
  /** From the root of the repository; of Go from its package's import path. */
  file: string;
  line: number;
}

export interface Report {
  tests: TestResult[];
  /** Why tests may be missing in it; absent where it was read whole. */
  cut?: string;
  /** What the runner would have written, where its report stood in the place of that. */
  said?: string;
}

export interface Found {
  /** As `joined` makes it. */
  name: string;
  file?: string | undefined;
  status: TestResult["status"];
  message?: string | undefined;
  /** Further text of the failure, in which its place may stand. */
  trace?: string | undefined;
  at?: Place | undefined;
}

/** Reads a report in one pass. It never throws, whatever the text. */
export type Reader = (text: string, root: string) => Report;

const mostTests = 50_000;
/** Those that became one included. */
const mostResults = 200_000;
const longestName = 500;
const longestFile = 300;
const longestMessage = 2_000;
const longestTrace = 8_000;
const mostMessages = 500;
const severity = { skipped: 0, passed: 1, failed: 2 };

export interface Collection {
  /** False when it is full: the reader stops. */
  add(found: Found): boolean;
  report(cut?: string): Report;
}

/**
 * Gathers results within bounds. Results of one name in one file become one, which has the worst status of them: a
 * number would depend on the order in which they ran.
 */
export function createCollection(root: string): Collection {
  const tests = new Map<string, TestResult>();
  let messages = 0;
  let results = 0;
  let isFull = false;

  return {
    add({ name: full, file: named, status, message, trace, at }) {
      const name = full || "(no name)";
      const file = named && fileOf(named, root);
      const key = `${file ?? ""}\0${name}`;
      const known = tests.get(key);
      if (++results > mostResults || (known === undefined && tests.size >= mostTests)) isFull = true;
      if (isFull) return false;
      if (known !== undefined && severity[known.status] >= severity[status]) return true;
      const isTold = status === "failed" && messages < mostMessages && messageOf(message) !== "";
      if (isTold) messages++;
      const told = isTold ? toldOf({ message, trace, at }, file, root) : {};
      tests.set(key, { name, ...(file && { file }), status, ...told });
      return true;
    },
    report(cut) {
      const why = isFull ? `it has more than ${mostTests} tests` : cut;
      return { tests: [...tests.values()], ...(why === undefined ? {} : { cut: why }) };
    },
  };
}

/** The name of a suite or test within one that was joined before: level by level, so that depth costs nothing. */
export function joined(suite: string, name: string): string {
  const own = oneLine(name);
  return shortened(suite === "" || own === "" ? suite + own : `${suite} > ${own}`, longestName);
}

function toldOf(
  { message, trace = "", at }: Pick<Found, "message" | "trace" | "at">,
  file: string | undefined,
  root: string,
): Pick<TestResult, "message" | "at"> {
  const place = at ?? placeIn(`${message}\n${trace}`, file, root);
  return { message: messageOf(message), ...(place && { at: place }) };
}

function messageOf(message = ""): string {
  return message.slice(0, longestMessage).toWellFormed().trim();
}

// Each word is looked at once, however long it is.
const places = /(?<![^\s()'"`:<>])([^\s()'"`:<>]{1,300}):(\d{1,7})(?!\d)/g;

/** The first place that a text names in the test's file, or in any of the repository's own where that is not known. */
function placeIn(text: string, file: string | undefined, root: string): Place | undefined {
  for (const [, path = "", line] of text.slice(0, longestTrace).matchAll(places)) {
    // What is left of a file's URL begins with three of them.
    const own = fileOf(path.replace(/^\/+/, "/"), root);
    const isOwn = file === undefined ? path.includes(`${root}/`) && !own.includes("node_modules/") : own === file;
    if (isOwn && Number(line) > 0) return { file: own, line: Number(line) };
  }
  return undefined;
}

function fileOf(file: string, root: string): string {
  const line = oneLine(file).replace(/^file:\/\//, "");
  return shortened(line.startsWith(`${root}/`) ? line.slice(root.length + 1) : line, longestFile);
}

function oneLine(text: string): string {
  if (text.length <= longestName && /^[!-~]*(?: [!-~]+)*$/.test(text)) return text;
  const whole = text.length > 10_000 ? `${text.slice(0, 10_000)} ${digest(text)}` : text;
  return whole
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
}

/** Two long texts that begin alike stay two. */
function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 10).toWellFormed()}… ${digest(text)}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
