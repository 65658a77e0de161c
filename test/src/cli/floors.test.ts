import { assert, integer, property, tuple } from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type Component, judge } from "../../../src/cli/floors.ts";

/** The faults that a version has, by their first names; undefined: no version was told. */
function faults(component: Component, version: string): string[] | undefined {
  const verdict = judge(component, version);
  if (verdict.kind === "unknown") return undefined;
  return verdict.kind === "well" ? [] : verdict.missing.map(({ against }) => against.split(/[ ,]/, 1)[0] ?? "");
}

const dns = "CVE-2024-29018";
const copyFail = "CVE-2026-31431";
const [leak, masks, dev] = ["CVE-2024-21626", "CVE-2025-31133", "CVE-2026-41579"];
const [clone, submodule] = ["CVE-2024-32002", "CVE-2025-48384"];
const [script, blocked] = ["CVE-2025-49844", "CVE-2026-23479"];

const table: [component: Component, version: string, faults: string[] | undefined][] = [
  ["engine", "20.10.24+dfsg1", [dns]],
  ["engine", "19.03.12-ce", [dns]],
  ["engine", "23.0.10", [dns]],
  ["engine", "23.0.11", []],
  ["engine", "24.0.9-1", [dns]],
  ["engine", "25.0.5", []],
  ["engine", "26.0.0-rc.2", [dns]],
  ["engine", "26.1.5+dfsg1", []],
  ["engine", "29.5.1", []],
  ["runc", "1.1.5+ds1-1+deb12u1", [leak, masks, dev]],
  ["runc", "1.1.12", [masks, dev]],
  ["runc", "1.1.12-0ubuntu3.1", [masks, dev]],
  ["runc", "1.2.7", [masks, dev]],
  ["runc", "1.2.8", [dev]],
  ["runc", "1.3.3", [dev]],
  ["runc", "1.3.6", []],
  ["runc", "1.4.0-rc.2", [masks, dev]],
  ["runc", "1.4.0~rc.2+ds1", [masks, dev]],
  ["runc", "1.4.0-rc.3", [dev]],
  ["runc", "1.4.3", []],
  ["runc", "1.5.0-rc.2", [dev]],
  ["runc", "1.5.0-rc.3", []],
  ["runc", "1.5.0", []],
  ["containerd", "1.6.20~ds1-1+deb12u3", ["CVE-2024-25621"]],
  ["containerd", "v1.7.28", ["CVE-2024-25621"]],
  ["containerd", "v1.7.29", []],
  ["containerd", "2.0.6", ["CVE-2024-25621"]],
  ["containerd", "v2.2.0-rc.1", ["CVE-2024-25621"]],
  ["containerd", "v2.2.5", []],
  ["kernel", "6.18.44-fc-v782", []],
  ["kernel", "6.18.21", [copyFail]],
  ["kernel", "6.1.170-3", []],
  ["kernel", "6.1.0-49-amd64", [copyFail]],
  ["kernel", "6.8.0-110-generic", [copyFail]],
  ["kernel", "5.14.0-503.el9.x86_64", [copyFail]],
  ["kernel", "6.12.85+deb13-amd64", []],
  ["kernel", "6.6.87.2-microsoft-standard-WSL2", [copyFail]],
  ["kernel", "4.9.337", []],
  ["kernel", "7.0.0-rc7", [copyFail]],
  ["kernel", "7.0.0", []],
  ["kernel", "7.1", []],
  ["git", "2.34.1", [clone, submodule]],
  ["git", "2.39.5", [submodule]],
  ["git", "2.39.5 (Apple Git-154)", [submodule]],
  ["git", "2.43.0", [clone, submodule]],
  ["git", "2.43.6", [submodule]],
  ["git", "2.43.7", []],
  ["git", "2.44.4", []],
  ["git", "2.45.3", [submodule]],
  ["git", "2.45.4", []],
  ["git", "2.46.4", []],
  ["git", "2.47.2", [submodule]],
  ["git", "2.47.3", []],
  ["git", "2.48.2", []],
  ["git", "2.49.0", [submodule]],
  ["git", "2.49.1", []],
  ["git", "2.50.0.rc1", [submodule]],
  ["git", "2.50.0", [submodule]],
  ["git", "2.50.1.windows.1", []],
  ["git", "2.51.0", []],
  ["redis", "6.2.19", [script]],
  ["redis", "6.2.20", []],
  ["redis", "7.0.15", [script]],
  ["redis", "7.2.10", [script, blocked]],
  ["redis", "7.2.11", [blocked]],
  ["redis", "7.2.14", []],
  ["redis", "7.4.9", []],
  ["redis", "8.0.4", [blocked]],
  ["redis", "8.2.6", []],
  ["redis", "8.4.2", [blocked]],
  ["redis", "8.6.3", []],
  ["redis", "8.8.0", []],
  ["valkey", "7.2.11", [blocked]],
  ["valkey", "8.1.3", [script, blocked]],
  ["valkey", "8.1.7", []],
  ["valkey", "9.1.1", []],
  ["engine", "", undefined],
  ["git", "unknown", undefined],
  ["runc", "main", undefined],
];

describe("a version and the faults that its number does not exclude", () => {
  it.each(table)("%s %s: %j", (component, version, expected) => {
    expect(faults(component, version)).toEqual(expected);
  });
});

test.each<[component: Component, version: string, fixed: string[][]]>([
  ["git", "2.48.0", [["2.48.2", "2.49.1", "2.50.1"]]],
  ["redis", "7.0.15", [["7.2.11", "7.4.6", "8.0.4", "8.2.2"]]],
  ["runc", "1.4.0-rc.2", [["1.4.0-rc.3"], ["1.4.3", "1.5.0-rc.3"]]],
])("the fixes named for %s %s are those of its own line and of later ones", (component, version, fixed) => {
  expect(judge(component, version)).toMatchObject({ kind: "under", missing: fixed.map((each) => ({ fixed: each })) });
});

const components: Component[] = ["engine", "runc", "containerd", "kernel", "git", "redis", "valkey"];

test.each(components)("what a distribution adds to a release of %s changes no verdict", (component) => {
  const numbers = tuple(integer({ min: 0, max: 30 }), integer({ min: 0, max: 50 }), integer({ min: 0, max: 300 }));
  assert(
    property(numbers, ([major, minor, patch]) => {
      const version = `${major}.${minor}.${patch}`;
      for (const suffix of ["+dfsg1", "+ds1-1+deb12u1", "~ds1", "-1ubuntu3.2", "-49-amd64", ".el9"])
        expect(judge(component, version + suffix)).toEqual(judge(component, version));
    }),
  );
});

test.each(components)("a later release of a line of %s has no fault that an earlier one had not", (component) => {
  const numbers = tuple(integer({ min: 0, max: 30 }), integer({ min: 0, max: 50 }), integer({ min: 0, max: 300 }));
  assert(
    property(numbers, ([major, minor, patch]) => {
      const before = faults(component, `${major}.${minor}.${patch}`) ?? [];
      const after = faults(component, `${major}.${minor}.${patch + 1}`) ?? [];
      expect(before).toEqual(expect.arrayContaining(after));
    }),
  );
});
