import { createHash } from "node:crypto";
import { posix } from "node:path";
import { z } from "zod";
import { OutageError } from "../../src/errors.ts";
import type { ExecResult, Sandbox } from "../../sandbox/engine.ts";
import { quote } from "../../sandbox/quote.ts";
import { rearm } from "../agent/markup.ts";
import { createTool } from "../agent/tool.ts";
import type { Tool } from "../agent/tool.ts";
import { outputBytes, renderResult } from "./output.ts";

const defaultSeconds = 120;
const mostSeconds = 600;

/** Programs must not page, ask, draw progress bars, or hold back what they printed before their time is over. */
const env = {
  PAGER: "cat",
  GIT_PAGER: "cat",
  GIT_TERMINAL_PROMPT: "0",
  GIT_EDITOR: "true",
  DEBIAN_FRONTEND: "noninteractive",
  PIP_PROGRESS_BAR: "off",
  PYTHONUNBUFFERED: "1",
  TQDM_DISABLE: "1",
  NO_COLOR: "1",
  TERM: "dumb",
};

export interface BashDeps {
  sandbox: Pick<Sandbox, "exec" | "writeFile">;
  root: string;
  /** Folder in the sandbox, outside of the checkout, for outputs that are too long to be shown. */
  outputs: string;
  /** How many characters of an output are shown. */
  limit: number;
}

/** A fresh shell per call; only the working directory persists. */
export function createBash({ sandbox, root, outputs, limit }: BashDeps): Tool {
  let cwd = root;

  async function exists(folder: string, signal: AbortSignal): Promise<boolean> {
    const result = await sandbox.exec(`test -d ${quote(folder)}`, { cwd: "/", timeoutMs: 30_000, signal });
    return succeeded(result);
  }

  // A name by content never stands for another text, also when a later process goes on with the conversation.
  async function keep(text: string): Promise<string | undefined> {
    const path = posix.join(outputs, `${createHash("sha256").update(text).digest("hex").slice(0, 12)}.txt`);
    const written = await sandbox.writeFile(path, Buffer.from(`${text}\n`));
    return written.ok ? path : undefined;
  }

  return createTool({
    name: "bash",
    description: `Runs a command in a new shell on the machine with the repository and returns what it prints and its exit code. Only the working directory is kept from call to call; it starts at ${root}. Of a long output you see the beginning, the end and the path of a file with all of it. There is no input, and no network unless the task names hosts.`,
    parameters: z.object({
      command: z.string().trim().min(1, "it is empty").describe("The command, or several lines of shell script."),
      timeout_seconds: z.int().optional().describe("After how many seconds it is stopped. Default 120, at most 600."),
    }),
    async call({ command, timeout_seconds }, signal) {
      const seconds = Math.min(mostSeconds, Math.max(1, timeout_seconds ?? defaultSeconds));
      const from = cwd;
      const options = { cwd, timeoutMs: seconds * 1000, maxOutputBytes: outputBytes, env, signal };
      const result = await sandbox.exec(rearm(command), options);
      signal.throwIfAborted();
      if (result.end === "sandbox-lost") throw new OutageError("The sandbox was lost while a command ran in it");
      cwd = result.cwd ?? cwd;
      // No command can start in a folder that is gone.
      if (!succeeded(result) && cwd !== root && !(await exists(cwd, signal))) cwd = root;
      const moved = cwd === from ? "" : `\n[The working directory is now ${cwd}.]`;
      return { text: `${await renderResult(result, { limit, seconds, keep })}${moved}` };
    },
  });
}

function succeeded(result: ExecResult): boolean {
  return result.end === "exited" && result.code === 0;
}
