import type { Message } from "../agent/model.ts";
import { mostBytes, quoteUntrusted, renderPrompt } from "./render.ts";

/** A file in which the repository tells contributors and agents what to do, such as AGENTS.md. */
export interface Instructions {
  name: string;
  text: string;
}

/** What every task says about the repository it is in; commands and instructions come from the default branch. */
export interface RepositoryContext {
  /** `owner/name`. */
  repo: string;
  /** Absolute path of the checkout in the sandbox. */
  root: string;
  checks: readonly { name: string; run: string; required: boolean }[];
  /** How the checks ended before the change, one line each; undefined while they run. */
  baseline: string | undefined;
  /** What the agent's own commands may reach. */
  hosts: readonly string[];
  instructions: readonly Instructions[];
  /** Random, for the delimiters around text from outside. */
  nonce: string;
  /** How many tokens the conversation may have: texts from outside leave room for the work. */
  contextTokens: number;
}

/** The system text is the same in every run, so that servers keep it and the tools in their prefix cache. */
export function begin(task: string): Message[] {
  return [
    { role: "system", text: renderPrompt("system", {}) },
    { role: "user", text: task },
  ];
}

/** In bytes: a ninth of the window, at three bytes a token. A task has up to three such texts. */
export function roomFor({ contextTokens }: RepositoryContext): number {
  return Math.min(mostBytes, Math.floor(contextTokens / 3));
}

/** What each task says of the repository, after its own words. */
export function contextOf(context: RepositoryContext): string {
  const { root, checks, baseline, hosts, instructions, nonce } = context;
  const lines = checks.map((check) => `- \`${check.run}\`${check.required ? "" : " (may fail)"}`);
  return renderPrompt("context", {
    root,
    checks: lines.length > 0 ? lines.join("\n") : "- none were found: write and run a test of your own",
    baseline:
      baseline === undefined
        ? "(They run on the unchanged code now. A message will tell how they ended.)"
        : quoteUntrusted("result", baseline, nonce),
    hosts:
      hosts.length === 0
        ? ""
        : `Of the network, these hosts alone can be reached, through the proxy that the environment names: ${hosts.join(", ")}.`,
    instructions:
      instructions.length === 0
        ? ""
        : renderPrompt("instructions", { files: quoteAll(instructions, { nonce, most: roomFor(context) }) }),
  });
}

/** Texts one after another, with `most` bytes for all of them: what comes first has more of it. */
export function quoteAll(
  texts: readonly { name: string; text: string }[],
  { nonce, most }: { nonce: string; most: number },
): string {
  let room = most;
  const quoted = texts.map(({ name, text }) => {
    const shown = quoteUntrusted(name, text, nonce, room);
    room = Math.max(0, room - Buffer.byteLength(text));
    return shown;
  });
  return quoted.join("\n\n");
}
