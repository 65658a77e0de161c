import { posix } from "node:path";
import type {
  ExecOptions,
  ExecResult,
  FileRead,
  FileWritten,
  ReopenedSandbox,
  ResumeOptions,
  ResumeResult,
  Sandbox,
  SandboxSpec,
  StepName,
} from "./engine.ts";
import { attach, type Client, createContainer, newName, removeContainer, statusOf } from "./docker.ts";
import { type Output, renderOutput } from "./output.ts";
import { quote } from "./quote.ts";
import { createShell, reopenShell, type Shell } from "./shell.ts";
import { containerSpec } from "./spec.ts";
import type { Command, Ran } from "./step.ts";

/** Everything that is already known when a container is to start. */
export interface Installation {
  client: Client;
  labels: Record<string, string>;
  image: { ref: string; id: string };
  runtime: string | undefined;
}

const defaultOutputBytes = 30_000;
const fileLimitMs = 30_000;
const fileLimit = 8_000_000;

/** Starts a container whose main process is the supervisor. When it can't, nothing of it stays. */
export async function startSupervised(
  { client, labels, image, runtime }: Installation,
  spec: SandboxSpec,
  signal?: AbortSignal,
  joins?: string,
): Promise<Sandbox> {
  const { mounts, cwd, limits, env = {} } = spec;
  const network = joins === undefined ? "none" : { joins };
  const name = newName();
  const command = ["/bin/sh", "-s"];
  const shape = { labels, mounts, cwd, env, limits, runtime, image: image.id, command };
  try {
    const id = await createContainer(client, name, containerSpec({ ...shape, network, stdin: "kept" }), signal);
    const stream = await attach(client, id, signal);
    const shell = await createShell(stream, () =>
      client.call("start a container", { signal }, (docker) => docker.getContainer(id).start()),
    );
    signal?.throwIfAborted();
    return createSandbox({ id, image, shell, cwd, remove: () => removeContainer(client, id) });
  } catch (error) {
    await removeContainer(client, name);
    throw error;
  }
}

/** Goes on with a container of `instance` that another process started. Undefined when nothing answers in it. */
export async function reopenSupervised(
  client: Client,
  { id, instance }: { id: string; instance: string },
  signal?: AbortSignal,
): Promise<ReopenedSandbox | undefined> {
  try {
    const found = await client.call("describe a container", { signal }, (docker) => docker.getContainer(id).inspect());
    if (found.Config.Labels["agent-fix.instance"] !== instance) {
      throw new Error(`The container ${id} belongs to another installation of agent-fix, or to none.`);
    }
    if (!found.State.Running || found.State.Paused) return undefined;
    const shell = await reopenShell(await attach(client, found.Id, signal));
    if (shell === undefined) return undefined;
    const image = { ref: found.Config.Image, id: found.Image };
    const parts = { id: found.Id, image, shell, cwd: found.Config.WorkingDir };
    const sandbox = createSandbox({ ...parts, remove: () => removeContainer(client, found.Id) });
    return { ...sandbox, resume: (step, options) => resume(shell, step, options) };
  } catch (error) {
    // Removed or stopped, perhaps between two of these calls.
    if (statusOf(error) === 404 || statusOf(error) === 409) return undefined;
    throw error;
  }
}

interface Parts {
  id: string;
  image: { ref: string; id: string };
  shell: Shell;
  cwd: string;
  remove: () => Promise<void>;
}

function createSandbox({ id, image, shell, cwd, remove }: Parts): Sandbox {
  let removed: Promise<void> | undefined;

  async function dispose(): Promise<void> {
    shell.close();
    removed ??= remove();
    await removed;
  }

  return {
    id,
    image,
    exec: (command, options) => exec(shell, command, options),
    readFile: (path, maxBytes) => readFile(shell, posix.resolve(cwd, path), maxBytes),
    writeFile: (path, bytes) => writeFile(shell, posix.resolve(cwd, path), bytes),
    freeze: (note) => shell.freeze(note),
    [Symbol.asyncDispose]: dispose,
  };
}

async function exec(shell: Shell, text: string, options: ExecOptions): Promise<ExecResult> {
  const { cwd, timeoutMs, maxOutputBytes = defaultOutputBytes, env = {}, signal } = options;
  const refusal = refuse(text, options);
  if (refusal !== undefined) {
    return { end: "exited", code: 2, output: renderOutput(Buffer.from(refusal), Buffer.alloc(0), 0), durationMs: 0 };
  }
  const step = options.step === undefined ? undefined : stepName(options.step);
  const ran = await shell.run({ text, cwd, timeoutMs, ...halves(maxOutputBytes), env, signal, step });
  return { cwd, ...toResult(ran) };
}

