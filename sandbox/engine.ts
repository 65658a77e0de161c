import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import {
  type Client,
  createClient,
  type ClientOptions,
  imageMissing,
  newName,
  removeContainer,
  statusOf,
} from "./docker.ts";
import { type EngineFacts, readFacts } from "./facts.ts";
import { type DiskLimit, guardOneShot, guardSandbox } from "./disk.ts";
import { runWithEgress, startWithEgress } from "./forwarder.ts";
import type { Egress } from "./network.ts";
import { runContained } from "./one-shot.ts";
import { type Folders, probeFolders } from "./objects.ts";
import type { Output } from "./output.ts";
import { labelsFor, list, listKept } from "./owned.ts";
import { reopenSupervised, startSupervised } from "./sandbox.ts";
import { probeTrees, type Trees } from "./trees.ts";
import { createVolume, findVolume, type Overlay, removeVolume, type Volume } from "./volumes.ts";

export interface EngineOptions extends ClientOptions {
  /** Which installation of agent-fix owns a container: the value of the label `agent-fix.instance`. */
  instance: string;
  /** Our own image, for the helper containers. */
  image: string;
  /** A runtime that the engine knows, as `runsc`. Default: the engine's own default. */
  runtime?: string;
  /** How trees are stored. Default: what the engine can do. */
  trees?: Trees;
  /** Whether the engine sees this machine's folders. Default: tried out. */
  folders?: Folders;
  /** The folder of this machine that it is tried out with: the one in which mirrors lie. Default: the temporary one. */
  hostDir?: string;
}

export interface Labels {
  /** A run's id; with "~" before it, the name of a chore that belongs to no run. */
  run: string;
  role: string;
  /** Which claim of the run it belongs to. */
  epoch?: number;
}

/**
 * With `kept` instead of a run, a volume is nobody's and not reaped. `isOne`: there is one of that name, which is made if
 * it is not there. `standsOn`: volumes that are in use as long as this one is there.
 */
export type VolumeLabels = (Labels | { kept: string; isOne?: boolean }) & { standsOn?: readonly string[] };

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
  /** Default: what the engine's disk can take. */
  disk?: DiskLimit;
  /** Default: "none". */
  network?: "none" | { egress: Egress };
}

export interface OneShotSpec extends SandboxSpec {
  command: string[];
  timeoutMs: number;
  stdin?: Uint8Array | AsyncIterable<Uint8Array>;
  maxStdoutBytes: number;
  /** Of `output`. Default: 60,000. */
  maxOutputBytes?: number;
  /** Ends it when it wrote nothing for so long. Default: it may be silent until `timeoutMs`. */
  idleMs?: number;
  /** Ends it when it wrote more. Default: it may write for as long as it runs. */
  floodBytes?: number;
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

/** `idle` and `flooded`: it was ended for what `idleMs` and `floodBytes` say. `reason`: why it was killed, if by us. */
export type OneShotEnd = ExecEnd | { end: "killed"; reason: string } | { end: "idle" } | { end: "flooded" };

/** `output` holds stdout and stderr as they came, head and tail; `stdout` is exact up to `maxStdoutBytes`. */
export type OneShotResult = OneShotEnd & {
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
  /** A name that no step of this sandbox had before, so that `resume` can ask for its result after a crash. */
  step?: StepName;
}

/** Letters, digits, "_" and "-", at most 64. */
export type StepName = string | number;

export type ResumeOptions = Pick<ExecOptions, "timeoutMs" | "maxOutputBytes" | "signal">;

/**
 * The result of a step, `cwd` only where it is known; or why there is none. `never-began`: nothing of it ran.
 * `unknown`: it began, nobody saw how it ended, and nothing of it runs any more.
 */
export type ResumeResult = ExecResult | { end: "never-began" } | { end: "unknown" };

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
  /** Kills every process but the supervisor; running commands end as "killed", with the note in their output. */
  freeze(note?: string): Promise<void>;
}

/** A sandbox that another process, now dead, had started. */
export interface ReopenedSandbox extends Sandbox {
  /**
   * The true result of a step, waited for while it runs; `timeoutMs` begins anew. A step's output is kept until the
   * next one that has a name begins, how it ended as long as the container lives.
   */
  resume(step: StepName, options: ResumeOptions): Promise<ResumeResult>;
}

/** A container or volume of this installation. */
export interface Owned {
  kind: "container" | "volume";
  id: string;
  run: string;
  role: string;
  epoch?: number;
  created: Date;
}

/** A volume that outlives its run. `inUse`: a run's overlay stands on it. */
export interface Kept {
  volume: string;
  kept: string;
  created: Date;
  inUse: boolean;
}

export interface LocalImage {
  id: string;
  created: Date | undefined;
}

