export type Component = "engine" | "runc" | "containerd" | "kernel" | "git" | "redis" | "valkey";

/** A fault that was mended, and where. */
interface Floor {
  /** The fault's name, and what it lets happen. */
  against: string;
  /** The first mended version of each line (major.minor), in ascending order; newer lines are mended too. */
  fixed: readonly string[];
  /** The first version with the fault. Default: the oldest. */
  since?: string;
}

/** `under`: these faults are not mended in this version, as far as its number tells, but in those later ones. */
export type Verdict =
  | { kind: "well" }
  | { kind: "unknown" }
  | { kind: "under"; missing: { against: string; fixed: string[] }[] };

const floors: Record<Component, readonly Floor[]> = {
  engine: [
    {
      against: "CVE-2024-29018 (names are resolved outside although the network is internal)",
      fixed: ["23.0.11", "25.0.5", "26.0.0"],
    },
  ],
  runc: [
    { against: "CVE-2024-21626 (a leaked descriptor opens the host's files)", fixed: ["1.1.12"] },
    {
      against: "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 (races around masked paths write on the host)",
      fixed: ["1.2.8", "1.3.3", "1.4.0-rc.3"],
    },
    { against: "CVE-2026-41579 (an image's link in /dev is followed)", fixed: ["1.3.6", "1.4.3", "1.5.0-rc.3"] },
  ],
  containerd: [
    {
      against: "CVE-2024-25621 (its folders are open to the host's users)",
      fixed: ["1.7.29", "2.0.7", "2.1.5", "2.2.0"],
    },
  ],
  kernel: [
    {
      against: "CVE-2026-31431 (Copy Fail: AF_ALG sockets write to files that a process may only read)",
      fixed: ["5.10.254", "5.15.204", "6.1.170", "6.6.137", "6.12.85", "6.18.22", "6.19.12", "7.0"],
      since: "4.14",
    },
  ],
  git: [
    {
      against: "CVE-2024-32002, CVE-2024-32004 and CVE-2024-32465 (a clone runs the repository's code)",
      fixed: ["2.39.4", "2.40.2", "2.41.1", "2.42.2", "2.43.4", "2.44.1", "2.45.1"],
    },
    {
      against: "CVE-2025-48384 and CVE-2025-48385 (a submodule's path runs a hook, a bundle writes any file)",
      fixed: ["2.43.7", "2.44.4", "2.45.4", "2.46.4", "2.47.3", "2.48.2", "2.49.1", "2.50.1"],
    },
  ],
  redis: [
    {
      against: "CVE-2025-49844 (a client's script runs code in the server)",
      fixed: ["6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2"],
    },
    {
      against: "CVE-2026-23479 (a blocked client runs code in the server)",
      fixed: ["7.2.14", "7.4.9", "8.2.6", "8.4.3", "8.6.3"],
      since: "7.2.0",
    },
  ],
  valkey: [
    {
      against: "CVE-2025-49844 (a client's script runs code in the server)",
      fixed: ["7.2.11", "8.0.6", "8.1.4", "9.0.0"],
    },
    {
      against: "CVE-2026-23479 (a blocked client runs code in the server)",
      fixed: ["7.2.13", "8.0.9", "8.1.7", "9.0.4"],
    },
  ],
};

/**
 * Whether a version lies under a floor. The first number of the text counts, with its `-rc.1` or `~beta2`; what a
 * distribution adds (`+dfsg1`, `-1+deb12u1`, `.el9`) does not, although it may stand for a fix.
 */
export function judge(component: Component, text: string): Verdict {
  const seen = versionIn(text);
  if (seen === undefined) return { kind: "unknown" };
  const missing = floors[component].filter((floor) => isUnder(seen, floor));
  if (missing.length === 0) return { kind: "well" };
  return { kind: "under", missing: missing.map(({ against, fixed }) => ({ against, fixed: laterThan(seen, fixed) })) };
}

interface Version {
  major: number;
  minor: number;
  patch: number;
  /** Negative before the release. */
  stage: number;
}

function isUnder(seen: Version, { fixed, since }: Floor): boolean {
  const first = since === undefined ? undefined : versionIn(since);
  if (first !== undefined && isBefore(seen, first)) return false;
  const lines = fixed.flatMap((text) => versionIn(text) ?? []);
  const floor = lines.find(({ major, minor }) => major === seen.major && minor === seen.minor) ?? lines.at(-1);
  return floor !== undefined && isBefore(seen, floor);
}

function laterThan(seen: Version, versions: readonly string[]): string[] {
  return versions.filter((text) => {
    const version = versionIn(text);
    return version !== undefined && isBefore(seen, version);
  });
}

function isBefore(one: Version, other: Version): boolean {
  const parts = ["major", "minor", "patch", "stage"] as const;
  const decisive = parts.find((part) => one[part] !== other[part]);
  return decisive !== undefined && one[decisive] < other[decisive];
}

const stages: Record<string, number> = { alpha: -3_000_000, beta: -2_000_000, rc: -1_000_000 };

function versionIn(text: string): Version | undefined {
  const found = /(\d+)\.(\d+)(?:\.(\d+))?(?:[-~.](alpha|beta|rc)[.-]?(\d*))?/.exec(text);
  if (!found) return undefined;
  const [, major, minor, patch = "0", word = "", count = "0"] = found;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    stage: (stages[word] ?? 0) + Number(count),
  };
}
