import { readFileSync } from "node:fs";
import type { Engine, OneShotResult } from "./engine.ts";
import { helperFailure, runHelper } from "./helper.ts";
import { type Output, renderOutput } from "./output.ts";
import { refusalsOf } from "./paths.ts";
import { type Listing, readListing } from "./raw-diff.ts";
import type { Workspace } from "./workspace.ts";

/** One path of the change, as data. For a link, `bytes` is its target. */
export type Change =
  | { path: string; mode: "100644" | "100755" | "120000"; bytes: Buffer }
  | { path: string; mode: "deleted" };

/** `refused`: each reason names a path and what to do about it. */
export type Changes = { kind: "changes"; changes: Change[] } | { kind: "refused"; reasons: string[] };

export interface ChangeLimits {
  maxFiles: number;
  /** Of all new contents together. */
  maxBytes: number;
}

/** A file that set-up left in the tree, neither tracked nor ignored. */
export interface SetupFile {
  path: string;
  mode: string;
  object: string;
}

const script = readFileSync(new URL("changes.sh", import.meta.url), "utf8");
const limitMs = 300_000;
const leftoverLimits = { maxFiles: 200_000, maxBytes: 4 * 2 ** 30 };

/**
 * What differs between the workspace and its commit, ignored files left out. It comes out as data that is read in a
 * container of ours; nothing on the host opens a file of the tree. Freeze or remove the sandbox before.
 */
export async function readChanges(
  engine: Engine,
  workspace: Workspace,
  limits: ChangeLimits,
  signal?: AbortSignal,
): Promise<Changes> {
  // A file of set-up that the agent deleted is listed too, though it is no change.
  const overhead = (limits.maxFiles + workspace.setupFiles.length) * 4_500;
  const stdout = { limits, maxStdoutBytes: limits.maxBytes + overhead };
  const result = await runChanges(engine, workspace, { verb: "list", ...stdout }, signal);
  const reasons = refusalOf(result, limits);
  if (reasons) return { kind: "refused", reasons };
  const listing = result.stdoutTruncated ? undefined : readListing(result.stdout);
  if (!listing) return { kind: "refused", reasons: [tooLarge(limits)] };
  return toChanges(listing, workspace.setupFiles, limits);
}

/** The change as a unified diff, for reading. */
export async function diffText(
  engine: Engine,
  workspace: Workspace,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Output> {
  const limits = { maxFiles: 100_000, maxBytes: 2 ** 30 };
  const options = { verb: "diff", limits, maxStdoutBytes: 0, maxOutputBytes: maxBytes } as const;
  const result = await runChanges(engine, workspace, options, signal);
  const reasons = refusalOf(result, limits);
  if (!reasons) return result.output;
  const text = Buffer.from(`agent-fix: ${reasons.join("\n")}\n`);
  return renderOutput(text, Buffer.alloc(0), text.length);
}

/** What set-up left behind: everything that is there beside tracked and ignored files. */
export async function listLeftovers(engine: Engine, workspace: Workspace, signal?: AbortSignal): Promise<SetupFile[]> {
  const options = { verb: "leftovers", limits: leftoverLimits, maxStdoutBytes: 2 ** 28 } as const;
  const result = await runChanges(engine, { ...workspace, setupFiles: [] }, options, signal);
  const listing = result.end === "exited" && result.code === 0 ? readListing(result.stdout) : undefined;
  if (!listing) throw helperFailure("list what set-up left behind", result);
  return listing.changes.map(({ path, mode, object }) => ({ path: path.toString("latin1"), mode, object }));
}

interface Task {
  verb: "list" | "leftovers" | "diff";
  limits: ChangeLimits;
  maxStdoutBytes: number;
  maxOutputBytes?: number;
}

async function runChanges(
  engine: Engine,
  workspace: Workspace,
  { verb, limits, ...bounds }: Task,
  signal?: AbortSignal,
): Promise<OneShotResult> {
  const [volume, ...objects] = workspace.mounts;
  if (!volume || !("volume" in volume)) throw new Error("A workspace's first mount is its volume");
  const args = [workspace.commit, String(limits.maxFiles), String(limits.maxBytes), ...objects.map(({ at }) => at)];
  return runHelper(
    engine,
    {
      run: workspace.run,
      role: "changes",
      script,
      args: [verb, ...args],
      mounts: [{ ...volume, readOnly: true }, ...objects],
      timeoutMs: limitMs,
      stdin: indexInfo(workspace.setupFiles),
      ...bounds,
    },
    signal,
  );
}

function indexInfo(files: SetupFile[]): Buffer {
  return Buffer.from(files.map(({ path, mode, object }) => `${mode} ${object}\t${path}\0`).join(""), "latin1");
}

function refusalOf(result: OneShotResult, limits: ChangeLimits): string[] | undefined {
  const said = result.stdout.toString("utf8").trim() || result.output.text.trim();
  if (result.end === "timed-out" || result.end === "out-of-memory" || result.end === "killed") {
    return [`the change could not be read (${result.end}): it holds too many or too large files. ${tooLarge(limits)}`];
  }
  if (result.end !== "exited") throw helperFailure("read the changes", result);
  switch (result.code) {
    case 0:
      return undefined;
    case 65:
      return [`git can't take a file of the change in; remove or repair it: ${escapeText(said)}`];
    case 66:
    case 67:
      return [`${escapeText(said)}: ${tooLarge(limits)}`];
    case 68:
      return [`${said}: the repository's folder itself must stay where it is`];
    default:
      throw helperFailure("read the changes", result);
  }
}

function tooLarge({ maxFiles, maxBytes }: ChangeLimits): string {
  return `a change has at most ${maxFiles} files and ${maxBytes} bytes. Delete what was generated, or let .gitignore name it.`;
}

function toChanges(listing: Listing, setupFiles: SetupFile[], limits: ChangeLimits): Changes {
  const left = new Set(setupFiles.map(({ path }) => path));
  // Set-up's own files are unknown to the commit: to delete one again is no change, to edit one adds it.
  const changes = listing.changes.filter(({ path, mode }) => mode !== "000000" || !left.has(path.toString("latin1")));
  const bytes = changes.reduce((sum, { object }) => sum + (listing.contents.get(object)?.length ?? 0), 0);
  if (changes.length > limits.maxFiles || bytes > limits.maxBytes) {
    return { kind: "refused", reasons: [tooLarge(limits)] };
  }
  const reasons = refusalsOf(
    changes.map(({ path, mode, object }) => ({ path, mode, content: listing.contents.get(object) })),
  );
  if (reasons.length > 0) return { kind: "refused", reasons };
  return { kind: "changes", changes: changes.map((change) => toChange(change, listing)) };
}

function toChange({ path: raw, mode, object }: Listing["changes"][number], { contents }: Listing): Change {
  const path = raw.toString("utf8");
  if (mode === "000000") return { path, mode: "deleted" };
  const bytes = contents.get(object);
  if (!bytes || (mode !== "100644" && mode !== "100755" && mode !== "120000")) {
    throw new Error(`The helper listed ${JSON.stringify(path)} with mode ${mode} and did not send its content`);
  }
  return { path, mode, bytes };
}

function escapeText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 1_000);
}
