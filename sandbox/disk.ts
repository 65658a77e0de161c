import { execFile } from "node:child_process";
import { lstat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { Engine, OneShotResult, OneShotSpec, Sandbox } from "./engine.ts";
import { helperFailure, runHelper } from "./helper.ts";
import type { Volume } from "./volumes.ts";

/** What a container may write into its tree. No quota can hold an overlay: it would divide its upper from its work folder. */
export interface DiskLimit {
  /** Where its writes go. */
  volume: Volume;
  maxBytes: number;
  maxFiles: number;
}

export interface DiskUse {
  bytes: number;
  files: number;
}

/** What the engine's disk must have left, for everybody. */
const reserve = { bytes: 2 * 2 ** 30, files: 50_000 };
const lookMs = 250;
/** So much less room than at the last measuring is reason to measure again. */
const step = { bytes: 256 * 2 ** 20, files: 20_000 };
/** Somebody may make room while another fills it, or the disk may be out of sight: so it is measured now and then too. */
const restMs = 30_000;
const measureLimitMs = 60_000;

/**
 * Ends everything in the sandbox when its tree grows over the limit, or when the disk is nearly full. What it writes
 * within a quarter of a second comes on top; the files stay, and a later command can delete them.
 */
export function guardSandbox(engine: Engine, sandbox: Sandbox, limit: DiskLimit): Sandbox {
  const watch = watchDisk(engine, limit, (reason) => sandbox.freeze(`[agent-fix: ${reason}]\n`));
  return {
    ...sandbox,
    async [Symbol.asyncDispose]() {
      await watch[Symbol.asyncDispose]();
      await sandbox[Symbol.asyncDispose]();
    },
  };
}

/** The same for a container with one command, which ends as "killed". */
export async function guardOneShot(
  engine: Engine,
  { disk, ...spec }: OneShotSpec & { disk: DiskLimit },
  signal?: AbortSignal,
): Promise<OneShotResult> {
  const full = new AbortController();
  await using _watch = watchDisk(engine, disk, async (reason) => full.abort(reason));
  const signals = signal === undefined ? [full.signal] : [signal, full.signal];
  const { output, durationMs, stdout, stdoutTruncated, ...end } = await engine.runOnce(spec, AbortSignal.any(signals));
  const rest = { durationMs, stdout, stdoutTruncated };
  if (end.end !== "aborted" || !full.signal.aborted || signal?.aborted === true) return { ...end, output, ...rest };
  const reason = String(full.signal.reason);
  const text = `${output.text}\n[agent-fix: ${reason}]\n`;
  return { end: "killed", reason, output: { ...output, text }, ...rest };
}

function watchDisk(engine: Engine, limit: DiskLimit, onFull: (reason: string) => Promise<void>): AsyncDisposable {
  const stop = new AbortController();
  const watching = watchUntil(engine, limit, { signal: stop.signal, onFull }).catch(() => {
    // A disk that can't be looked at is the next command's trouble; its own ending tells of it.
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
    },
  };
}

async function watchUntil(
  engine: Engine,
  limit: DiskLimit,
  { signal, onFull }: { signal: AbortSignal; onFull: (reason: string) => Promise<void> },
): Promise<void> {
  const folder = await nearestFolder(limit.volume.mountpoint);
  let most = await freeIn(folder);
  let last = { at: performance.now(), took: 0 };
  while (!signal.aborted) {
    await delay(lookMs, undefined, { signal, ref: false }).catch(() => {});
    const free = await freeIn(folder);
    most = { bytes: Math.max(most.bytes, free.bytes), files: Math.max(most.files, free.files) };
    const nearlyFull = free.bytes < reserve.bytes || free.files < reserve.files;
    const shrunk = most.bytes - free.bytes > step.bytes || most.files - free.files > step.files;
    // A large tree takes seconds to measure: that must not become all that a full machine does.
    const rested = performance.now() - last.at - last.took;
    const isDue = (nearlyFull && rested > 10 * last.took) || rested > Math.max(restMs, 100 * last.took);
    if (signal.aborted || !(shrunk || isDue)) continue;
    most = free;
    const at = performance.now();
    const use = await measure(engine, limit.volume);
    last = { at, took: performance.now() - at };
    const reason = reasonFor(use, limit, nearlyFull);
    if (reason !== undefined && !signal.aborted) await onFull(reason);
  }
}

// A neighbour may have filled the disk: then the one that writes nothing stays.
function reasonFor(use: DiskUse, { maxBytes, maxFiles }: DiskLimit, nearlyFull: boolean): string | undefined {
  if (use.bytes > maxBytes)
    return `the tree grew over ${Math.round(maxBytes / 2 ** 20)} MB, its limit, and everything was ended`;
  if (use.files > maxFiles) return `the tree grew over ${maxFiles} files, its limit, and everything was ended`;
  const writes = use.bytes > step.bytes || use.files > step.files;
  return nearlyFull && writes ? "the disk is nearly full, and everything was ended" : undefined;
}

/** The nearest folder that this process can see: it lies on the same disk, unless the engine is on another machine. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; folder !== "/"; folder = dirname(folder)) {
    const seen = await lstat(folder).catch(() => undefined);
    if (seen !== undefined) return folder;
  }
  return "/";
}

async function freeIn(folder: string): Promise<DiskUse> {
  const { bavail, bsize, ffree, files } = await statfs(folder);
  // A file system that counts no files has room for any number.
  return { bytes: bavail * bsize, files: files === 0 ? Number.MAX_SAFE_INTEGER : ffree };
}

// A file with many names counts once.
const count = 'echo "$(du -skx "$1" | cut -f1) $(du -sx --inodes "$1" | cut -f1)"';

/** What a volume holds: counted here where its folder is in reach, else in a helper container. */
export async function measure(engine: Engine, volume: Volume): Promise<DiskUse> {
  const options = { timeout: measureLimitMs };
  const here = await promisify(execFile)("/bin/sh", ["-c", count, "sh", volume.mountpoint], options).catch(
    () => undefined,
  );
  const seen = here && readCount(here.stdout);
  if (seen !== undefined) return seen;
  const mounts = [{ volume: volume.name, at: "/volume", readOnly: true }];
  const task = { run: "~disk", role: "disk", script: count, args: ["/volume"], mounts, timeoutMs: measureLimitMs };
  const result = await runHelper(engine, { ...task, maxStdoutBytes: 1_000 });
  const inHelper = readCount(result.stdout.toString("utf8"));
  if (inHelper === undefined) throw helperFailure("measure a volume", result);
  return inHelper;
}

function readCount(said: string): DiskUse | undefined {
  const [, kilobytes, files] = /^(\d+) (\d+)$/.exec(said.trim()) ?? [];
  return files === undefined ? undefined : { bytes: Number(kilobytes) * 1024, files: Number(files) };
}
