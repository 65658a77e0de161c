import { OutageError } from "../src/errors.ts";
import type { DiskLimit } from "../sandbox/disk.ts";
import type { Workspace } from "../sandbox/workspace.ts";

/** A machine of the size that one run may use. */
export const sandboxLimits = { memoryBytes: 4 * 2 ** 30, cpus: 2, pids: 1024 };

/** What a run may write into one tree, which is a machine's disk shared by all. */
export function diskLimit(workspace: Workspace): DiskLimit {
  return { volume: workspace.upper ?? workspace.volume, maxBytes: 16 * 2 ** 30, maxFiles: 2_000_000 };
}

/** Throws OutageError when the container of a step went away: that says nothing about the repository. */
export function assertKept(result: { end: string }, step: string): void {
  if (result.end === "sandbox-lost") throw new OutageError(`the container of ${step} disappeared`);
}

/** An ending in words, for people. */
export function describeEnd(result: { end: string; code?: number }): string {
  switch (result.end) {
    case "exited":
      return result.code === 0 ? "passed" : `exit code ${result.code}`;
    case "timed-out":
      return "stopped at its time limit";
    case "out-of-memory":
      return "ran out of memory";
    default:
      return result.end;
  }
}
