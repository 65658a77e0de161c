import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packageChanges } from "../../worker/packages.ts";

type Entry = {
  version?: string;
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  optional?: boolean;
};

function npmLock(packages: Record<string, Entry>, path = "package-lock.json") {
  const entries = Object.entries(packages).map(([name, entry]) => [`node_modules/${name}`, entry]);
  return { path, text: JSON.stringify({ lockfileVersion: 3, packages: Object.fromEntries(entries) }) };
}

describe("packageChanges", () => {
  it("lists packages with install scripts first, then new and changed ones, then those that are gone", () => {
    const before = [npmLock({ ms: { version: "2.0.0" }, debug: { version: "4.3.4" }, left: { version: "1.0.0" } })];
    const after = [
      npmLock({
        ms: { version: "2.0.0" },
        debug: { version: "4.3.5" },
        zx: { version: "8.0.0", hasInstallScript: true },
        abc: { version: "1.0.0", hasInstallScript: true, optional: true },
      }),
    ];
    const path = "package-lock.json";

    expect(packageChanges(before, after)).toEqual({
      files: [path],
      packages: [
        { path, name: "zx", from: [], to: ["8.0.0"], script: true },
        { path, name: "abc", from: [], to: ["1.0.0"], script: false },
        { path, name: "debug", from: ["4.3.4"], to: ["4.3.5"], script: false },
        { path, name: "left", from: ["1.0.0"], to: [], script: false },
      ],
      more: 0,
    });
  });

  it("names the versions that differ before those that stay", () => {
    const lock = (version: string) =>
      npmLock({
        debug: { version: "2.6.9" },
        "a/node_modules/debug": { version },
        "b/node_modules/debug": { version },
      });

    expect(packageChanges([lock("4.3.4")], [lock("4.3.5")]).packages).toMatchObject([
      { name: "debug", from: ["4.3.4", "2.6.9"], to: ["4.3.5", "2.6.9"] },
    ]);
  });

  it.each([
    [
      { version: "1.0.0", integrity: "sha512-a==" },
      { version: "1.0.0", integrity: "sha512-b==" },
    ],
    [
      { version: "1.0.0", resolved: "https://a.example/x.tgz" },
      { version: "1.0.0", resolved: "https://b.example/x.tgz" },
    ],
    [
      { version: "1.0.0", integrity: "sha512-a==", resolved: "https://a.example/x.tgz" },
      { version: "1.0.0", resolved: "https://b.example/x.tgz" },
    ],
  ])("shows a version that stays and comes from elsewhere", (old, now) => {
    expect(packageChanges([npmLock({ ms: old })], [npmLock({ ms: now })]).packages).toMatchObject([
      { name: "ms", from: ["1.0.0"], to: ["1.0.0 (other source or content)"] },
    ]);
  });

  it("says nothing of the same content at another address", () => {
    const lock = (host: string) =>
      npmLock({ ms: { version: "1.0.0", integrity: "sha512-a==", resolved: `https://${host}/ms.tgz` } });

    expect(packageChanges([lock("a.example")], [lock("b.example")])).toMatchObject({
      files: ["package-lock.json"],
      packages: [],
    });
  });

  it("lists a package once where a manifest and its lock file have it", () => {
    const manifest = (dependencies: object) => ({ path: "package.json", text: JSON.stringify({ dependencies }) });
    const before = [manifest({}), npmLock({})];
    const after = [manifest({ ms: "^2.0.0", "not-locked": "*" }), npmLock({ ms: { version: "2.1.3" } })];

    const { files, packages } = packageChanges(before, after);

    expect(files).toEqual(["package-lock.json", "package.json"]);
    expect(packages).toMatchObject([
      { path: "package-lock.json", name: "ms", to: ["2.1.3"] },
      { path: "package.json", name: "not-locked", to: ["*"] },
    ]);
  });

  it("names files that are new, gone, of another format or not to be read, and no file that stays", () => {
    const same = { path: "go.mod", text: "require a v1" };
    const before = [same, { path: "bun.lockb", text: "1" }, { path: "requirements.txt", text: "x==1" }];
    const after = [same, { path: "bun.lockb", text: "2" }, { path: "package-lock.json", text: "<<<" }];

    expect(packageChanges(before, after)).toEqual({
      files: ["bun.lockb", "package-lock.json", "requirements.txt"],
      packages: [{ path: "requirements.txt", name: "x", from: ["1"], to: [], script: false }],
      more: 0,
    });
  });

  it.each([[[]], [[{ path: "package-lock.json", text: "" }]]])("takes an empty file as none: %j", (none) => {
    const lock = npmLock({ ms: { version: "2.0.0" } });

    expect(packageChanges(none, [lock]).packages).toMatchObject([{ name: "ms", from: [], to: ["2.0.0"] }]);
    expect(packageChanges([lock], none).packages).toMatchObject([{ name: "ms", from: ["2.0.0"], to: [] }]);
  });

  it("does not call every package new beside a lock file that could not be read", () => {
    const broken = { path: "package-lock.json", text: "<<<<<<< HEAD" };

    expect(packageChanges([broken], [npmLock({ ms: { version: "2.0.0" } })])).toMatchObject({
      files: ["package-lock.json"],
      packages: [],
    });
  });

  it("stays short, whatever the lock file holds, and says how many are left out", () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, { version: "1.0.0" }]));
    const versions = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`a${i}/node_modules/one`, { version: `${i}.${"0".repeat(500)}` }]),
    );

    const { packages, more } = packageChanges([], [npmLock({ ...many, ...versions })]);

    expect([packages.length, more]).toEqual([200, 4801]);
    expect(packages.find(({ name }) => name === "one")?.to).toHaveLength(5);
    expect(JSON.stringify(packages).length).toBeLessThan(100_000);
  });

  it("finds no change between equal files, and never throws", () => {
    const file = fc.record({
      path: fc.constantFrom(
        "package-lock.json",
        "package.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "uv.lock",
        "go.mod",
        "x",
      ),
      text: fc.oneof(fc.string(), fc.json()),
    });
    fc.assert(
      fc.property(fc.array(file), fc.array(file), (before, after) => {
        const { packages, more } = packageChanges(before, after);
        for (const { from, to } of packages) expect(from.length + to.length).toBeGreaterThan(0);
        expect(more).toBe(0);
        expect(packageChanges(before, before)).toEqual({ files: [], packages: [], more: 0 });
      }),
    );
  });
});
