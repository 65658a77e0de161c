import { describe, expect, it } from "vitest";
import { findConfigTampering } from "../../../worker/tamper/config.ts";
import { pairsFrom } from "./support.ts";

const found = async (files: Parameters<typeof pairsFrom>[0]) =>
  findConfigTampering(await pairsFrom(files)).map(({ kind, weight, detail }) => `${weight}: ${kind}: ${detail}`);
const manifest = (value: object) => JSON.stringify({ name: "a", ...value });
const scripts = (test: string, more = {}) => manifest({ scripts: { test, ...more } });

describe("findConfigTampering", () => {
  it.each([
    ["vitest.config.ts", "export default { test: { coverage: { thresholds: { lines: 90 } } } }", "lines: 80"],
    ["jest.config.js", "module.exports = { coverageThreshold: { global: { lines: 90 } } }", "lines: 80"],
    [".nycrc", '{ "check-coverage": true, "lines": 90 }', '"lines": 80'],
    [".coveragerc", "[report]\nlines = 90\n", "lines = 80"],
    ["codecov.yml", "coverage:\n  status:\n    project:\n      lines: 90\n", "lines: 80"],
  ])("finds a threshold lowered in %s", async (path, text, lower) => {
    const lowered = text.replace(/"?lines"?\s?[:=] 90/, lower);

    expect(await found({ [path]: [text, lowered] })).toEqual([
      "block: lowered-threshold: lines was 90 and is 80",
      "advise: changed-test-config: is changed",
    ]);
    expect(await found({ [path]: [lowered, text] })).toEqual(["advise: changed-test-config: is changed"]);
  });

  it.each([
    [
      "pyproject.toml",
      "[tool.coverage.report]\nfail_under = 90\n",
      "fail_under was 90 and is 85.5",
      "fail_under = 85.5",
    ],
    ["Makefile", "test:\n\tpytest --cov-fail-under=90\n", "cov-fail-under was 90 and is gone", ""],
    ["package.json", manifest({ nyc: { branches: 90 } }), "branches was 90 and is 10", '"branches":10'],
    ["package.json", scripts("c8 --branches 90 node --test"), "branches was 90 and is 9", "--branches 9"],
    ["jest.config.js", "x = {\n  branches: 90,\n  functions: 3 }", "branches was 90 and is gone", "// branches: 90,"],
    [".nycrc.json", '{ "check-coverage": true, "x": 90 }', "check-coverage was 1 and is 0", '"check-coverage": false'],
    ["spec/spec_helper.rb", "SimpleCov.minimum_coverage 90", undefined, "minimum_coverage 9"],
    [".simplecov", "SimpleCov.start { minimum_coverage 90 }", "minimum_coverage was 90 and is 9", "minimum_coverage 9"],
  ])("reads the number in %s: %s", async (path, text, detail, now) => {
    const pattern =
      /fail_under = 90|--cov-fail-under=90|"branches":90|--branches 90|branches: 90,|"check-coverage": true|minimum_coverage 90/;
    const findings = await found({ [path]: [text, text.replace(pattern, now)] });

    expect(findings.filter((one) => one.includes("lowered"))).toEqual(
      detail === undefined ? [] : [`block: lowered-threshold: ${detail}`],
    );
  });

  it("finds a test script that does something else now, or is gone", async () => {
    expect(await found({ "package.json": [scripts("vitest run"), scripts("vitest run || true")] })).toEqual([
      "block: changed-test-script: changes the script test",
    ]);
    expect(await found({ "sub/package.json": [scripts("vitest run"), manifest({})] })).toEqual([
      "block: changed-test-script: removes the script test",
    ]);
    expect(await found({ "package.json": [scripts("a"), undefined] })).toEqual([
      "block: changed-test-script: removes the script test",
    ]);
  });

  it.each(["pretest", "test:unit", "coverage", "check", "ci"])("takes %s for a test script", async (name) => {
    const files = { "package.json": [scripts("a", { [name]: "b" }), scripts("a", { [name]: "c" })] } as const;

    expect(await found(files)).toEqual([`block: changed-test-script: changes the script ${name}`]);
  });

  it("only mentions other scripts and a test script that names one more test file", async () => {
    const [before, after] = [
      scripts("node test/a.js", { build: "tsc" }),
      scripts("node test/a.js test/b.js", { build: "" }),
    ];

    expect(await found({ "package.json": [before, after] })).toEqual([
      "advise: changed-test-config: changes the script test",
      "advise: changed-test-config: changes the script build",
    ]);
    expect(await found({ "package.json": [scripts("node a.test.js"), scripts("node b.test.js")] })).toEqual([
      "block: changed-test-script: changes the script test",
    ]);
  });

  it("has nothing against a new script, a new dependency and a new version", async () => {
    const after = scripts("a", { "test:b": "b", version: "1.0.0", devDependencies: { jest: "1" } });

    expect(await found({ "package.json": [scripts("a"), after] })).toEqual([]);
  });

  it("mentions the keys and sections of a manifest that configure tests", async () => {
    const files = {
      "a/package.json": [manifest({ jest: { testMatch: ["a"] } }), manifest({ jest: { testMatch: ["b"] } })],
      "b/pyproject.toml": ["[project]\nx = 1\n[tool.pytest.ini_options]\naddopts = ''\n", "[project]\nx = 1\n"],
      "c/Cargo.toml": ["[lib]\nname = 'x'\n", "[lib]\nname = 'x'\ntest = false\n"],
      "d/setup.cfg": ["[tool:pytest]\n", "[tool:pytest]\naddopts = --co\n"],
      "e/pyproject.toml": ["[project]\nx = 1\n[tool.pytest]\na = 1\n", "[project]\nx = 2\n[tool.pytest]\na = 1\n"],
    } as const;

    expect(await found(files)).toEqual([
      "advise: changed-test-config: changes jest",
      "advise: changed-test-config: changes what it says of tests",
      "advise: changed-test-config: changes what it says of tests",
      "advise: changed-test-config: changes what it says of tests",
    ]);
  });

  it("mentions a test configuration that is new or gone", async () => {
    expect(await found({ "vitest.config.ts": [undefined, "x"], "tox.ini": ["x", undefined] })).toEqual([
      "advise: changed-test-config: is deleted",
      "advise: changed-test-config: is new",
    ]);
  });

  it("says what it could not read", async () => {
    expect(await found({ "package.json": [scripts("a"), "{"], "tox.ini": ["x", Buffer.from("\0")] })).toEqual([
      "advise: unmeasured: its scripts were not read: it is no JSON",
      "advise: unmeasured: what it says of tests was not read",
    ]);
  });

  it("leaves manifests alone that are data of tests", async () => {
    expect(await found({ "test/fixtures/package.json": [scripts("a"), scripts("b")] })).toEqual([]);
  });
});
