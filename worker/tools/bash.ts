import { z } from "zod";
import { OutageError } from "../../src/errors.ts";
import type { ExecResult, Sandbox } from "../../sandbox/engine.ts";
import { quote } from "../../sandbox/quote.ts";
import { createTool } from "../agent/tool.ts";
import type { Tool } from "../agent/tool.ts";
import { outputBytes, renderResult } from "./output.ts";

const defaultSeconds = 120;
const mostSeconds = 600;

/** Programs must not page, ask, or draw progress bars. */
const env = {
  PAGER: "cat",
  GIT_PAGER: "cat",
  GIT_TERMINAL_PROMPT: "0",
  GIT_EDITOR: "true",
  DEBIAN_FRONTEND: "noninteractive",
  PIP_PROGRESS_BAR: "off",
  TQDM_DISABLE: "1",
  NO_COLOR: "1",
  TERM: "dumb",
};

/** A fresh shell per call; only the working directory persists. */
export function createBash({ sandbox, root }: { sandbox: Pick<Sandbox, "exec">; root: string }): Tool {
  let cwd = root;

  async function exists(folder: string, signal: AbortSignal): Promise<boolean> {
    const result = await sandbox.exec(`test -d ${quote(folder)}`, { cwd: "/", timeoutMs: 30_000, signal });
    return succeeded(result);
  }

  return createTool({
    name: "bash",
    description: `Runs a command in a new shell on the machine with the repository and returns what it prints and its exit code. Only the working directory is kept from call to call; it starts at ${root}. Long output is cut in the middle. There is no network, unless the task names hosts, and no input.`,
    parameters: z.object({
      command: z.string().trim().min(1, "it is empty").describe("The command, or several lines of shell script."),
      timeout_seconds: z.int().optional().describe("After how many seconds it is stopped. Default 120, at most 600."),
    }),
    async call({ command, timeout_seconds }, signal) {
      const seconds = Math.min(mostSeconds, Math.max(1, timeout_seconds ?? defaultSeconds));
      const from = cwd;
      const options = { cwd, timeoutMs: seconds * 1000, maxOutputBytes: outputBytes, env, signal };
      const result = await sandbox.exec(command, options);
      signal.throwIfAborted();
      if (result.end === "sandbox-lost") throw new OutageError("The sandbox was lost while a command ran in it");
      cwd = result.cwd ?? cwd;
      // No command can start in a folder that is gone.
      if (!succeeded(result) && cwd !== root && !(await exists(cwd, signal))) cwd = root;
      const moved = cwd === from ? "" : `\n[The working directory is now ${cwd}.]`;
      return { text: `${renderResult(result, seconds)}${moved}` };
    },
  });
}

function succeeded(result: ExecResult): boolean {
  return result.end === "exited" && result.code === 0;
}