async function resume(shell: Shell, step: StepName, options: ResumeOptions): Promise<ResumeResult> {
  const { timeoutMs, maxOutputBytes = defaultOutputBytes, signal } = options;
  const ran = await shell.resume(stepName(step), { timeoutMs, ...halves(maxOutputBytes), signal });
  return "answer" in ran ? toResult(ran) : ran;
}

function stepName(step: StepName): string {
  const name = String(step);
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return name;
  throw new RangeError(`"${name}" is no name of a step: letters, digits, "_" and "-", at most 64`);
}

function halves(bytes: number): { head: number; tail: number } {
  const half = Math.floor(bytes / 2);
  return { head: half, tail: half };
}

function toResult(ran: Ran): ExecResult {
  const { answer, note: _note, durationMs, ...end } = ran;
  const last = answer.cwd.length <= 4096 ? answer.cwd.toString("utf8").replace(/\n$/, "") : "";
  return { ...end, output: outputOf(ran), durationMs, ...(last === "" ? {} : { cwd: last }) };
}

function outputOf({ answer, note }: Ran): Output {
  const output = renderOutput(answer.head, answer.tail, answer.total);
  return note === "" ? output : { ...output, text: output.text + note };
}

function refuse(text: string, { cwd, env = {} }: ExecOptions): string | undefined {
  const words = [text, cwd, ...Object.values(env)];
  if (words.some((word) => word.includes("\0"))) return "agent-fix: a command can't contain a NUL byte.\n";
  const odd = Object.keys(env).find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  return odd === undefined ? undefined : `agent-fix: "${odd}" is no name of an environment variable.\n`;
}

async function readFile(shell: Shell, path: string, maxBytes: number): Promise<FileRead> {
  if (maxBytes > fileLimit) throw new RangeError(`readFile takes at most ${fileLimit} bytes, not ${maxBytes}`);
  if (path.includes("\0")) return { kind: "missing", detail: "a path can't contain a NUL byte" };
  const file = quote(path);
  const script = `[ ! -d ${file} ] || exit 3; [ -e ${file} ] || exit 4; [ -f ${file} ] || exit 5
    head -c ${maxBytes + 1} -- ${file} 2>/dev/null || exit 6`;
  const ran = await shell.run({ ...fileCommand(script), head: maxBytes + 1, tail: 0 });
  if (ran.end !== "exited") return { kind: "unreadable", detail: endedAs(ran) };
  switch (ran.code) {
    case 0:
      if (ran.answer.total > maxBytes) return { kind: "too-large" };
      return { kind: "file", bytes: Buffer.concat([ran.answer.head, ran.answer.tail]) };
    case 3:
      return { kind: "directory" };
    case 4:
      return { kind: "missing" };
    case 5:
      return { kind: "unreadable", detail: "it is neither a file nor a folder" };
    default:
      return { kind: "unreadable", detail: "the user of the sandbox may not read it" };
  }
}

async function writeFile(shell: Shell, path: string, bytes: Uint8Array): Promise<FileWritten> {
  if (bytes.length > fileLimit) return { ok: false, reason: `files over ${fileLimit} bytes can't be written` };
  if (path.includes("\0")) return { ok: false, reason: "a path can't contain a NUL byte" };
  const staged = await shell.stage(bytes);
  const [file, folder] = [quote(path), quote(posix.dirname(path))];
  // Written through, not renamed over: an existing file keeps its mode.
  const script = `trap 'rm -f ${staged}' EXIT
    [ "$(($(wc -c <${staged})))" = ${bytes.length} ] || { echo "no room in /run/af"; exit 1; }
    [ ! -d ${file} ] || { echo "it is a folder"; exit 1; }
    mkdir -p -- ${folder} && cat ${staged} >${file}`;
  const ran = await shell.run(fileCommand(script));
  if (ran.end === "exited" && ran.code === 0) return { ok: true };
  const said = ran.answer.head
    .toString("utf8")
    .trim()
    .replace(/^\S+: line \d+: /, "");
  return { ok: false, reason: said === "" ? endedAs(ran) : said };
}

function fileCommand(text: string): Command {
  return { text, cwd: "/", timeoutMs: fileLimitMs, head: 2_000, tail: 0, env: {}, signal: undefined };
}

function endedAs(ran: Ran): string {
  if (ran.end === "exited") return `exit code ${ran.code}`;
  return ran.end === "sandbox-lost" ? "the sandbox is gone" : `the sandbox's shell ended: ${ran.end}`;
}
