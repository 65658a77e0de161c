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
export function describeEnd(
  result: { end: string; code?: number; reason?: string },
  limits?: { totalMs: number; idleMs: number; outputBytes: number },
): string {
  switch (result.end) {
    case "exited":
      return result.code === 0 ? "passed" : `exit code ${result.code}`;
    case "timed-out":
      return `stopped at its time limit${limits === undefined ? "" : ` of ${timeOf(limits.totalMs)}`}`;
    case "idle":
      return `stopped: no output for ${timeOf(limits?.idleMs ?? 0)}`;
    case "flooded":
      return `stopped: it wrote more than ${Math.round((limits?.outputBytes ?? 0) / 2 ** 20)} MB`;
    case "out-of-memory":
      return "ran out of memory";
    case "killed":
      return result.reason === undefined ? "killed" : `killed because ${result.reason}`;
    default:
      return result.end;
  }
}

function timeOf(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1000)} seconds` : `${Math.round(ms / 60_000)} minutes`;
}
