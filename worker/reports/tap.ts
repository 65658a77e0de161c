import { createCollection, joined } from "./results.ts";
import type { Collection, Report, TestResult } from "./results.ts";

interface Point {
  name: string;
  status: TestResult["status"];
  /** The comment before it: tape's name of the test that it belongs to. */
  comment: string;
  message: string;
  below: Point[];
}

const deepest = 50;
const longestMessage = 2_000;

/** Whether a command's output is TAP, also between what others wrote. */
export function isTap(text: string): boolean {
  return /^TAP version 1[234]\b/m.test(text);
}

/**
 * TAP 12 to 14, and what tape makes of it. Lines that are not TAP are left out. A point with subtests is their suite: it
 * is a result of its own only where it failed and none of them did. The assertions of one of tape's tests are one result.
 */
export function readTap(text: string, root: string): Report {
  const collection = createCollection(root);
  const state = new State();
  const start = text.search(/^TAP version 1[234]\b/m);
  for (const line of text.slice(Math.max(0, start)).split("\n")) state.take(line.replace(/\r$/, ""));
  const { points, cut } = state.end();
  addAll(collection, points, { prefix: "", isTape: state.isTape });
  return collection.report(cut);
}

class State {
  isTape = false;
  /** Points that no point around them has taken yet, by level. */
  readonly #levels: Point[][] = [];
  #last: Point | undefined;
  #isAfterPoint = false;
  #comment = "";
  #isTrailed = false;
  /** The indentation of the YAML block that is open. */
  #yaml: number | undefined;
  #plan: number | undefined;
  #bail: string | undefined;

  take(line: string): void {
    if (this.#bail !== undefined || this.#inYaml(line)) return;
    const words = line.trimStart();
    const indent = line.length - words.length;
    const isAfterPoint = this.#isAfterPoint;
    this.#isAfterPoint = false;
    // Elsewhere it is a line of what a test wrote, and would hide all that follows.
    if (words === "---" && isAfterPoint && indent > 0) this.#yaml = indent;
    else if (words.startsWith("Bail out!")) this.#bail = words.slice(9).trim();
    else if (words.startsWith("#") && indent === 0) this.#remark(words.slice(1).trim());
    else if (indent === 0 && /^1\.\.\d+(?:\s|$)/.test(words)) this.#plan = Number.parseInt(words.slice(3), 10);
    else this.#point(words, Math.min(deepest, Math.floor(indent / 4)));
  }

  end(): { points: Point[]; cut: string | undefined } {
    const [top = [], ...orphans] = this.#levels;
    const points = [...top, ...orphans.flat()];
    if (this.#bail !== undefined) return { points, cut: `it bailed out ${this.#bail.slice(0, 200)}`.trim() };
    if (this.#plan === undefined) return { points, cut: "it ends without its plan" };
    if (orphans.some((level) => level.length > 0)) return { points, cut: "it ends within a subtest" };
    return { points, cut: top.length < this.#plan ? `it has ${top.length} of ${this.#plan} results` : undefined };
  }

  /** A block of YAML tells more of the point before it: kept as it stands. */
  #inYaml(line: string): boolean {
    if (this.#yaml === undefined) return false;
    const words = line.trim();
    const indent = line.length - line.trimStart().length;
    const isWithin = words === "" || indent >= this.#yaml;
    if (!isWithin || (words === "..." && indent === this.#yaml)) this.#yaml = undefined;
    else if (this.#last?.status === "failed" && this.#last.message.length < longestMessage) {
      this.#last.message += `${line.slice(this.#yaml, this.#yaml + longestMessage)}\n`;
    }
    return isWithin;
  }

  #remark(words: string): void {
    // node:test counts suites too.
    if (this.#plan !== undefined && /^tests\s+\d+$/.test(words)) this.#isTrailed = true;
    if (this.#isTrailed && /^pass\s+\d+$/.test(words)) this.isTape = true;
    if (/^suites\s+\d+$/.test(words)) this.#isTrailed = false;
    this.#comment = words.startsWith("Subtest:") ? "" : words;
  }

  #point(words: string, level: number): void {
    const match = /^(not )?ok(?:\s+\d+)?(?:\s+-)?(?:\s+(.*))?$/s.exec(words);
    if (match === null) return;
    this.#isAfterPoint = true;
    const [, not, rest = ""] = match;
    const { name, isOff } = described(rest);
    const status = isOff ? "skipped" : not === undefined ? "passed" : "failed";
    const below = this.#levels.splice(level + 1).flat();
    this.#last = { name, status, comment: this.#comment, message: "", below };
    while (this.#levels.length <= level) this.#levels.push([]);
    this.#levels[level]?.push(this.#last);
  }
}

/** Without its directive: SKIP and TODO both say that the result counts for nothing. */
function described(rest: string): { name: string; isOff: boolean } {
  const at = rest.search(/(?:^|\s)#\s*(?:skip|todo)\b/i);
  const timed = rest.search(/\s#\s*time=/);
  const end = at >= 0 ? at : timed >= 0 ? timed : rest.length;
  return { name: rest.slice(0, end).replaceAll(/\\([\\#])/g, "$1"), isOff: at >= 0 };
}

interface Around {
  prefix: string;
  isTape: boolean;
}

/** False when the collection is full. */
function addAll(collection: Collection, points: readonly Point[], { prefix, isTape }: Around): boolean {
  return points.every((point) => {
    const { status, below } = point;
    const isPart = isTape && point.comment !== "";
    const name = isPart ? joined("", point.comment) : joined(prefix, point.name);
    const isExplained = below.length > 0 && (status !== "failed" || below.some((one) => one.status === "failed"));
    if (!addAll(collection, below, { prefix: name, isTape: false })) return false;
    const message = isPart ? `${point.name}\n${point.message}` : point.message;
    return isExplained || collection.add({ name, status, message });
  });
}
