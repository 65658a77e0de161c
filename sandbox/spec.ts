import type Docker from "dockerode";
import type { Mount, SandboxSpec } from "./engine.ts";

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

const largestFile = 8 * 2 ** 30;

/**
 * The one description of every container that agent-fix creates. Nothing in `Shape` can ask for privileges, devices,
 * host namespaces or a writable folder of the host.
 */
export function containerSpec(shape: Shape): Readonly<Docker.ContainerCreateOptions> {
  const { memoryBytes, cpus, pids } = shape.limits;
  const env = { HOME: "/workspace/home", ...shape.env };
  const hostConfig: Docker.HostConfig & { CgroupnsMode: string } = {
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
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
  return `rw,exec,nosuid,nodev,size=${megabytes}m,uid=1000,gid=1000,mode=1777`;
}

// Outputs lie here until the supervisor cuts them; a flood must not fill it between two looks.
function stateFolder(memoryBytes: number): string {
  const megabytes = Math.max(64, Math.min(256, Math.floor(memoryBytes / 2 ** 22)));
  return `rw,noexec,nosuid,nodev,size=${megabytes}m,nr_inodes=40k,uid=1000,gid=1000,mode=0700`;
}

function toMount(mount: Mount): Docker.MountSettings {
  if ("volume" in mount) {
    return { Type: "volume", Source: mount.volume, Target: mount.at, ReadOnly: mount.readOnly ?? false };
  }
  refuseHostPath(mount.hostDir);
  return {
    Type: "bind",
    Source: mount.hostDir,
    Target: mount.at,
    ReadOnly: true,
    BindOptions: { Propagation: "rprivate" },
  };
}

function refuseHostPath(path: string): void {
  const system = /^\/(?:(?:proc|sys|dev|run|boot|root|var|var\/run|etc|home)\/?)?$|^\/(?:proc|sys|dev)\//;
  if (!path.startsWith("/") || path.split("/").includes("..") || system.test(path) || path.endsWith("docker.sock")) {
    throw new Error(`The sandbox does not mount ${path}: name the folder that is needed, by its absolute path.`);
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) deepFreeze(part);
  }
  return Object.freeze(value);
}
