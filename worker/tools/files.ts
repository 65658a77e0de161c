import type { Sandbox } from "../../sandbox/engine.ts";
import { quote } from "../../sandbox/quote.ts";
import type { ToolResult } from "../agent/tool.ts";
import { cutText } from "./output.ts";

export type Files = Pick<Sandbox, "readFile" | "writeFile" | "exec">;

/** A path in the sandbox. */
export interface Place {
  sandbox: Files;
  path: string;
  signal: AbortSignal;
  /** How many characters of it are shown at once. */
  limit: number;
}

export type TextFile = { kind: "text"; text: string } | { kind: "missing" | "directory" | "other"; problem: string };

const mostBytes = 2 * 2 ** 20;

/** A file's text; every problem is a sentence for the model. */
export async function readText({ sandbox, path, signal }: Place): Promise<TextFile> {
  const file = await sandbox.readFile(path, mostBytes);
  signal.throwIfAborted();
  switch (file.kind) {
    case "missing":
      return { kind: "missing", problem: `${path} does not exist.` };
    case "directory":
      return { kind: "directory", problem: `${path} is a folder.` };
    case "too-large":
      return { kind: "other", problem: `${path} is larger than 2 MB. Look at parts of it with bash.` };
    case "unreadable":
      return { kind: "other", problem: `${path} cannot be read: ${file.detail ?? "it is no ordinary file"}.` };
    case "file":
      return decode(file.bytes, path);
  }
}

/** Returns the problem, if any. */
export async function writeText({ sandbox, path, signal }: Place, text: string): Promise<string | undefined> {
  const written = await sandbox.writeFile(path, Buffer.from(text));
  signal.throwIfAborted();
  return written.ok ? undefined : `${path} was not written: ${written.reason}`;
}

/** What is in a folder, two levels deep, without hidden files. */
export async function listFolder({ sandbox, path, signal, limit }: Place): Promise<ToolResult> {
  // From within, so that a folder that is hidden itself is not left out.
  const find = "find . -mindepth 1 -maxdepth 2 -not -path '*/.*' -not -path '*/node_modules/*'";
  const command = `cd -- ${quote(path)} && ${find} | LC_ALL=C sort`;
  const result = await sandbox.exec(command, { cwd: "/", timeoutMs: 30_000, signal });
  signal.throwIfAborted();
  const { bytes } = result.output;
  const text = result.output.text.replaceAll(/^\.(?=\/)/gm, () => (path === "/" ? "" : path));
  const shown = cutText(text, { limit, bytes, advice: "View a folder in it, or use git ls-files." });
  return { text: `${path}, two levels deep, without hidden files:\n${shown}` };
}

function decode(bytes: Buffer, path: string): TextFile {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return { kind: "text", text };
  } catch {
    // A file in another encoding would be damaged by an edit.
  }
  return { kind: "other", problem: `${path} is no UTF-8 text. Work on it with bash.` };
}
