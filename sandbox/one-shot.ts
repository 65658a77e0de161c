import { type Duplex, pipeline, Readable } from "node:stream";
import { createDemux } from "./demux.ts";
import { attach, EngineAway, createContainer, newName, removeContainer, statusOf } from "./docker.ts";
import type { OneShotEnd, OneShotResult, OneShotSpec } from "./engine.ts";
import { firstOf, late } from "./limits.ts";
import { createCollector } from "./output.ts";
import type { Installation } from "./sandbox.ts";
import { containerSpec } from "./spec.ts";

const defaultOutputBytes = 60_000;
const drainMs = 10_000;

/** Runs the command as the main process of a new container and removes it, however it ends. */
export async function runContained(
  { client, labels, image, runtime }: Installation,
  spec: OneShotSpec,
  signal?: AbortSignal,
  joins?: string,
): Promise<OneShotResult> {
  const { command, mounts, cwd, limits, env = {} } = spec;
  const parts = { command, labels, mounts, cwd, env, limits, runtime };
  const name = newName();
  const shape = containerSpec({
    image: image.id,
    ...parts,
    network: joins === undefined ? "none" : { joins },
    stdin: "once",
  });
  try {
    const id = await createContainer(client, name, shape, signal);
    const stream = await attach(client, id, signal);
    const output = collect(stream, spec);
    const started = performance.now();
    try {
      // Not cut off by the signal: whatever has begun to run ends as "aborted", with what it wrote.
      await client.call("start a container", {}, (docker) => docker.getContainer(id).start());
      give(spec.stdin ?? Buffer.alloc(0), stream);
      const end = await ending(client, { id, timeoutMs: spec.timeoutMs, signal, tooMuch: output.tooMuch });
      const durationMs = performance.now() - started;
      await firstOf(output.finished, { ms: drainMs });
      return { ...end, ...output.result(), durationMs };
    } finally {
      output.close();
      stream.destroy();
    }
  } finally {
    await removeContainer(client, name);
  }
}

/** A source that fails ends the input early; what reads it has to notice. */
function give(stdin: NonNullable<OneShotSpec["stdin"]>, stream: Duplex): void {
  if (stdin instanceof Uint8Array) stream.end(stdin);
  else pipeline(Readable.from(stdin), stream, () => stream.end());
}

interface Watched {
  id: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** Its reason is the ending. */
  tooMuch: AbortSignal;
}

async function ending(
  client: Installation["client"],
  { id, timeoutMs, signal, tooMuch }: Watched,
): Promise<OneShotEnd> {
  const stop = new AbortController();
  try {
    const wait = client.call(
      "wait for a container",
      { limitMs: timeoutMs + 60_000, signal: stop.signal },
      (docker, abortSignal) => docker.getContainer(id).wait({ abortSignal }),
    );
    const either = signal === undefined ? tooMuch : AbortSignal.any([signal, tooMuch]);
    const status: { StatusCode: number } | typeof late = await firstOf(wait, { ms: timeoutMs, signal: either });
    if (status === late) {
      await kill(client, id);
      if (signal?.aborted) return { end: "aborted" };
      return tooMuch.aborted ? { end: tooMuch.reason as "idle" | "flooded" } : { end: "timed-out" };
    }
    const end = await named(client, id, status.StatusCode);
    // An engine that stops ends its containers with a signal first: whatever code that brought, it is not the command's.
    return (await client.isListening()) ? end : { end: "sandbox-lost" };
  } catch (error) {
    // The container was removed, or the engine went away, while the command ran.
    if (error instanceof EngineAway || statusOf(error) === 404) return { end: "sandbox-lost" };
    throw error;
  } finally {
    stop.abort();
  }
}

async function named(client: Installation["client"], id: string, code: number): Promise<OneShotEnd> {
  if (code === 0) return { end: "exited", code };
  const { State } = await client.call("inspect a container", {}, (docker) => docker.getContainer(id).inspect());
  if (State.OOMKilled) return { end: "out-of-memory" };
  return code === 137 ? { end: "killed" } : { end: "exited", code };
}

async function kill(client: Installation["client"], id: string): Promise<void> {
  try {
    await client.call("kill a container", {}, (docker) => docker.getContainer(id).kill());
  } catch (error) {
    // 409: it ended by itself at this moment.
    if (statusOf(error) !== 409 && statusOf(error) !== 404) throw error;
  }
}

function collect(stream: Duplex, spec: OneShotSpec) {
  const { maxStdoutBytes, maxOutputBytes = defaultOutputBytes, idleMs, floodBytes = Number.POSITIVE_INFINITY } = spec;
  const tooMuch = new AbortController();
  const idle = idleMs === undefined ? undefined : setTimeout(() => tooMuch.abort("idle"), idleMs);
  let written = 0;
  const both = createCollector(maxOutputBytes);
  const stdout: Buffer[] = [];
  let kept = 0;
  let seen = 0;
  const { promise: finished, resolve } = Promise.withResolvers<void>();
  const demux = createDemux((source, chunk) => {
    both.add(chunk);
    idle?.refresh();
    written += chunk.length;
    if (written > floodBytes) tooMuch.abort("flooded");
    if (source === "stderr") return;
    seen += chunk.length;
    const wanted = chunk.subarray(0, maxStdoutBytes - kept);
    kept += wanted.length;
    if (wanted.length > 0) stdout.push(Buffer.from(wanted));
  });
  stream.on("data", demux);
  stream.on("end", resolve);
  stream.on("close", resolve);
  stream.on("error", () => stream.destroy());
  const result = () => ({ stdout: Buffer.concat(stdout), stdoutTruncated: seen > kept, output: both.output() });
  return { finished, result, tooMuch: tooMuch.signal, close: () => clearTimeout(idle) };
}
