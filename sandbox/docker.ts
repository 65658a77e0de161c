import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex, Readable } from "node:stream";
import Docker from "dockerode";
import { firstOf, late } from "./limits.ts";
import type { ContainerSpec } from "./spec.ts";

/** The engine does not answer. The message names the address and the remedy. */
export class EngineAway extends Error {
  override name = "EngineAway";
}

/** The image is neither here nor to be had. The message names the image and the remedy. */
export class ImageMissing extends Error {
  override name = "ImageMissing";
}

export interface ClientOptions {
  /** A unix socket. Default: /var/run/docker.sock. */
  socketPath?: string;
  /** As in DOCKER_HOST: `unix:///path` or `tcp://name:port`. `socketPath` wins. */
  host?: string;
}

/** The engine's API: every call has a time limit, and an engine that is away is told apart from one that refuses. */
export interface Client {
  readonly address: string;
  call<T>(what: string, options: CallOptions, work: (docker: Docker, signal: AbortSignal) => Promise<T>): Promise<T>;
  /** The same for what opens a stream, which is destroyed when it comes after the wait has ended. */
  open<T extends Readable>(what: string, options: CallOptions, work: (docker: Docker) => Promise<T>): Promise<T>;
  pull(ref: string, signal?: AbortSignal): Promise<void>;
  /** Whether a new connection is taken. An engine that is stopping takes none, before it stops its containers. */
  isListening(): Promise<boolean>;
}

export interface CallOptions {
  limitMs?: number;
  signal?: AbortSignal | undefined;
}

const callLimitMs = 60_000;
const pullLimitMs = 900_000;
const connectLimitMs = 10_000;

export function createClient(options: ClientOptions): Client {
  const target = parseTarget(options);
  const docker = new Docker(target.options);

  async function call<T>(
    what: string,
    options: CallOptions,
    work: (docker: Docker, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { signal, limitMs = callLimitMs } = options;
    signal?.throwIfAborted();
    const stop = new AbortController();
    try {
      // Not every dockerode call honours its signal, so the wait itself ends too.
      const result = await firstOf(work(docker, stop.signal), { ms: limitMs, signal });
      if (result !== late) return result;
      signal?.throwIfAborted();
      throw new EngineAway(
        `The Docker engine at ${target.address} did not ${what} within ${limitMs / 1000} s. Look at its log and its load; \`agent-fix doctor\` tests it.`,
      );
    } catch (error) {
      throw isConnectionError(error) ? away(target.address, error) : error;
    } finally {
      stop.abort();
    }
  }

  async function open<T extends Readable>(
    what: string,
    options: CallOptions,
    work: (docker: Docker) => Promise<T>,
  ): Promise<T> {
    let asked: Promise<T> | undefined;
    try {
      return await call(what, options, (docker) => (asked = work(docker)));
    } catch (error) {
      void asked?.then(discard, () => {});
      throw error;
    }
  }

  async function pull(ref: string, signal?: AbortSignal): Promise<void> {
    const options = { limitMs: pullLimitMs, signal };
    const progress = await open(
      `begin to pull ${ref}`,
      options,
      async (docker) => (await docker.pull(ref)) as Readable,
    );
    try {
      await call(`pull ${ref}`, options, () => untilPulled(progress));
    } finally {
      discard(progress);
    }
  }

  return { address: target.address, call, open, pull, isListening: () => takesConnection(target.options) };
}

function discard(stream: Readable): void {
  stream.on("error", () => {});
  stream.destroy();
}

/** The engine tells of a pull in lines of JSON, and of a failure in one of them. */
async function untilPulled(progress: Readable): Promise<void> {
  let rest = "";
  for await (const chunk of progress.setEncoding("utf8")) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) throwTold(line);
  }
  throwTold(rest);
}

function throwTold(line: string): void {
  if (line.trim() === "") return;
  const { error } = Object(JSON.parse(line)) as { error?: string };
  if (error !== undefined) throw new Error(error);
}

