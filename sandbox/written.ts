import { readFileSync } from "node:fs";
import type { Engine } from "./engine.ts";
import { isFolder, openFolder, readAt, Refusal } from "./folders.ts";
import { helperFailure, runHelper } from "./helper.ts";
import type { Workspace } from "./workspace.ts";

/** `missing`: also what is a folder or a link, or lies behind one, or was closed by its owner. */
export type Written = { kind: "file"; bytes: Buffer } | { kind: "missing" } | { kind: "too large" };

const limitMs = 120_000;
const folders = readFileSync(new URL("folders.ts", import.meta.url), "utf8");
const script = `${folders}
const { path, mostBytes } = JSON.parse(readInput(0));
try {
  using root = openFolder("/written");
  const found = readAt(root.fd, path.split("/"), mostBytes);
  if (found === undefined || !found.mode.startsWith("100")) process.exitCode = 3;
  else process.stdout.write(found.bytes);
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.exitCode = 4;
}`;

/**
 * A file that a container has written into its workspace, by its path in /workspace, once the container is gone. It is
 * data: nothing follows a link, and nothing has to be mounted on the host. What the layers below hold is not seen.
 */
export async function readWritten(
  engine: Engine,
  workspace: Workspace,
  { path, mostBytes }: { path: string; mostBytes: number },
  signal?: AbortSignal,
): Promise<Written> {
  if (path.split("/").some((name) => ["", ".", ".."].includes(name))) return { kind: "missing" };
  const { name, mountpoint } = workspace.upper ?? workspace.volume;
  const latin1 = Buffer.from(path).toString("latin1");
  if (isFolder(mountpoint)) return readHere(mountpoint, latin1, mostBytes);
  const mounts = [{ volume: name, at: "/written", readOnly: true }];
  const stdin = Buffer.from(JSON.stringify({ path: latin1, mostBytes }));
  const task = { run: workspace.run, role: "report", script, interpreter: "node" as const, args: [], mounts, stdin };
  const limits = { timeoutMs: limitMs, maxStdoutBytes: mostBytes, maxOutputBytes: 4_000 };
  const result = await runHelper(engine, { ...task, ...limits }, signal);
  if (result.end === "exited" && result.code === 3) return { kind: "missing" };
  if (result.end === "exited" && result.code === 4) return { kind: "too large" };
  if (result.end !== "exited" || result.code !== 0) throw helperFailure("read a written file", result);
  return { kind: "file", bytes: result.stdout };
}

function readHere(folder: string, path: string, mostBytes: number): Written {
  try {
    using root = openFolder(folder);
    const found = readAt(root.fd, path.split("/"), mostBytes);
    return found?.mode.startsWith("100") === true ? { kind: "file", bytes: found.bytes } : { kind: "missing" };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "too large" };
    throw error;
  }
}
