import {
  type Client,
  createClient,
  type ClientOptions,
  imageMissing,
  newName,
  removeContainer,
  statusOf,
} from "./docker.ts";
import type { Egress } from "./network.ts";
import { runContained, runWithEgress } from "./one-shot.ts";
import type { Output } from "./output.ts";
import { startSupervised } from "./sandbox.ts";

export interface EngineOptions extends ClientOptions {
  /** Which installation of agent-fix owns a container: the value of the label `agent-fix.instance`. */
  instance: string;
  /** Our own image, for the helper containers. */
  image: string;
  /** A runtime that the engine knows, as `runsc`. Default: the engine's own default. */
  runtime?: string;
}

export interface Labels {
  run: string;
  role: string;
}

/** A volume of the engine, or a folder or file of the host, which is always read-only. */
export type Mount =
  | { volume: string; at: string; readOnly?: boolean }
  | { hostDir: string; at: string; readOnly: true };

export interface SandboxSpec {
  image: string;
  labels: Labels;
  mounts: Mount[];
  cwd: string;
  env?: Record<string, string>;
  limits: { memoryBytes: number; cpus: number; pids: number };
}

export interface OneShotSpec extends SandboxSpec {
  command: string[];
  timeoutMs: number;
  stdin?: Uint8Array;
  maxStdoutBytes: number;
  /** Of `output`. Default: 60,000. */
  maxOutputBytes?: number;
  /** Default: "none". */
  network?: "none" | { egress: Egress };
}

/** How a command ended. `sandbox-lost`: its container went away, by another hand or with the engine. */
export type ExecEnd =
  | { end: "exited"; code: number }
  | { end: "timed-out" }
  | { end: "killed" }
  | { end: "out-of-memory" }
  | { end: "sandbox-lost" }
  | { end: "aborted" };

/** `cwd`: the working directory of the shell when it ended, or the one it was given. */
export type ExecResult = ExecEnd & { output: Output; durationMs: number; cwd?: string };

/** `output` holds stdout and stderr as they came, head and tail; `stdout` is exact up to `maxStdoutBytes`. */
export type OneShotResult = ExecEnd & {
  stdout: Buffer;
  stdoutTruncated: boolean;
  output: Output;
  durationMs: number;
};

export interface ExecOptions {
  cwd: string;
  timeoutMs: number;
  /** Default: 30,000. */
  maxOutputBytes?: number;
  env?: Record<string, string>;
  signal?: AbortSignal;
}

export type FileRead =
  | { kind: "file"; bytes: Buffer }
  | { kind: "missing" | "directory" | "too-large" | "unreadable"; detail?: string };

export type FileWritten = { ok: true } | { ok: false; reason: string };

/** One container in which commands run, many at once. Disposing of it removes it with everything in it. */
export interface Sandbox extends AsyncDisposable {
  readonly id: string;
  readonly image: { ref: string; id: string };
  exec(command: string, options: ExecOptions): Promise<ExecResult>;
  /** At most 8 MB. Relative paths start at the sandbox's `cwd`. */
  readFile(path: string, maxBytes: number): Promise<FileRead>;
  /** Creates parent folders, keeps the mode of an existing file. At most 8 MB. */
  writeFile(path: string, bytes: Uint8Array): Promise<FileWritten>;
  /** Kills every process but the supervisor; running commands end as "killed". */
  freeze(): Promise<void>;
}

/** A container or volume of this installation. */
export interface Owned {
  kind: "container" | "volume";
  id: string;
  run: string;
  role: string;
}

