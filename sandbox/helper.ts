import { EngineAway } from "./docker.ts";
import type { Engine, Mount, OneShotResult, OneShotSpec } from "./engine.ts";

export interface HelperTask {
  run: string;
  role: string;
  /** The text of a POSIX shell script (or, for "node", of a module), and its arguments. */
  script: string;
  interpreter?: "node";
  args: string[];
  mounts: Mount[];
  timeoutMs: number;
  stdin?: NonNullable<OneShotSpec["stdin"]>;
  maxStdoutBytes: number;
  maxOutputBytes?: number;
}

const limits = { memoryBytes: 2 * 2 ** 30, cpus: 2, pids: 256 };

/** Runs one of our own scripts in a container of our own image, without network. The host never runs git on a tree. */
export async function runHelper(engine: Engine, task: HelperTask, signal?: AbortSignal): Promise<OneShotResult> {
  const { run, role, script, args, mounts, timeoutMs, stdin, maxStdoutBytes, maxOutputBytes } = task;
  const shell = ["/bin/sh", "-c", script, "agent-fix", ...args];
  const result = await engine.runOnce(
    {
      image: engine.helperImage,
      labels: { run, role },
      mounts,
      cwd: "/",
      env: gitEnvironment,
      limits,
      command: task.interpreter === "node" ? ["node", "--input-type=module-typescript", "-e", script] : shell,
      timeoutMs,
      maxStdoutBytes,
      ...(stdin === undefined ? {} : { stdin }),
      ...(maxOutputBytes === undefined ? {} : { maxOutputBytes }),
    },
    signal,
  );
  if (result.end === "aborted") signal?.throwIfAborted();
  return result;
}

/** What a helper that must not fail is thrown as: it names the step, the ending and what was said. */
export function helperFailure(what: string, result: OneShotResult): Error {
  if (result.end === "sandbox-lost") return new EngineAway(`The container that was to ${what} disappeared.`);
  const ending = result.end === "exited" ? `exit code ${result.code}` : result.end;
  return new Error(`Could not ${what} (${ending}): ${result.output.text.trim().slice(-2_000)}`);
}

const gitConfig = {
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.untrackedCache": "false",
  "core.attributesFile": "/dev/null",
  "core.excludesFile": "/dev/null",
  // The validator on the host refuses such names, and says why.
  "core.protectHFS": "false",
  "core.protectNTFS": "false",
  "gc.auto": "0",
  "safe.directory": "*",
  "advice.addEmbeddedRepo": "false",
};

const gitEnvironment: Record<string, string> = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  LC_ALL: "C",
  GIT_CONFIG_COUNT: String(Object.keys(gitConfig).length),
  ...Object.fromEntries(
    Object.entries(gitConfig).flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ),
};
