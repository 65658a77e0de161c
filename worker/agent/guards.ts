import { isRecord, parseJson } from "./json-text.ts";
import type { ToolCall } from "./model.ts";

/** `note` is added to the result, `refuse` stands in its place, `stuck` ends the attempt. */
export interface Finding {
  kind: "note" | "refuse" | "stuck";
  /** The facts, in one sentence. */
  text: string;
}

/** Notices that the model goes round in circles. Calls that could not be understood are not for it. */
export interface Guards {
  /** Looks at a call before it runs. One that is refused counts as if its result had been the same again. */
  before(call: ToolCall): Finding | undefined;
  after(call: ToolCall, result: { text: string; failed: boolean }): Finding | undefined;
}

interface Step {
  call: string;
  result: string;
  /** Whether the call only looks at a file, and at what was seen already. */
  view: "first" | "again" | undefined;
}

/** After how many times in a row the model is told, is refused, and is stopped. */
const times = { note: 3, refuse: 5, stuck: 8 };
/** The same for so many of the last calls that looked again at what had been seen, while none looked at anything new. */
const rereads = { note: 8, refuse: 12, stuck: 15 };
const lastCalls = 15;
/** How many calls a pattern may have. */
const longest = 3;

export function createGuards(): Guards {
  const steps: Step[] = [];
  const seen = new Set<string>();
  let error = { text: "", times: 0 };

  function add(step: Step): void {
    steps.push(step);
    if (steps.length > longest * times.stuck) steps.shift();
    if (step.view === "first") seen.add(step.call);
  }

  return {
    before(call) {
      const view = viewOf(call, seen);
      const pattern = continuedBy(keyOf(call), steps);
      const found = worst(
        pattern && graded(pattern.times + 1, times, patternText(pattern)),
        view === "again" ? graded(countAgain(steps) + 1, rereads, rereadText) : undefined,
      );
      if (found === undefined || found.kind === "note") return undefined;
      add({ call: keyOf(call), result: pattern?.result ?? "", view });
      return found;
    },
    after(call, { text, failed }) {
      const view = viewOf(call, seen);
      // An edit that is made again and again says something else each time; what a command prints tells whether it waits.
      add({ call: keyOf(call), result: commandOf(call) === undefined ? text : "", view });
      if (isEdit(call) && !failed) seen.clear();
      error = { text, times: failed && text === error.text ? error.times + 1 : Number(failed) };
      const pattern = repeatedBy(steps);
      return worst(
        error.times >= times.stuck ? { kind: "stuck", text: errorText(error.times) } : undefined,
        pattern && { kind: "note", text: patternText(pattern) },
        error.times >= times.note ? { kind: "note", text: errorText(error.times) } : undefined,
        view === "again" ? graded(countAgain(steps), rereads, rereadText) : undefined,
      );
    },
  };
}

interface Pattern {
  length: number;
  /** How often it came in a row. */
  times: number;
  /** What its next call, or its last one, is known to result in. */
  result: string;
}

/** The shortest pattern that the call would continue. */
function continuedBy(call: string, steps: readonly Step[]): Pattern | undefined {
  return patternsIn(steps).find(({ length }) => steps.at(-length)?.call === call);
}

/** The shortest pattern of which the last call ended a round. */
function repeatedBy(steps: readonly Step[]): Pattern | undefined {
  return patternsIn(steps).find(({ whole }) => whole);
}

/** The patterns that the last calls follow, shortest first. */
function patternsIn(steps: readonly Step[]): (Pattern & { whole: boolean })[] {
  return Array.from({ length: longest }, (_, index) => {
    const length = index + 1;
    const run = lengthOfRun(steps, length);
    const result = steps.at(-length)?.result ?? "";
    return { length, times: Math.floor(run / length), whole: run % length === 0, result };
  }).filter((pattern) => pattern.times >= times.note);
}

/** Over how many of the last calls each one is the same as the one `length` before it. */
function lengthOfRun(steps: readonly Step[], length: number): number {
  const isSame = (one: Step | undefined, other: Step | undefined) =>
    one?.call === other?.call && one?.result === other?.result;
  let at = steps.length - 1;
  while (at >= length && isSame(steps[at], steps[at - length])) at--;
  return steps.length - 1 - at + Math.min(length, at + 1);
}

/** How many of the last calls looked again at something, after the last one that looked at something new. */
function countAgain(steps: readonly Step[]): number {
  const last = steps.slice(-lastCalls);
  const since = last.slice(last.findLastIndex(({ view }) => view === "first") + 1);
  return since.filter(({ view }) => view === "again").length;
}

function graded(count: number, limits: typeof times, text: string): Finding | undefined {
  if (count >= limits.stuck) return { kind: "stuck", text };
  if (count > limits.refuse) return { kind: "refuse", text };
  return count >= limits.note ? { kind: "note", text } : undefined;
}

function worst(...found: (Finding | undefined)[]): Finding | undefined {
  const all = found.filter((one) => one !== undefined);
  return ["stuck", "refuse", "note"].map((kind) => all.find((one) => one.kind === kind)).find(Boolean);
}

function patternText({ length, times: count }: Pattern): string {
  return length === 1
    ? `This call gave the same result ${count} times in a row.`
    : `The same ${length} calls gave the same results ${count} times in a row.`;
}

const rereadText = "Most of your last calls looked again at what you had seen already, and none at anything new.";

function errorText(count: number): string {
  return `The same error came ${count} times in a row.`;
}

function keyOf({ name, arguments: args }: ToolCall): string {
  return `${name} ${args}`;
}

function viewOf(call: ToolCall, seen: ReadonlySet<string>): Step["view"] {
  if (commandOf(call) !== "view") return undefined;
  return seen.has(keyOf(call)) ? "again" : "first";
}

function isEdit(call: ToolCall): boolean {
  return !["view", undefined].includes(commandOf(call));
}

/** What the editor is asked to do. */
function commandOf({ name, arguments: args }: ToolCall): string | undefined {
  if (name !== "str_replace_editor") return undefined;
  const parsed = parseJson(args);
  return isRecord(parsed) ? String(parsed["command"]) : undefined;
}
