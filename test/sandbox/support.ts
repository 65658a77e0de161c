import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  createEngine,
  type Engine,
  type EngineOptions,
  type ExecResult,
  type Sandbox,
  type SandboxSpec,
} from "../../sandbox/engine.ts";

export const image = "agent-fix-sandbox:latest";
export const limits = { memoryBytes: 1024 * 2 ** 20, cpus: 2, pids: 256 };

/** An engine of an installation that no other test shares; without `ways`, as this machine's can do it. */
export function testEngine(ways: Pick<EngineOptions, "trees" | "folders"> = {}): Engine {
  const engine = createEngine({ instance: `test-${randomBytes(6).toString("hex")}`, image, ...ways });
  engines.push(engine);
  return engine;
}

const engines: Engine[] = [];

/** Removes what outlives the runs of this file's engines: what was sent to them. */
export async function removeKept(): Promise<void> {
  for (const engine of engines) for (const { volume } of await engine.listKept()) await engine.removeVolume(volume);
}

export function specOf(more: Partial<SandboxSpec> = {}): SandboxSpec {
  return { image, labels: { run: "run-1", role: "agent" }, mounts: [], cwd: "/tmp", limits, ...more };
}

export async function say(
  sandbox: Sandbox,
  command: string,
  more: Partial<Parameters<Sandbox["exec"]>[1]> = {},
): Promise<ExecResult> {
  return sandbox.exec(command, { cwd: "/tmp", timeoutMs: 60_000, ...more });
}

/** Runs a command that has to succeed, and returns what it wrote. */
export async function shell(sandbox: Sandbox, command: string, cwd = "/workspace/repo"): Promise<string> {
  const result = await sandbox.exec(command, { cwd, timeoutMs: 60_000 });
  if (result.end !== "exited" || result.code !== 0) throw new Error(`${command}: ${JSON.stringify(result)}`);
  return result.output.text;
}

export interface TestRepository extends Disposable {
  folder: string;
  mirror: string;
  commits: string[];
}

/** A bare repository with one commit per set of files; undefined deletes a file, `link:` makes a link. */
export function testRepository(...sets: Record<string, string | undefined>[]): TestRepository {
  const folder = mkdtempSync(join(tmpdir(), "agent-fix-test-"));
  const tree = join(folder, "tree");
  mkdirSync(tree);
  git(tree, "init", "-q", "-b", "main", ".");
  const commits = sets.map((files) => {
    for (const [path, text] of Object.entries(files)) put(join(tree, path), text);
    git(tree, "add", "-A");
    git(tree, "commit", "-q", "--allow-empty", "-m", "commit");
    return git(tree, "rev-parse", "HEAD").trim();
  });
  const mirror = join(folder, "mirror.git");
  git(folder, "clone", "-q", "--bare", "tree", "mirror.git");
  return {
    folder,
    mirror,
    commits,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function git(cwd: string, ...args: string[]): string {
  const who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
  return execFileSync("git", [...who, ...args], {
    cwd,
    encoding: "utf8",
    // What git says goes into the error, not between the tests' own lines.
    stdio: "pipe",
    env: { PATH: process.env["PATH"], HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1" },
  });
}

function put(path: string, text: string | undefined): void {
  rmSync(path, { force: true });
  if (text === undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  if (text.startsWith("link:")) symlinkSync(text.slice(5), path);
  else writeFileSync(path, text);
}