async function takesConnection({ socketPath, host, port }: Docker.DockerOptions): Promise<boolean> {
  const socket = connect(
    socketPath === undefined ? { host: host ?? "localhost", port: Number(port) } : { path: socketPath },
  );
  try {
    const answered = Promise.race([once(socket, "connect"), once(socket, "close")]);
    return (await firstOf(answered, { ms: connectLimitMs })) !== late && !socket.connecting && !socket.destroyed;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A name that is known before the engine answers, so that a container can be removed whose creation was cut off. */
export function newName(): string {
  return `agent-fix-${randomBytes(8).toString("hex")}`;
}

/**
 * Creates a container and returns its id; the whole description goes into the body, not into the address. The signal
 * cuts off no request: the engine would make the container all the same, after its removal.
 */
export async function createContainer(
  client: Client,
  name: string,
  spec: ContainerSpec,
  signal?: AbortSignal,
): Promise<string> {
  const options = { _query: { name }, _body: spec };
  signal?.throwIfAborted();
  try {
    const container = await client.call("create a container", {}, (docker, abortSignal) =>
      docker.createContainer({ ...options, abortSignal }),
    );
    signal?.throwIfAborted();
    return container.id;
  } catch (error) {
    if (statusOf(error) === 404 && /no such image/i.test(String(error))) throw imageMissing(spec.Image, error);
    throw error;
  }
}

/** Opens the container's streams. Call it before the container starts: nothing is missed then. */
export async function attach(client: Client, id: string, signal?: AbortSignal): Promise<Duplex> {
  const options = { stream: true, hijack: true, stdin: true, stdout: true, stderr: true };
  return client.open("attach to a container", { signal }, async (docker) => {
    return (await docker.getContainer(id).attach(options)) as Duplex;
  });
}

/** Removes the container and its anonymous volumes, whatever its state. A container that is gone is no error. */
export async function removeContainer(client: Client, id: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.call("remove a container", {}, (docker) => docker.getContainer(id).remove({ force: true, v: true }));
      return;
    } catch (error) {
      if (statusOf(error) === 404) return;
      // 409: someone else removes it at this moment. It must be gone before we say so.
      if (statusOf(error) === 409) return untilGone(client, id);
      if (attempt === 3 || error instanceof EngineAway) throw error;
    }
  }
}

async function untilGone(client: Client, id: string): Promise<void> {
  try {
    await client.call("remove a container", {}, (docker, abortSignal) =>
      docker.getContainer(id).wait({ condition: "removed", abortSignal }),
    );
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
}

export function imageMissing(ref: string, cause: unknown): ImageMissing {
  const reason = cause instanceof Error ? cause.message.trim() : String(cause);
  return new ImageMissing(
    `The image ${ref} is not on this machine and could not be pulled (${reason}). Load it with \`docker load\` or \`docker pull\`, or name another one; our own image is built by \`npm run setup\`.`,
    { cause },
  );
}

/** The HTTP status that the engine answered with, if it answered. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" ? error.statusCode : undefined;
}

function isConnectionError(error: unknown): boolean {
  const codes = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EACCES", "EPERM", "EPIPE", "ENOTFOUND", "EHOSTUNREACH"];
  if (!(error instanceof Error) || !("code" in error)) return false;
  return codes.includes(String(error.code)) && statusOf(error) === undefined;
}

function away(address: string, cause: unknown): EngineAway {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EngineAway(
    `No Docker engine answers at ${address} (${reason}). Start it (\`npm run setup\` does so on Debian and Ubuntu), or name its socket in DOCKER_HOST; reading the socket needs its group.`,
    { cause },
  );
}

function parseTarget({ socketPath, host }: ClientOptions): { address: string; options: Docker.DockerOptions } {
  // dockerode looks at DOCKER_HOST by itself; an explicit undefined keeps it from doing so.
  const none = { host: undefined, port: undefined, socketPath: undefined };
  const path = socketPath ?? (host === undefined ? "/var/run/docker.sock" : /^unix:\/\/(\/.+)$/.exec(host)?.[1]);
  if (path !== undefined) return { address: path, options: { ...none, socketPath: path, protocol: "http" } };
  const tcp = /^(?:tcp|http):\/\/([^/:]+|\[[^\]]+\]):(\d+)\/?$/.exec(host ?? "");
  if (!tcp?.[1]) {
    throw new Error(
      `DOCKER_HOST is "${host}": expected unix:///path/to/docker.sock or tcp://name:port. For an engine behind ssh or TLS, forward its socket and name the forwarded one.`,
    );
  }
  return { address: `tcp://${tcp[1]}:${tcp[2]}`, options: { ...none, host: tcp[1], port: tcp[2], protocol: "http" } };
}