/** The container engine, in our words. Every call ends in bounded time, and throws EngineAway when nobody answers. */
export interface Engine {
  /** Our own image, for the helper containers. */
  readonly helperImage: string;
  ping(signal?: AbortSignal): Promise<{ version: string; apiVersion: string; runtimes: string[] }>;
  /** Pulls the image if it is not here; throws ImageMissing when it is not to be had. */
  ensureImage(ref: string, signal?: AbortSignal): Promise<{ id: string }>;
  startSandbox(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
  /** Runs a command as the main process of its own container; the exit code is the engine's. */
  runOnce(spec: OneShotSpec, signal?: AbortSignal): Promise<OneShotResult>;
  createVolume(labels: Labels): Promise<{ name: string }>;
  /** A volume that is gone is no error. */
  removeVolume(name: string): Promise<void>;
  /** All containers and volumes of this installation, in whatever state. */
  list(): Promise<Owned[]>;
  /** Removes a container, running or not. One that is gone is no error. */
  remove(id: string): Promise<void>;
}

const prefix = "agent-fix";

export function createEngine(options: EngineOptions): Engine {
  const client = createClient(options);
  const { instance, image: helperImage, runtime } = options;
  const labelsOf = ({ run, role }: Labels) => ({
    [`${prefix}.instance`]: instance,
    [`${prefix}.run`]: run,
    [`${prefix}.role`]: role,
  });

  async function installation(ref: string, labels: Labels, signal?: AbortSignal) {
    const { id } = await ensureImage(client, ref, signal);
    return { client, labels: labelsOf(labels), image: { ref, id }, runtime };
  }

  return {
    helperImage,
    ping: (signal) => ping(client, signal),
    ensureImage: (ref, signal) => ensureImage(client, ref, signal),
    startSandbox: async (spec, signal) =>
      startSupervised(await installation(spec.image, spec.labels, signal), spec, signal),
    runOnce: async (spec, signal) => {
      const main = await installation(spec.image, spec.labels, signal);
      if (spec.network === undefined || spec.network === "none") return runContained(main, spec, signal);
      const helper = await installation(helperImage, { ...spec.labels, role: "egress" }, signal);
      return runWithEgress({ main, helper, egress: spec.network.egress }, spec, signal);
    },
    createVolume: async (labels) => createVolume(client, labelsOf(labels)),
    removeVolume: (name) => removeVolume(client, name),
    list: () => list(client, instance),
    remove: (id) => removeContainer(client, id),
  };
}

async function ping(client: Client, signal?: AbortSignal) {
  const asked = { limitMs: 10_000, signal };
  const version = await client.call("tell its version", asked, (docker) => docker.version());
  const info: { Runtimes?: Record<string, unknown> } = await client.call("describe itself", asked, (docker) =>
    docker.info(),
  );
  return { version: version.Version, apiVersion: version.ApiVersion, runtimes: Object.keys(info.Runtimes ?? {}) };
}

async function ensureImage(client: Client, ref: string, signal?: AbortSignal): Promise<{ id: string }> {
  // The name becomes part of an address of the engine's API, and it may come from a repository's settings.
  if (!/^[A-Za-z0-9][\w.:@/-]*$/.test(ref) || ref.split("/").includes("..")) {
    throw imageMissing(ref, "that is no name of an image");
  }
  const known = await findImage(client, ref, signal);
  if (known) return known;
  try {
    await client.pull(ref, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw imageMissing(ref, error);
  }
  const pulled = await findImage(client, ref, signal);
  if (!pulled) throw imageMissing(ref, "it was pulled and is not there");
  return pulled;
}

async function findImage(client: Client, ref: string, signal?: AbortSignal): Promise<{ id: string } | undefined> {
  try {
    const found = await client.call(`look for the image ${ref}`, { signal }, (docker) =>
      docker.getImage(ref).inspect(),
    );
    return { id: found.Id };
  } catch (error) {
    if (statusOf(error) === 404 || statusOf(error) === 400) return undefined;
    throw error;
  }
}

// A volume without a name counts as anonymous: the engine removes it with the first container that used it.
async function createVolume(client: Client, labels: Record<string, string>): Promise<{ name: string }> {
  const volume = await client.call("create a volume", {}, (docker) =>
    docker.createVolume({ Name: newName(), Labels: labels }),
  );
  return { name: volume.name };
}

async function removeVolume(client: Client, name: string): Promise<void> {
  try {
    await client.call("remove a volume", {}, (docker) => docker.getVolume(name).remove({ force: true }));
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
}

async function list(client: Client, instance: string): Promise<Owned[]> {
  const filters = { label: [`${prefix}.instance=${instance}`] };
  const containers = await client.call("list containers", {}, (docker) =>
    docker.listContainers({ all: true, filters }),
  );
  const { Volumes: volumes } = await client.call("list volumes", {}, (docker) => docker.listVolumes({ filters }));
  return [
    ...containers.map(({ Id, Labels }) => owned("container", Id, Labels)),
    ...volumes.map(({ Name, Labels }) => owned("volume", Name, Labels)),
  ];
}

function owned(kind: Owned["kind"], id: string, labels: Record<string, string> | null): Owned {
  return { kind, id, run: labels?.[`${prefix}.run`] ?? "", role: labels?.[`${prefix}.role`] ?? "" };
}
