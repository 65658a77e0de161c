import { stripVTControlCharacters } from "node:util";
import type { ExecResult } from "../../sandbox/engine.ts";

const headLength = 5000;
const tailLength = 5000;
/** Asked of the sandbox: more than is shown, so that its own cut lies within ours. */
export const outputBytes = 80_000;

/** A command's output and how it ended, as the model reads them. */
export function renderResult(result: ExecResult, timeoutSeconds: number): string {
  const output = cutOutput(plainOutput(result.output.text), result.output.bytes).trimEnd();
  const shown = output === "" ? "(The command printed nothing.)" : output;
  return `${shown}\n\n${endingOf(result, timeoutSeconds)}`;
}

/** Head and tail of a long text of `bytes` bytes in all, never cut within a character, with advice between them. */
export function cutOutput(text: string, bytes = Buffer.byteLength(text)): string {
  if (text.length <= headLength + tailLength) return text;
  const head = text.slice(0, headLength).replace(/[\uD800-\uDBFF]$/, "");
  const tail = text.slice(-tailLength).replace(/^[\uDC00-\uDFFF]/, "");
  const left = Math.max(0, bytes - Buffer.byteLength(head) - Buffer.byteLength(tail));
  return `${head}\n\n[... ${left} bytes left out. To see less at once, write the output to a file and look at parts of it with grep, head, tail or sed -n, or narrow the command. ...]\n\n${tail}`;
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
