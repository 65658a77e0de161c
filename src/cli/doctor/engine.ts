import { readFile } from "node:fs/promises";
import type { EngineFacts } from "../../../sandbox/facts.ts";
import { type Finding, type Seen, bad, notKnown, ok, warn } from "./finding.ts";

/** What the engine can do for a sandbox, and what it means. `mounts`: see `readMounts`. */
export function examineEngine(facts: EngineFacts | undefined, mounts: string | undefined): Finding[] {
  const parts: Record<string, (facts: EngineFacts) => Seen> = {
    storage,
    quota: (facts) => quota(facts, mounts),
    seccomp,
    cgroup,
    users,
    "live-restore": liveRestore,
  };
  return Object.entries(parts).map(([part, see]) => ({
    part,
    ...(facts === undefined ? notKnown("the Docker engine does not answer") : see(facts)),
  }));
}

/** This process's mounts, as the kernel lists them; undefined where there is no such list. */
export async function readMounts(): Promise<string | undefined> {
  return readFile("/proc/self/mountinfo", "utf8").catch(() => undefined);
}

const oldest = 30;
const dayMs = 86_400_000;

/** Says how old an image is, and warns from 30 days on. */
export function imageAge(ref: string, created: Date | undefined, now: Date): Seen {
  if (created === undefined) return ok(`${ref} does not say when it was built`);
  const days = Math.floor((now.getTime() - created.getTime()) / dayMs);
  const saw = `${ref} was built ${days === 1 ? "1 day" : `${Math.max(0, days)} days`} ago`;
  if (days <= oldest) return ok(saw);
  return warn(
    `${saw}: its packages lack the fixes since then`,
    "Rebuild it (our own: `docker build --pull --no-cache -t agent-fix-sandbox:latest sandbox`), or pull a newer one",
  );
}

function storage({ storageDriver, backingFilesystem }: EngineFacts): Seen {
  const saw = backingFilesystem === "" ? storageDriver : `${storageDriver} on ${backingFilesystem}`;
  if (/^(overlay2|overlayfs|btrfs|zfs|windowsfilter)$/.test(storageDriver)) return ok(saw);
  return warn(
    `${saw}: ${storageDriver === "vfs" ? "every container gets a whole copy of its image" : "slower than overlay2, or no longer maintained"}`,
    "Let the engine use overlay2",
  );
}

// A local volume takes a size only where the file system counts by project; an overlay of two volumes takes none.
function quota({ storageDriver, backingFilesystem, rootDir }: EngineFacts, mounts: string | undefined): Seen {
  const watched = "what a run writes is watched and not capped, so that a fast writer overshoots before it is ended";
  const driver = `${storageDriver} on ${backingFilesystem === "" ? "an unnamed file system" : backingFilesystem}`;
  if (storageDriver !== "overlay2" || backingFilesystem !== "xfs") return ok(`none (${driver}): ${watched}`);
  const mount = mountOf(rootDir, mounts ?? "");
  if (mount?.type !== "xfs") return ok(`not to be seen from here (${driver} of another machine): taken as none`);
  if (mount.options.some((option) => option === "prjquota" || option === "pquota")) {
    return ok(`${driver} with pquota, which a tree on shared layers can't use: ${watched}`);
  }
  return ok(`none (${driver}, mounted without pquota): ${watched}`);
}

/** The mount that a path lies on, from the text of /proc/self/mountinfo. */
function mountOf(path: string, mounts: string): { type: string; options: string[] } | undefined {
  const found = mounts.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const at = before.split(" ")[4];
    const [type, , options = ""] = after.split(" ");
    if (at === undefined || type === undefined) return [];
    const holds = path === at || path.startsWith(at === "/" ? at : `${at}/`);
    return holds ? [{ at, type, options: options.split(",") }] : [];
  });
  // Of several at one place the last one is seen.
  return found.toSorted((one, other) => one.at.length - other.at.length).at(-1);
}

function seccomp({ security }: EngineFacts): Seen {
  const also = security.filter((name) => name === "apparmor" || name === "selinux");
  if (security.includes("seccomp")) return ok(["seccomp", ...also].join(" and "));
  return bad(
    "the engine has no seccomp: it refuses our containers, which come with a profile",
    "Use a kernel with CONFIG_SECCOMP_FILTER, and an engine that was built with it",
  );
}

function cgroup({ cgroupVersion, unlimited }: EngineFacts): Seen {
  const saw = cgroupVersion === "" ? "version not told" : `version ${cgroupVersion}`;
  const needed = unlimited.filter((name) => name !== "swap");
  const remedy =
    "Give the engine these controllers: with a rootless one by systemd's Delegate=, else on the kernel's command line";
  if (needed.length > 0)
    return bad(`${saw}, without a limit for ${unlimited.join(", ")}: a run could take all`, remedy);
  if (unlimited.length > 0) return warn(`${saw}, without a limit for swap: a run could take it all`, remedy);
  return ok(`${saw}: memory, CPUs and processes are limited`);
}

function users({ security }: EngineFacts): Seen {
  if (security.includes("rootless")) return ok("rootless: who leaves a container is the engine's user and not root");
  if (security.includes("userns")) return ok("user namespaces: who leaves a container is nobody on the host");
  return ok("the host's: user 1000 of a container is user 1000 of the host, so give that number to nobody who matters");
}

function liveRestore({ liveRestore }: EngineFacts): Seen {
  if (liveRestore) return ok("on: sandboxes outlive a restart of the engine");
  return ok("off: a restart of the engine ends its sandboxes, and their steps run again");
}
