import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

export const image = "agent-fix-sandbox:latest";

/** A large repository as a code host has it: bare, packed, with one branch. */
export interface Upstream {
  gitDir: string;
  /** One more commit on `main`, which changes one file. */
  push(): Promise<string>;
}

const files = 5_000;
const commits = 3_000;
const folders = 250;
const fileBytes = 15_000;

/** 5,000 files of 15 KB in 250 folders (75 MB), and 3,000 commits, each of which but the first rewrites one file. */
export async function createUpstream(folder: string, more: Record<string, string> = {}): Promise<Upstream> {
  const gitDir = join(folder, "upstream.git");
  await run("git", ["init", "--quiet", "--bare", "--initial-branch=main", gitDir]);
  await fastImport(gitDir, history(more));
  // A host's repository is packed: a clone of one that is not would pay for it.
  await run("git", ["-C", gitDir, "repack", "-adq"]);
  let pushed = 0;
  return {
    gitDir,
    async push() {
      const file = { path: pathOf(pushed % files), text: textOf(commits + pushed, fileBytes) };
      const commit = [...commitOf(commits + pushed, [file], "refs/heads/main^0")];
      await fastImport(gitDir, commit);
      pushed++;
      return (await run("git", ["-C", gitDir, "rev-parse", "main"])).trim();
    },
  };
}

export function pathOf(file: number): string {
  return `src/part-${file % folders}/module-${file}.js`;
}

function* history(more: Record<string, string>): Generator<string> {
  const first = Array.from({ length: files }, (_, file) => ({ path: pathOf(file), text: textOf(file, fileBytes) }));
  yield* commitOf(0, [...first, ...Object.entries(more).map(([path, text]) => ({ path, text }))]);
  for (let commit = 1; commit < commits; commit++) {
    const file = (commit * 7) % files;
    // Most of it stays as it was, as in a person's commit.
    const text = textOf(file, fileBytes).replaceAll(/^.{20}/g, textOf(commit, 20));
    yield* commitOf(commit, [{ path: pathOf(file), text }]);
  }
}

function* commitOf(mark: number, changed: readonly { path: string; text: string }[], from?: string): Generator<string> {
  const message = `Commit ${mark}`;
  yield `commit refs/heads/main\ncommitter Ann <ann@example.com> ${1_700_000_000 + mark * 60} +0000\n`;
  yield `data ${message.length}\n${message}\n`;
  if (from !== undefined) yield `from ${from}\n`;
  for (const { path, text } of changed) yield `M 100644 inline ${path}\ndata ${text.length}\n${text}\n`;
}

const words = "const let return await function value index result options error path name list read write find".split(
  " ",
);

/** The same for the same seed, and about as compressible as source code. */
function textOf(seed: number, length: number): string {
  let state = seed * 2_654_435_761 + 1;
  const parts: string[] = [];
  for (let size = 0; size < length; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const word = `${words[state % words.length]}_${(state >>> 8) % 5_000}${state % 11 === 0 ? ";\n" : " "}`;
    parts.push(word);
    size += word.length;
  }
  return parts.join("").slice(0, length);
}

async function fastImport(gitDir: string, stream: Iterable<string>): Promise<void> {
  const child = spawn("git", ["-C", gitDir, "fast-import", "--quiet"], { stdio: ["pipe", "ignore", "inherit"] });
  const closed = once(child, "close");
  await pipeline(Readable.from(stream), child.stdin);
  await closed;
  if (child.exitCode !== 0) throw new Error(`git fast-import ended with ${child.exitCode}`);
}

/** A folder that goes with the stack. */
export async function openFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "agent-fix-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program that has to succeed, and returns what it wrote. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, [...args], { maxBuffer: 2 ** 26 })).stdout;
}

/** What the whole machine worked for it, each of so many times, in milliseconds: the engine's own part counts too. */
export async function cpuOf(work: () => Promise<unknown>, times = 1): Promise<number> {
  const before = await busy();
  for (let done = 0; done < times; done++) await work();
  return ((await busy()) - before) / times;
}

async function busy(): Promise<number> {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (await readFile("/proc/stat", "utf8"))
    .split("\n", 1)
    .join("")
    .split(/\s+/)
    .map(Number);
  const ticksPerSecond = 100;
  return ((user + nice + system + irq + softirq) * 1000) / ticksPerSecond;
}
