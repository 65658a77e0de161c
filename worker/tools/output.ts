import { stripVTControlCharacters } from "node:util";
import type { ExecResult } from "../../sandbox/engine.ts";

/** Asked of the sandbox: what is too long to be shown is kept in a file up to this size, its head and tail when it is longer. */
export const outputBytes = 1_000_000;

/** How many characters of text an answer of a tool may have, where a conversation may have so many tokens. */
export function outputLimit(contextTokens: number): number {
  return contextTokens <= 40_000 ? 4000 : 10_000;
}

/** A command's output and how it ended, as the model reads them. `keep` puts an output that is too long into a file. */
export async function renderResult(
  result: ExecResult,
  { limit, seconds, keep }: { limit: number; seconds: number; keep: (text: string) => Promise<string | undefined> },
): Promise<string> {
  const text = plainOutput(result.output.text).trimEnd();
  const { bytes, truncated } = result.output;
  const advice = text.length > limit ? adviceFor(await keep(text), truncated) : "";
  const shown = text === "" ? "(The command printed nothing.)" : cutText(text, { limit, advice, bytes });
  return `${shown}\n\n${endingOf(result, seconds)}`;
}

/**
 * At most `limit` characters from the head and tail of a text of `bytes` bytes in all, never cut within a character,
 * with a note between them that says how much is left out, and the advice.
 */
export function cutText(
  text: string,
  { limit, advice, bytes = Buffer.byteLength(text) }: { limit: number; advice: string; bytes?: number },
): string {
  if (text.length <= limit) return text;
  const head = text.slice(0, limit / 2).replace(/[\uD800-\uDBFF]$/, "");
  const tail = text.slice(-limit / 2).replace(/^[\uDC00-\uDFFF]/, "");
  const left = Math.max(0, bytes - Buffer.byteLength(head) - Buffer.byteLength(tail));
  return `${head}\n\n[... ${left} bytes left out. ${advice} ...]\n\n${tail}`;
}

function adviceFor(path: string | undefined, truncated: boolean): string {
  if (path === undefined)
    return "They are kept nowhere: run the command again with its output in a file, or narrow it.";
  const what = truncated ? `The first and last ${outputBytes / 2} bytes of the output are` : "The whole output is";
  return `${what} in ${path}: look at parts of it with grep, head, tail or sed -n.`;
}

/** Without colours and other sequences for terminals; a line that a progress bar wrote over shows its last state. */
function plainOutput(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll("\r\n", "\n")
    .replaceAll(/^.*\r(?=.)/gm, "")
    .replaceAll(/[^\P{Cc}\n\t]/gu, "");
}

function endingOf(result: ExecResult, timeoutSeconds: number): string {
  switch (result.end) {
    case "exited":
      return result.code === 0
        ? "[The command succeeded: exit code 0.]"
        : `[The command failed with exit code ${result.code}.${meaningOf(result.code)}]`;
    case "timed-out":
      return `[The command was stopped after ${timeoutSeconds} seconds and did not finish. What it printed until then is above. Run a smaller part of it, give timeout_seconds up to 600, or start it in the background with its output in a file.]`;
    case "out-of-memory":
      return "[The command was killed because the machine ran out of memory. Run a smaller part of it, or with fewer processes at once.]";
    case "killed":
      return "[The command was killed by a signal from outside the shell.]";
    case "aborted":
    case "sandbox-lost":
      return "[The command did not finish.]";
  }
}

function meaningOf(code: number): string {
  if (code === 126) return " The file was found but cannot be executed.";
  if (code === 127) return " The program was not found; there is no network to install it from.";
  return code > 128 && code < 160 ? ` It was ended by signal ${code - 128}.` : "";
}
