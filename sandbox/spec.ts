import { posix } from "node:path";
import type Docker from "dockerode";
import type { Mount, SandboxSpec } from "./engine.ts";
import { seccompProfile } from "./seccomp.ts";

export interface Shape {
  image: string;
  command: string[];
  labels: Record<string, string>;
  mounts: Mount[];
  cwd: string;
  env: Record<string, string>;
  limits: SandboxSpec["limits"];
  /** "none", or the id of the container whose network namespace is joined. */
  network: "none" | { joins: string };
  runtime: string | undefined;
  /** "once": stdin ends with the client that is attached. "kept": a later client goes on. */
  stdin: "once" | "kept";
}

/** What is listed and nothing else of what the engine knows. */
type Only<Known, Listed> = Listed & { [Name in Exclude<keyof Known, keyof Listed>]?: never };

declare const checked: unique symbol;
/** A path of the host that `hostPath` looked at: a plain text is none. */
type HostPath = string & { readonly [checked]: true };

type SpecMount =
  | Only<Docker.MountSettings, { Type: "volume"; Source: string; Target: string; ReadOnly: boolean }>
  | Only<
      Docker.MountSettings,
      { Type: "bind"; Source: HostPath; Target: string; ReadOnly: true; BindOptions: { Propagation: "rprivate" } }
    >;

/** Privileges, capabilities, devices, namespaces of the host and writable folders of it can't be written in this type. */
export type HostConfig = Only<
  Docker.HostConfig,
  {
    CapDrop: ["ALL"];
    SecurityOpt: ["no-new-privileges", `seccomp=${string}`];
    Privileged: false;
    ReadonlyRootfs: true;
    Tmpfs: { "/tmp": string; "/run/af": string };
    Mounts: SpecMount[];
    Memory: number;
    MemorySwap: number;
    NanoCpus: number;
    PidsLimit: number;
    Ulimits: Docker.Ulimit[];
    IpcMode: "private";
    CgroupnsMode: "private";
    NetworkMode: "none" | `container:${string}`;
    Init: true;
    LogConfig: { Type: "none"; Config: Record<string, never> };
    RestartPolicy: { Name: "no" };
    Runtime?: string;
  }
>;

export type ContainerSpec = Readonly<
  Only<
    Docker.ContainerCreateOptions,
    {
      Image: string;
      Entrypoint: string[];
      Cmd: string[];
      User: "1000:1000";
      WorkingDir: string;
      Env: string[];
      Labels: Record<string, string>;
      Healthcheck: { Test: ["NONE"] };
      Tty: false;
      OpenStdin: true;
      StdinOnce: boolean;
      AttachStdin: true;
      AttachStdout: true;
      AttachStderr: true;
      HostConfig: HostConfig;
    }
  >
>;

const largestFile = 8 * 2 ** 30;

/**
 * The one description of every container that agent-fix creates. Nothing in `Shape` can ask for privileges, devices,
 * host namespaces or a writable folder of the host.
 */
export function containerSpec(shape: Shape): ContainerSpec {
  const { memoryBytes, cpus, pids } = shape.limits;
  const env = { HOME: "/workspace/home", ...shape.env };
  const hostConfig: HostConfig = {
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges", `seccomp=${seccompProfile}`],
    Privileged: false,
    ReadonlyRootfs: true,
    Tmpfs: { "/tmp": temporaryFolder(memoryBytes), "/run/af": stateFolder(memoryBytes) },
    Mounts: shape.mounts.map(toMount),
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: pids,
    Ulimits: [
      { Name: "core", Soft: 0, Hard: 0 },
      { Name: "nofile", Soft: 16_384, Hard: 16_384 },
      { Name: "fsize", Soft: largestFile, Hard: largestFile },
    ],
    IpcMode: "private",
    CgroupnsMode: "private",
    NetworkMode: shape.network === "none" ? "none" : `container:${shape.network.joins}`,
    Init: true,
    LogConfig: { Type: "none", Config: {} },
    RestartPolicy: { Name: "no" },
    ...(shape.runtime === undefined ? {} : { Runtime: shape.runtime }),
  };
  return deepFreeze({
    Image: shape.image,
    Entrypoint: [],
    Cmd: shape.command,
    User: "1000:1000",
    WorkingDir: shape.cwd,
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: shape.labels,
    Healthcheck: { Test: ["NONE"] },
    Tty: false,
    OpenStdin: true,
    StdinOnce: shape.stdin === "once",
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: hostConfig,
  });
}

// Compilers and package managers run programs from /tmp. What lies there counts as memory of the container.
function temporaryFolder(memoryBytes: number): string {
  const megabytes = Math.max(16, Math.min(4096, Math.floor(memoryBytes / 2 ** 21)));
  return `rw,exec,nosuid,nodev,size=${megabytes}m,nr_inodes=500k,uid=1000,gid=1000,mode=1777`;
}

// Outputs lie here until the supervisor cuts them; a flood must not fill it between two looks.
function stateFolder(memoryBytes: number): string {
  const megabytes = Math.max(64, Math.min(256, Math.floor(memoryBytes / 2 ** 22)));
  return `rw,noexec,nosuid,nodev,size=${megabytes}m,nr_inodes=40k,uid=1000,gid=1000,mode=0700`;
}

function toMount(mount: Mount): SpecMount {
  if ("volume" in mount) {
    return { Type: "volume", Source: mount.volume, Target: mount.at, ReadOnly: mount.readOnly ?? false };
  }
  return {
    Type: "bind",
    Source: hostPath(mount.hostDir),
    Target: mount.at,
    ReadOnly: true,
    BindOptions: { Propagation: "rprivate" },
  };
}

const systemFolder = /^\/(?:(?:boot|root|var|var\/lib|etc|home|usr)\/?)?$/;
const systemTree = /^\/(?:proc|sys|dev)(?:\/|$)/;
// Folders in which engines keep their sockets and the files of every container.
const engineTree = /^\/(?:var\/lib|run|var\/run)\/(?:docker|containerd|containers|crio|podman)(?:\/|$)/;
const socketFolder = /^\/(?:var\/)?run(?:\/user(?:\/\d+(?:\/podman)?)?)?\/?$/;

/** Throws for what would hand out the host or its engine. */
function hostPath(given: string): HostPath {
  const path = posix.normalize(given);
  const refused = [systemFolder, systemTree, engineTree, socketFolder, /\.sock$/].some((pattern) => pattern.test(path));
  if (!given.startsWith("/") || given.split("/").includes("..") || refused) {
    throw new Error(`The sandbox does not mount ${given}: name the folder that is needed, by its absolute path.`);
  }
  return path as HostPath;
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) deepFreeze(part);
  }
  return Object.freeze(value);
}
