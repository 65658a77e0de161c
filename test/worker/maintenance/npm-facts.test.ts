import { describe, expect, it } from "vitest";
import { directPackages, mostLock, readAudit, readFacts, readRecords } from "../../../worker/maintenance/npm-facts.ts";

const lock = (packages: object) => JSON.stringify({ name: "it", lockfileVersion: 3, packages });

describe("directPackages", () => {
  it("takes those of the manifests that are wanted, 200 at most, and none of a lock file that is too large", () => {
    const names = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, "^1.0.0"]));
    const manifest = JSON.stringify({ dependencies: names(300) });
    const versions = Object.keys(names(300)).map((name) => [`node_modules/${name}`, { version: "1.0.0" }]);
    const packages = { ...Object.fromEntries(versions), web: { dependencies: names(2) } };
    const locked = JSON.stringify({ packages });

    const web = directPackages(manifest, locked, (path) => path === "web/package.json");

    expect(web.map(({ name, folder }) => `${folder}/${name}`)).toEqual(["web/p0", "web/p1"]);
    expect(directPackages(manifest, locked)).toHaveLength(200);
    expect(directPackages(manifest, `${locked}${" ".repeat(mostLock)}`)).toEqual([]);
  });

  it("takes what the manifest names, at the version of the lock file, from whichever list", () => {
    const manifest = JSON.stringify({
      dependencies: { b: "^1.0.0" },
      devDependencies: { a: "2.0.0" },
      optionalDependencies: { "@o/c": "~3.0.0" },
      peerDependencies: { peer: "*" },
    });
    const locked = lock({
      "": {},
      "node_modules/a": { version: "2.0.0" },
      "node_modules/b": { version: "1.4.0" },
      "node_modules/@o/c": { version: "3.0.1" },
      "node_modules/deep": { version: "9.0.0" },
      "node_modules/peer": { version: "1.0.0" },
    });

    expect(directPackages(manifest, locked)).toEqual([
      { name: "@o/c", folder: "", range: "~3.0.0", current: "3.0.1" },
      { name: "a", folder: "", range: "2.0.0", current: "2.0.0" },
      { name: "b", folder: "", range: "^1.0.0", current: "1.4.0" },
    ]);
  });

  it("leaves out what comes from elsewhere, what is not locked, and names that npm would not take", () => {
    const elsewhere = {
      git: "github:a/b",
      url: "https://a.example/b.tgz",
      alias: "npm:c@1",
      own: "workspace:*",
      path: "file:d",
    };
    const odd = { "-g": "1.0.0", "a b": "1.0.0", "$(id)": "1.0.0", "../up": "1.0.0", "--help": "1.0.0" };
    const manifest = JSON.stringify({ dependencies: { ...elsewhere, ...odd, gone: "1.0.0", good: "1.0.0" } });
    const names = Object.keys({ ...elsewhere, ...odd, good: "" });
    const locked = lock(Object.fromEntries(names.map((name) => [`node_modules/${name}`, { version: "1.0.0" }])));

    expect(directPackages(manifest, locked).map(({ name }) => name)).toEqual(["good"]);
  });

  it("takes those of workspaces as well, each at the version that its folder sees", () => {
    const locked = lock({
      "": { workspaces: ["packages/*"] },
      "node_modules/a": { version: "2.0.0" },
      "node_modules/x": { resolved: "packages/x", link: true },
      "packages/x": { version: "1.0.0", dependencies: { a: "^1.0.0" }, devDependencies: { b: "^3.0.0" } },
      "packages/x/node_modules/a": { version: "1.2.0" },
      "node_modules/b": { version: "3.1.0" },
      "packages/$(id)": { dependencies: { b: "^3.0.0" } },
    });

    expect(directPackages(JSON.stringify({ dependencies: { a: "^2.0.0", x: "*" } }), locked)).toEqual([
      { name: "a", folder: "", range: "^2.0.0", current: "2.0.0" },
      { name: "a", folder: "packages/x", range: "^1.0.0", current: "1.2.0" },
      { name: "b", folder: "packages/x", range: "^3.0.0", current: "3.1.0" },
    ]);
  });

  it("reads the lock files of older npm versions", () => {
    const locked = JSON.stringify({ lockfileVersion: 1, dependencies: { a: { version: "1.2.0" } } });

    expect(directPackages('{"dependencies":{"a":"^1.0.0"}}', locked)).toMatchObject([{ name: "a", current: "1.2.0" }]);
  });

  it.each(["", "[]", "null", "{", '{"dependencies": 7}', '{"packages": []}'])("finds nothing in %j", (text) => {
    expect(directPackages(text, text)).toEqual([]);
    expect(directPackages('{"dependencies":{"a":"1.0.0"}}', text)).toEqual([]);
  });
});

describe("readFacts", () => {
  const direct = [{ name: "a", folder: "", range: "^1.0.0", current: "1.0.0" }];
  const factsOf = (text: string) =>
    readFacts(readRecords(Buffer.from(`a\0${text}\0audit\0{}\0`)), direct, ({ name }) => name).published.get("a");

  it("takes what npm tells of one version and of many", () => {
    expect(factsOf('{"name":"a","version":"1.0.0","dist-tags.latest":"1.0.0","deprecated":"use b"}')).toEqual({
      latest: "1.0.0",
      versions: [{ version: "1.0.0", deprecated: "use b" }],
    });
    expect(
      factsOf(
        '[{"version":"1.0.0","dist-tags.latest":"1.1.0"},{"version":"1.1.0","dist-tags.latest":"1.1.0","deprecated":""}]',
      ),
    ).toEqual({ latest: "1.1.0", versions: [{ version: "1.0.0" }, { version: "1.1.0" }] });
  });

  it.each([
    '{"error":{"code":"E404","summary":"No match found"}}',
    "",
    "npm error",
    "[]",
    '{"version":7,"dist-tags.latest":"1.0.0"}',
    `{"version":"${"1".repeat(500)}","dist-tags.latest":"1.0.0"}`,
  ])("is told nothing by %.60s", (text) => {
    expect(factsOf(text)).toBeUndefined();
  });

  it("does not take a record for another's, whatever stands in it", () => {
    const records = readRecords(Buffer.from('a\0{"x":"audit"}\0audit\0{"vulnerabilities":{}}\0cut'));

    expect([...records]).toEqual([
      ["a", '{"x":"audit"}'],
      ["audit", '{"vulnerabilities":{}}'],
    ]);
  });
});

describe("readAudit", () => {
  it("names the advisories on a package itself, and none that it has from what it needs", () => {
    const advisory = { source: 1, name: "a", title: "Prototype pollution", severity: "high", range: "<1.2.0", url: "" };
    const vulnerabilities = {
      a: { name: "a", severity: "high", isDirect: true, via: [advisory, "c"], range: "<1.2.0", fixAvailable: true },
      b: { name: "b", severity: "high", isDirect: true, via: ["a"], range: "*", fixAvailable: false },
    };

    const found = readAudit(JSON.stringify({ auditReportVersion: 2, vulnerabilities, metadata: {} }));

    expect(found && [...found]).toEqual([
      ["a", ["high: Prototype pollution"]],
      ["b", []],
    ]);
  });

  it("knows an answer without vulnerabilities from none", () => {
    expect(readAudit('{"auditReportVersion":2,"vulnerabilities":{}}')?.size).toBe(0);
    expect(readAudit('{"message":"405 Method Not Allowed","error":{"summary":"","detail":""}}')).toBeUndefined();
    expect(readAudit("")).toBeUndefined();
  });
});