/** The container engine, in our words. Every call ends in bounded time, and throws EngineAway when nobody answers. */
export interface Engine {
  /** Our own image, for the helper containers. */
  readonly helperImage: string;
  facts(signal?: AbortSignal): Promise<EngineFacts>;
  /** Pulls the image if it is not here; throws ImageMissing when it is not to be had. `created`: undefined when it does not say. */
  ensureImage(ref: string, signal?: AbortSignal): Promise<LocalImage>;
  startSandbox(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
  /** Goes on with a running sandbox of this installation. Undefined when it is lost: gone, stopped, or deaf. */
  reopen(id: string, signal?: AbortSignal): Promise<ReopenedSandbox | undefined>;
  /** Runs a command as the main process of its own container; the exit code is the engine's. */
  runOnce(spec: OneShotSpec, signal?: AbortSignal): Promise<OneShotResult>;
  /** With `overlay`, one that shows its layers as one folder. */
  createVolume(labels: VolumeLabels, overlay?: Overlay): Promise<Volume>;
  /** Undefined when it is gone. */
  findVolume(name: string): Promise<Volume | undefined>;
  /** How the trees of runs are stored: tried out once. "copy": this engine can't mount an overlay of volumes. */
  trees(): Promise<Trees>;
  /** Whether the engine sees this machine's folders: tried out once. */
  folders(): Promise<Folders>;
  /** A volume that is gone is no error. */
  removeVolume(name: string): Promise<void>;
  /** All containers and volumes of this installation's runs, in whatever state. */
  list(): Promise<Owned[]>;
  /** The volumes that outlive their runs. */
  listKept(): Promise<Kept[]>;
  /** Removes a container, running or not. One that is gone is no error. */
  remove(id: string): Promise<void>;
}

/** The same engine for one claim of a run: what it makes carries the epoch, so that a later claim can tell it apart. */
export function forEpoch(engine: Engine, epoch: number): Engine {
  const own = (labels: Labels) => ({ ...labels, epoch });
  return {
    ...engine,
    startSandbox: (spec, signal) => engine.startSandbox({ ...spec, labels: own(spec.labels) }, signal),
    runOnce: (spec, signal) => engine.runOnce({ ...spec, labels: own(spec.labels) }, signal),
    createVolume: (labels, overlay) => engine.createVolume("kept" in labels ? labels : own(labels), overlay),
  };
}

export function createEngine(options: EngineOptions): Engine {
  const client = createClient(options);
  const { instance, image: helperImage, runtime } = options;
  const labels = labelsFor(instance);
  const trees = once(() => (options.trees === undefined ? probeTrees(engine) : Promise.resolve(options.trees)));
  const folders = once(() =>
    options.folders === undefined
      ? probeFolders(engine, options.hostDir ?? tmpdir())
      : Promise.resolve(options.folders),
  );

  async function installation(ref: string, asked: Labels, signal?: AbortSignal) {
    const { id } = await ensureImage(client, ref, signal);
    return { client, labels: labels.run(asked), image: { ref, id }, runtime };
  }

  async function start(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const main = await installation(spec.image, spec.labels, signal);
    if (spec.network === undefined || spec.network === "none") return startSupervised(main, spec, signal);
    const helper = await installation(helperImage, { ...spec.labels, role: "egress" }, signal);
    return startWithEgress({ main, helper, egress: spec.network.egress }, spec, signal);
  }

  const engine: Engine = {
    helperImage,
    facts: (signal) => readFacts(client, signal),
    ensureImage: (ref, signal) => ensureImage(client, ref, signal),
    startSandbox: async (spec, signal) => {
      const sandbox = await start(spec, signal);
      return spec.disk === undefined ? sandbox : guardSandbox(engine, sandbox, spec.disk);
    },
    reopen: (id, signal) => reopenSupervised(client, { id, instance }, signal),
    runOnce: async ({ disk, ...spec }, signal) => {
      if (disk !== undefined) return guardOneShot(engine, { ...spec, disk }, signal);
      const main = await installation(spec.image, spec.labels, signal);
      if (spec.network === undefined || spec.network === "none") return runContained(main, spec, signal);
      const helper = await installation(helperImage, { ...spec.labels, role: "egress" }, signal);
      return runWithEgress({ main, helper, egress: spec.network.egress }, spec, signal);
    },
    createVolume: (asked, overlay) => {
      const name = "kept" in asked && asked.isOne === true ? nameFor(instance, asked.kept) : newName();
      return createVolume(client, { name, labels: labels.volume(asked, overlay?.lower ?? []) }, overlay);
    },
    findVolume: (name) => findVolume(client, name),
    removeVolume: (name) => removeVolume(client, name),
    trees,
    folders,
    list: () => list(client, instance),
    listKept: () => listKept(client, instance),
    remove: (id) => removeContainer(client, id),
  };
  return engine;
}

/** What was found out stays found out; an engine that was away is asked again. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    const answer = (asked ??= ask());
    answer.catch(() => (asked = undefined));
    return answer;
  };
}

function nameFor(instance: string, kept: string): string {
  return `agent-fix-${createHash("sha256").update(`${instance}\0${kept}`).digest("hex").slice(0, 32)}`;
}

async function ensureImage(client: Client, ref: string, signal?: AbortSignal): Promise<LocalImage> {
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

async function findImage(client: Client, ref: string, signal?: AbortSignal): Promise<LocalImage | undefined> {
  try {
    const found = await client.call(`look for the image ${ref}`, { signal }, (docker) =>
      docker.getImage(ref).inspect(),
    );
    const created = new Date(found.Created);
    // Reproducible builds write the year 1 or 1970.
    return { id: found.Id, created: created.getFullYear() > 1980 ? created : undefined };
  } catch (error) {
    if (statusOf(error) === 404 || statusOf(error) === 400) return undefined;
    throw error;
  }
}
