import { type ChildProcess, spawn } from "node:child_process";
import { resolve as resolvePath } from "node:path";

/** git ended badly or not in time. The message has its own last words. */
export class GitFailed extends Error {
  override name = "GitFailed";
  /** The exit code; undefined where there was none. */
  readonly code: number | undefined;
  constructor(message: string, code?: number) {
    super(message);
    this.code = code;
  }
}

export interface GitOptions {
  /** A bare repository of our own. git never runs where a work tree could hold somebody else's files. */
  gitDir: string;
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  /** Milliseconds; default one minute. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

const clean = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ALLOW_PROTOCOL: "http:https:file",
};
const overrides = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.protectHFS=true",
  "core.protectNTFS=true",
  "core.symlinks=false",
  "transfer.bundleURI=false",
  "gc.auto=0",
  "maintenance.auto=false",
].flatMap((setting) => ["-c", setting]);
const mostOutput = 256 * 2 ** 20;

/** Runs git on a bare repository of ours, with nobody's configuration. Throws GitFailed with git's own last words. */
export async function git(args: readonly string[], options: GitOptions): Promise<Buffer> {
  const out: Buffer[] = [];
  let size = 0;
  for await (const chunk of gitStream(args, options)) {
    size += chunk.byteLength;
    if (size > mostOutput) throw new GitFailed(`git ${args[0] ?? ""} failed (more than 256 MB of output)`);
    out.push(chunk);
  }
  return Buffer.concat(out);
}

/** The same, for more output than fits: it comes as it is taken, and a failure is thrown after the last of it. */
export async function* gitStream(args: readonly string[], options: GitOptions): AsyncGenerator<Buffer> {
  const { gitDir, stdin, env, timeoutMs = 60_000, signal } = options;
  const limit = AbortSignal.timeout(timeoutMs);
  const over = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  over.throwIfAborted();
  // Where no descriptor is left there are no streams.
  const child: ChildProcess = spawn("git", [...overrides, `--git-dir=${resolvePath(gitDir)}`, ...args], {
    // Without a work tree git takes the working directory for one, and reads attributes in it.
    cwd: "/",
    env: { ...clean, ...env },
    stdio: ["pipe", "pipe", "pipe"],
    // A group of its own, for its helpers would outlive it: the one for HTTP waits for a server as long as that likes.
    detached: true,
  });
  let words = "";
  const ended = new Promise<number | string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (exit, killed) =>
      resolve(limit.aborted ? `no answer in ${timeoutMs} ms` : (exit ?? killed ?? "ended")),
    );
  });
  const stop = () => killGroup(child, "SIGTERM");
  over.addEventListener("abort", stop);
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-4000)));
  child.stdin?.on("error", () => {});
  child.stdin?.end(stdin);
  try {
    for await (const chunk of child.stdout ?? []) yield chunk as Buffer;
    const code = await ended;
    signal?.throwIfAborted();
    if (code !== 0) {
      const last = words.trim().split("\n").slice(-3).join(" / ");
      const failed = `git ${args[0] ?? ""} failed (${code}): ${last}`;
      throw new GitFailed(failed, typeof code === "number" ? code : undefined);
    }
  } finally {
    over.removeEventListener("abort", stop);
    if ((child.exitCode ?? child.signalCode) === null || over.aborted) killGroup(child, "SIGKILL");
  }
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // All of it has ended.
  }
}

/** Environment that carries a token to git without argv, URL or configuration file. */
export function gitToken(url: string, token: string): Record<string, string> {
  const basic = Buffer.from(`x-access-token:${token}`).toString("base64");
  return {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
  };
}
