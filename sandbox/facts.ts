import { z } from "zod";
import type { Client } from "./docker.ts";

/** What the engine says of itself and of the machine that it runs on. What it does not say is empty. */
export interface EngineFacts {
  version: string;
  apiVersion: string;
  /** The machine's, as `Debian GNU/Linux 12 (bookworm)` or `Docker Desktop`. */
  operatingSystem: string;
  kernel: string;
  /** `Engine`, `containerd`, `runc` and others by name, with their package's version where they tell it. */
  components: ReadonlyMap<string, string>;
  runtimes: string[];
  storageDriver: string;
  backingFilesystem: string;
  /** Where images, containers and volumes lie, on the engine's machine. */
  rootDir: string;
  cgroupVersion: string;
  /** Names such as `seccomp`, `apparmor`, `selinux`, `rootless`, `userns`. */
  security: string[];
  /** What it says that it can't limit. */
  unlimited: ("memory" | "swap" | "cpu" | "pids")[];
  liveRestore: boolean;
}

const text = z.string().catch("");
const flag = z.boolean().optional().catch(undefined);
const versionAnswer = z.object({
  Version: text,
  ApiVersion: text,
  KernelVersion: text,
  Components: z
    .array(
      z.object({ Name: z.string(), Version: text, Details: z.object({ GitCommit: text }).catch({ GitCommit: "" }) }),
    )
    .catch([]),
});
const infoAnswer = z.object({
  OperatingSystem: text,
  Runtimes: z.record(z.string(), z.unknown()).catch({}),
  Driver: text,
  DriverStatus: z.array(z.tuple([z.string(), z.string()])).catch([]),
  DockerRootDir: text,
  CgroupVersion: text,
  SecurityOptions: z.array(z.string()).catch([]),
  MemoryLimit: flag,
  SwapLimit: flag,
  CpuCfsQuota: flag,
  PidsLimit: flag,
  LiveRestoreEnabled: flag,
});

export async function readFacts(client: Client, signal?: AbortSignal): Promise<EngineFacts> {
  const asked = { limitMs: 10_000, signal };
  const version = versionAnswer.parse(await client.call("tell its version", asked, (docker) => docker.version()));
  const info = infoAnswer.parse(await client.call("describe itself", asked, (docker) => docker.info()));
  return {
    version: version.Version,
    apiVersion: version.ApiVersion,
    operatingSystem: info.OperatingSystem,
    kernel: version.KernelVersion,
    components: new Map(version.Components.map((component) => [component.Name, packageOf(component)])),
    runtimes: Object.keys(info.Runtimes),
    storageDriver: info.Driver,
    backingFilesystem: info.DriverStatus.find(([key]) => key === "Backing Filesystem")?.[1] ?? "",
    rootDir: info.DockerRootDir,
    cgroupVersion: info.CgroupVersion,
    security: info.SecurityOptions.map(nameOf),
    unlimited: [
      ...(info.MemoryLimit === false ? (["memory"] as const) : []),
      ...(info.SwapLimit === false ? (["swap"] as const) : []),
      ...(info.CpuCfsQuota === false ? (["cpu"] as const) : []),
      ...(info.PidsLimit === false ? (["pids"] as const) : []),
    ],
    liveRestore: info.LiveRestoreEnabled === true,
  };
}

// Debian writes the package's revision, which says more than the version, where others write a commit.
function packageOf({ Version, Details }: z.infer<typeof versionAnswer>["Components"][number]): string {
  return Details.GitCommit.startsWith(`${Version}-`) ? Details.GitCommit : Version;
}

function nameOf(option: string): string {
  return option.replace(/^name=/, "").split(",", 1)[0] ?? "";
}
