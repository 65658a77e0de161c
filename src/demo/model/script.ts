import { readFileSync, readdirSync } from "node:fs";
import { z } from "zod";

const call = z.strictObject({
  name: z.string(),
  arguments: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
const turn = { say: z.string(), calls: z.array(call) };
const script = z.strictObject({
  /** What an error calls it. */
  name: z.string(),
  /** Pattern found in the first user message of the conversations that it is for. */
  when: z.string().min(1),
  /** Values for `{{name}}` in arguments: the first group of a pattern found in the first user message. */
  holes: z.record(z.string(), z.string()).default({}),
  steps: z.array(
    z.strictObject({
      id: z.string(),
      /** Pattern that must be found in what was said since the model's last turn. */
      after: z.string().optional(),
      ...turn,
      /** Said instead when `after` is not found; the step then waits for the next turn. */
      else: z.strictObject(turn).optional(),
    }),
  ),
});

/** A conversation as data: what the model says in each state. */
export type Script = z.output<typeof script>;

/** A message as it comes over the wire. */
export interface WireMessage {
  role: string;
  text: string;
}

export type Answer =
  | { kind: "turn"; turn: number; say: string; calls: { name: string; arguments: string }[] }
  | { kind: "off-script"; message: string };

/** The conversations of the demo. */
export function readScripts(folder: URL = new URL("conversations/", import.meta.url)): Script[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return files.sort().map((name) => script.parse(JSON.parse(readFileSync(new URL(name, folder), "utf8"))));
}

/**
 * The next turn of a conversation, from its messages alone: a run that begins anew, and many runs at once, get what is
 * theirs. What does not fit the script is answered with what was expected.
 */
export function answerFor(scripts: readonly Script[], messages: readonly WireMessage[]): Answer {
  const task = messages.find((message) => message.role === "user")?.text ?? "";
  const found = scripts.find((candidate) => new RegExp(candidate.when).test(task));
  if (found === undefined) return offScript(`no script is for this task: ${excerpt(task)}`);
  const turns = splitTurns(messages);
  let at = 0;
  for (const heard of turns.slice(0, -1)) if (fits(found.steps[at], heard)) at++;

  const step = found.steps[at];
  const heard = turns.at(-1) ?? "";
  if (step === undefined)
    return offScript(`script ${found.name} is over after ${at} steps; it heard: ${excerpt(heard)}`);
  const answer = fits(step, heard) ? step : step.else;
  if (answer === undefined)
    return offScript(`script ${found.name}, step ${step.id} waits for /${step.after}/, but heard: ${excerpt(heard)}`);
  const values = Object.entries(found.holes).map(([name, pattern]) => [
    name,
    new RegExp(pattern).exec(task)?.[1] ?? "",
  ]);
  const calls = answer.calls.map(({ name, arguments: args }) => ({
    name,
    arguments: JSON.stringify(args, (_key, value: unknown) => fill(value, Object.fromEntries(values))),
  }));
  return { kind: "turn", turn: turns.length - 1, say: answer.say, calls };
}

/** What was said before each turn of the model; the last one is what it has to answer. */
function splitTurns(messages: readonly WireMessage[]): string[] {
  const turns = [""];
  for (const { role, text } of messages) {
    if (role === "assistant") turns.push("");
    else turns.push(`${turns.pop() ?? ""}${text}\n`);
  }
  return turns;
}

function fits(step: Script["steps"][number] | undefined, heard: string): boolean {
  return step?.after === undefined || new RegExp(step.after).test(heard);
}

function fill(value: unknown, values: Readonly<Record<string, string>>): unknown {
  return typeof value === "string"
    ? value.replaceAll(/\{\{(\w+)\}\}/g, (hole, key: string) => values[key] ?? hole)
    : value;
}

function offScript(message: string): Answer {
  return { kind: "off-script", message: `The scripted model has no answer: ${message}` };
}

function excerpt(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > 400 ? `…${line.slice(-400)}` : line;
}
