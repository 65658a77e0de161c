import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { performServerHandshake, type ServerHttp2Session } from "node:http2";
import { type Duplex, duplexPair, pipeline } from "node:stream";
import { duplexOf } from "./demux.ts";
import { attach, createContainer, newName, removeContainer } from "./docker.ts";
import type { Mount, OneShotResult, OneShotSpec, Sandbox, SandboxSpec } from "./engine.ts";
import { firstOf, late } from "./limits.ts";
import { caFolder, type Egress, egressEnvironment } from "./network.ts";
import { runContained } from "./one-shot.ts";
import { type Installation, startSupervised } from "./sandbox.ts";
import { containerSpec } from "./spec.ts";
import { createVolume, removeVolume } from "./volumes.ts";

const forwarder = readFileSync(new URL("forwarder.js", import.meta.url), "utf8");
const readyLimitMs = 30_000;
const helperLimits = { memoryBytes: 128 * 2 ** 20, cpus: 1, pids: 64 };
/** In bytes, of what one side has sent and the other not taken: 512 connections together hold at most 128 MB. */
const windows = { stream: 2 ** 18, session: 16 * 2 ** 20 };
const mostConnections = 512;

/** Runs a command in the network namespace of a forwarder, whose one way out is the egress proxy. */
export async function runWithEgress(
  parts: { main: Installation; helper: Installation; egress: Egress },
  spec: OneShotSpec,
  signal?: AbortSignal,
): Promise<OneShotResult> {
  const { main, helper, egress } = parts;
  await using joined = await joinEgress(helper, egress, signal);
  const { env, mounts } = joined;
  const withNetwork = { ...spec, env: { ...spec.env, ...env }, mounts: [...spec.mounts, ...mounts] };
  return await runContained(main, withNetwork, signal, joined.id);
}

/** Starts a sandbox there. */
export async function startWithEgress(
  { main, helper, egress }: { main: Installation; helper: Installation; egress: Egress },
  spec: SandboxSpec,
  signal?: AbortSignal,
): Promise<Sandbox> {
  await using stack = new AsyncDisposableStack();
  const joined = stack.use(await joinEgress(helper, egress, signal));
  const { env, mounts } = joined;
  const withNetwork = { ...spec, env: { ...spec.env, ...env }, mounts: [...spec.mounts, ...mounts] };
  const sandbox = stack.use(await startSupervised(main, withNetwork, signal, joined.id));
  const owned = stack.move();
  return { ...sandbox, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What joins a container to a way out: the namespace of a forwarder, and what finds the proxy and trusts it. */
interface Joined extends AsyncDisposable {
  /** The forwarder's container. */
  id: string;
  env: Record<string, string>;
  mounts: Mount[];
}

/** Starts the container that owns the network namespace and forwards to the proxy; returns once it listens. */
async function joinEgress(helper: Installation, egress: Egress, signal?: AbortSignal): Promise<Joined> {
  await using stack = new AsyncDisposableStack();
  const ca = egress.caBundle === undefined ? undefined : stack.use(await sendBundle(helper, egress.caBundle, signal));
  const { id } = stack.use(await startForwarder(helper, egress, signal));
  const mounts: Mount[] = ca === undefined ? [] : [{ volume: ca.name, at: caFolder, readOnly: true }];
  const owned = stack.move();
  return { id, env: egressEnvironment(egress), mounts, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The certificates in a volume: the engine may not see the host's own file. */
async function sendBundle(
  helper: Installation,
  caBundle: string,
  signal?: AbortSignal,
): Promise<{ name: string } & AsyncDisposable> {
  const stdin = await readFile(caBundle);
  const { name } = await createVolume(helper.client, { name: newName(), labels: helper.labels });
  const remove = () => removeVolume(helper.client, name);
  try {
    const written = await runContained(
      helper,
      {
        image: helper.image.ref,
        labels: { run: "", role: "" },
        command: ["/bin/sh", "-c", "cat >/workspace/ca.crt"],
        mounts: [{ volume: name, at: "/workspace" }],
        cwd: "/",
        limits: helperLimits,
        stdin,
        timeoutMs: readyLimitMs,
        maxStdoutBytes: 0,
      },
      signal,
    );
    signal?.throwIfAborted();
    if (written.end !== "exited" || written.code !== 0)
      throw new Error(`The certificates of ${caBundle} could not be given to a container: ${written.output.text}`);
    return { name, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function startForwarder(
  { client, labels, image, runtime }: Installation,
  egress: Egress,
  signal?: AbortSignal,
): Promise<{ id: string } & AsyncDisposable> {
  const name = newName();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => removeContainer(client, name));
  const spec = containerSpec({
    image: image.id,
    command: ["node", "--input-type=module", "-e", forwarder],
    labels,
    mounts: [],
    cwd: "/",
    env: {},
    limits: helperLimits,
    network: "none",
    runtime,
    stdin: "once",
  });
  const id = await createContainer(client, name, spec, signal);
  const stream = await attach(client, id, signal);
  stack.defer(() => void stream.destroy());
  const channel = serve(stream, egress);
  await client.call("start a container", { signal }, (docker) => docker.getContainer(id).start());
  const said = await firstOf(channel.began, { ms: readyLimitMs, signal });
  signal?.throwIfAborted();
  if (said !== "ready") {
    throw new Error(
      `The forwarder of the set-up network did not start in ${image.ref}: ${said === late ? "no answer within 30 s" : said}. The image needs Node 24; \`npm run setup\` builds it.`,
    );
  }
  const owned = stack.move();
  return { id, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** `began` is "ready", or what the forwarder said when it ended instead. */
function serve(stream: Duplex, egress: Egress): { began: Promise<string> } {
  const { promise: began, resolve } = Promise.withResolvers<string>();
  let complaint = "";
  const channel = duplexOf(stream, (chunk) => (complaint = (complaint + chunk.toString("utf8")).slice(0, 2_000)));
  const session = openSession(channel, egress);
  session.once("remoteSettings", () => resolve("ready"));
  session.on("close", () => resolve(complaint.trim() || "its stream ended"));
  return { began };
}

/**
 * The forwarder's stream is one HTTP/2 session, in which every connection is a stream of its own: so nothing of the host
 * has to be mounted, and the engine may run anywhere. Whatever comes in it ends a connection or the session, never the
 * process.
 */
export function openSession(channel: Duplex, egress: Pick<Egress, "accept">): ServerHttp2Session {
  const session = performServerHandshake(channel, {
    settings: { initialWindowSize: windows.stream, maxConcurrentStreams: mostConnections },
    maxSessionMemory: 64,
  });
  session.setLocalWindowSize(windows.session);
  session.on("stream", (connection, headers) => {
    connection.on("error", () => connection.destroy());
    // What was opened and given up in one piece is told of when it is already closed, and then throws at an answer.
    if (connection.closed || connection.destroyed) return;
    if (headers[":method"] !== "CONNECT") return connection.close();
    connection.respond({ ":status": 200 });
    // The server of HTTP/1 loses what it writes at once to a stream of HTTP/2.
    const [near, far] = duplexPair();
    egress.accept(near);
    pipeline(far, connection, far, () => near.destroy());
  });
  session.on("error", () => session.destroy());
  return session;
}
