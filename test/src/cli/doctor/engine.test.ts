import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import type { EngineFacts } from "../../../../sandbox/facts.ts";
import { examineEngine, imageAge, readMounts } from "../../../../src/cli/doctor/engine.ts";

const plain: EngineFacts = {
  version: "29.5.1",
  apiVersion: "1.54",
  operatingSystem: "Debian GNU/Linux 13 (trixie)",
  kernel: "6.12.85+deb13-amd64",
  components: new Map(),
  runtimes: ["runc"],
  storageDriver: "overlay2",
  backingFilesystem: "extfs",
  rootDir: "/var/lib/docker",
  cgroupVersion: "2",
  security: ["apparmor", "seccomp", "cgroupns"],
  unlimited: [],
  liveRestore: false,
};

/** The root on ext4 and, when named, xfs with these options below /var/lib. */
function mounts(xfs?: string): string {
  const root = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro";
  if (xfs === undefined) return `${root}\n`;
  return `${root}\n31 22 254:16 / /var/lib rw,relatime shared:9 - xfs /dev/vdb ${xfs}\n`;
}

function seen(part: string, facts: Partial<EngineFacts>, mountText?: string) {
  return examineEngine({ ...plain, ...facts }, mountText).find((finding) => finding.part === part);
}

describe("each part of an engine", () => {
  it.each<[part: string, facts: Partial<EngineFacts>, level: string, saw: RegExp]>([
    ["storage", {}, "ok", /^overlay2 on extfs$/],
    ["storage", { storageDriver: "overlayfs", backingFilesystem: "" }, "ok", /^overlayfs$/],
    ["storage", { storageDriver: "vfs" }, "warn", /whole copy/],
    ["storage", { storageDriver: "devicemapper", backingFilesystem: "xfs" }, "warn", /devicemapper on xfs.*slower/],
    ["seccomp", {}, "ok", /^seccomp and apparmor$/],
    ["seccomp", { security: ["selinux", "seccomp"] }, "ok", /^seccomp and selinux$/],
    ["seccomp", { security: ["apparmor"] }, "bad", /refuses our containers/],
    ["cgroup", {}, "ok", /^version 2: memory, CPUs and processes/],
    ["cgroup", { cgroupVersion: "1" }, "ok", /^version 1/],
    ["cgroup", { unlimited: ["swap"] }, "warn", /limit for swap/],
    ["cgroup", { unlimited: ["swap", "pids"] }, "bad", /limit for swap, pids/],
    ["users", {}, "ok", /user 1000 of the host/],
    ["users", { security: ["seccomp", "rootless"] }, "ok", /^rootless/],
    ["users", { security: ["seccomp", "userns"] }, "ok", /^user namespaces/],
    ["live-restore", {}, "ok", /^off/],
    ["live-restore", { liveRestore: true }, "ok", /^on/],
  ])("%s with %j is %s", (part, facts, level, saw) => {
    expect(seen(part, facts)).toMatchObject({ level, saw: expect.stringMatching(saw) });
  });
});

describe("the quota", () => {
  const xfs = { backingFilesystem: "xfs" };
  it.each<[what: string, facts: Partial<EngineFacts>, mounts: string | undefined, saw: RegExp]>([
    ["there on xfs with pquota", xfs, mounts("rw,attr2,inode64,prjquota"), /with pquota, which .* watched/],
    ["not there on xfs without it", xfs, mounts("rw,attr2,inode64,noquota"), /^none .*mounted without pquota.*watched/],
    ["not there on ext4", {}, mounts(), /^none \(overlay2 on extfs\).*watched/],
    ["not there with another driver", { ...xfs, storageDriver: "vfs" }, mounts("rw,prjquota"), /^none \(vfs on xfs\)/],
    ["not seen on another machine", xfs, mounts(), /^not to be seen from here/],
    ["not seen without a list of mounts", xfs, undefined, /^not to be seen from here/],
  ])("is %s", (_what, facts, text, saw) => {
    expect(seen("quota", facts, text)).toMatchObject({ level: "ok", saw: expect.stringMatching(saw) });
  });

  it("belongs to the mount that the engine's folder lies on, and not to its neighbour's", () => {
    const text = mounts("rw,prjquota").replace(" /var/lib ", " /var/lib/dock ");

    expect(seen("quota", xfs, text)?.saw).toMatch(/^not to be seen from here/);
  });

  it("is looked for in this machine's own list of mounts", async () => {
    expect(await readMounts()).toBe(readFileSync("/proc/self/mountinfo", "utf8"));
  });
});

test("without an engine, nothing is known of it and nothing is bad", () => {
  const findings = examineEngine(undefined, mounts());

  expect(findings.map(({ part }) => part)).toEqual(["storage", "quota", "seccomp", "cgroup", "users", "live-restore"]);
  for (const { level, saw } of findings) expect([level, saw]).toEqual(["warn", expect.stringMatching(/^not known/)]);
});

test("an image is old after 30 days, and the remedy is to rebuild it", () => {
  const now = new Date("2026-11-24T12:00:00Z");
  const age = (created?: string) => imageAge("img", created === undefined ? undefined : new Date(created), now);

  expect(age("2026-11-24T11:00:00Z")).toEqual({ level: "ok", saw: "img was built 0 days ago" });
  expect(age("2026-11-25T11:00:00Z")).toEqual({ level: "ok", saw: "img was built 0 days ago" });
  expect(age("2026-11-23T11:00:00Z")).toEqual({ level: "ok", saw: "img was built 1 day ago" });
  expect(age("2026-10-25T11:00:00Z")).toMatchObject({ level: "ok" });
  expect(age("2026-10-24T11:00:00Z")).toMatchObject({
    level: "warn",
    saw: expect.stringMatching(/^img was built 31 days ago/),
    remedy: expect.stringContaining("Rebuild it"),
  });
  expect(age()).toEqual({ level: "ok", saw: "img does not say when it was built" });
});
