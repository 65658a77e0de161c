import { randomInt } from "node:crypto";
import type { Answer, Wanted } from "./channel.ts";
import type { ExecEnd } from "./engine.ts";
import { quote } from "./quote.ts";

/** How long a command may run, and what of its output is wanted. */
export interface Bounds extends Wanted {
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

export interface Command extends Bounds {
  text: string;
  cwd: string;
  env: Record<string, string>;
  /** A name that a later host can ask for. Without one nobody can. */
  step?: string | undefined;
}

export type Ran = ExecEnd & { answer: Answer; note: string; durationMs: number };

export type Resumed = Ran | { end: "never-began" } | { end: "unknown" };

export type StepEnd = { end: ExecEnd; output: boolean; cwd: boolean; note: string };

export interface Step {
  /** Its files' name. */
  id: string;
  /** Its events' word. A process that stays behind can write events too, and must not know the words to come. */
  word: string;
  named: boolean;
  ended: PromiseWithResolvers<StepEnd>;
  swept: PromiseWithResolvers<void>;
}

export const noAnswer: Answer = { total: 0, head: Buffer.alloc(0), tail: Buffer.alloc(0), cwd: Buffer.alloc(0) };
export const lostStep: StepEnd = { end: { end: "sandbox-lost" }, output: false, cwd: false, note: "" };

const notes: Record<string, string> = {
  processes: "[agent-fix: no further process could be started (process limit)]\n",
  room: "[agent-fix: the command was not run: /run/af, which holds the output of commands, is full]\n",
  full: "[agent-fix: /run/af, which holds the output of commands, was full, or nearly, while the command ran; it may have failed for that]\n",
  gone: "[agent-fix: what this step wrote is not kept any more]\n",
  taken: "[agent-fix: the command was not run: a step of this name ran before]\n",
};

/** A step that nobody can name gets a random id. */
export function createStep(name: string | undefined): Step {
  const word = String(randomInt(2 ** 47));
  const id = name === undefined ? word : `step-${name}`;
  return { id, word, named: name !== undefined, ended: Promise.withResolvers(), swept: Promise.withResolvers() };
}

/** A command as the supervisor's shells read it. */
export function callOf({ cwd, text, env }: Command): string {
  const variables = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  return [...variables, `__cwd=${quote(cwd)} __af=${quote(text)}`].join("\n");
}

export function ranNothing(end: ExecEnd): Ran {
  return { ...end, answer: noAnswer, note: "", durationMs: 0 };
}

/** The words of an event `D`, or of the answer `done`. */
export function parseEnd([code = "", more = "", killed = "", why = ""]: string[]): StepEnd {
  const number = /^\d{1,3}$/.test(code) ? Number(code) : 255;
  const end: ExecEnd = killed === "1" && number !== 0 ? { end: "out-of-memory" } : { end: "exited", code: number };
  return { end, output: more === "1" || more === "3", cwd: more === "2" || more === "3", note: notes[why] ?? "" };
}
