import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ExecEnd, ExecOptions, ExecResult, FileRead, Sandbox } from "../../sandbox/engine.ts";
import { createCollector } from "../../sandbox/output.ts";

/** A `Sandbox` that is a folder of this machine and its own shell: for tests of what the agent does, not of isolation. */
export interface LocalSandbox extends Sandbox {
  /** Absolute path of an empty folder, removed at the end with the one beside it that ends in "-outputs". */
  readonly root: string;
}

export function createLocalSandbox(): LocalSandbox {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "agent-fix-")));
  return {
    id: "local",
    image: { ref: "local", id: "local" },
    root,
    exec: (command, options) => run(command, options),
    readFile: async (path, maxBytes) => read(path, maxBytes),
    async writeFile(path, bytes) {
      try {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, bytes);
        return { ok: true };
      } catch (error) {
        return { ok: false, reason: String(error) };
      }
    },
    async freeze() {},
    async [Symbol.asyncDispose]() {
      for (const path of [root, `${root}-outputs`]) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A repository of the demo in a local sandbox, with one commit. */
export function createDemoRepository(): LocalSandbox {
  const sandbox = createLocalSandbox();
  const source = new URL("../../src/demo/stories/repository", import.meta.url).pathname;
  execFileSync("cp", ["-R", `${source}/.`, sandbox.root]);
  const git = (...args: string[]) => execFileSync("git", ["-C", sandbox.root, ...args]);
  git("init", "--quiet");
  git("add", ".");
  git("-c", "user.name=demo", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", "Start");
  return sandbox;
}

async function run(command: string, options: ExecOptions): Promise<ExecResult> {
  const { cwd, timeoutMs, maxOutputBytes = 30_000, env = {}, signal } = options;
  const started = performance.now();
  const output = createCollector(maxOutputBytes);
  let last = "";
  let cut: ExecEnd | undefined;
  const enter = `cd -- "$1" || exit 1\ntrap 'pwd -P >&3' EXIT\n${command}`;
  const child = spawn("sh", ["-c", enter, "sh", cwd], {
    cwd: "/",
    detached: true,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const stop = (end: ExecEnd) => {
    cut ??= end;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  const timer = setTimeout(() => stop({ end: "timed-out" }), timeoutMs);
  const abort = () => stop({ end: "aborted" });
  signal?.addEventListener("abort", abort, { once: true });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => output.add(chunk));
  child.stdio[3]?.on("data", (chunk: Buffer) => (last += chunk.toString()));

  const { promise, resolve } = Promise.withResolvers<ExecEnd>();
  child.on("close", (code) => resolve(code === null ? { end: "killed" } : { end: "exited", code }));
  const end = await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", abort);
  const durationMs = performance.now() - started;
  return { ...(cut ?? end), output: output.output(), durationMs, cwd: last.trim() === "" ? cwd : last.trim() };
}

function read(path: string, maxBytes: number): FileRead {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { kind: "missing" };
  if (found.isDirectory()) return { kind: "directory" };
  return found.size > maxBytes ? { kind: "too-large" } : { kind: "file", bytes: readFileSync(path) };
}
