import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import type { Trees } from "../../sandbox/trees.ts";
import type { CheckSummary } from "../../src/runlog.ts";
import { readTests } from "../../worker/reports/kept.ts";
import { debianImage } from "../sandbox/images.ts";
import { testEngine } from "../sandbox/support.ts";
import { createStage, expectNothingLeft, legOf } from "./support/local.ts";
import type { Stage } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

/** The runners of the npm registry, installed on this machine as a repository's set-up would. */
let packages: string;
let debian: string;
beforeAll(() => {
  debian = debianImage(["golang-go", "cmake"]);
  packages = mkdtempSync(join(tmpdir(), "agent-fix-runners-"));
  chmodSync(packages, 0o755);
  const devDependencies = { jest: "30.5.2", mocha: "11.7.5", tape: "5.10.2", vitest: "3.2.4" };
  writeFileSync(join(packages, "package.json"), JSON.stringify({ devDependencies }));
  const options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  execFileSync("npm", ["install", ...options], { cwd: packages, stdio: "pipe" });
}, 900_000);
afterAll(() => rmSync(packages, { recursive: true, force: true }));

/** What each of a check's tests came to, by its name, and by its file where the runner tells that. */
function resultsOf(stage: Stage, check: CheckSummary | undefined): Record<string, string> {
  const tests = (check && readTests(stage.dir, check)) ?? [];
  return Object.fromEntries(
    tests.map(({ name, file, status }) => [file === undefined ? name : `${file}: ${name}`, status]),
  );
}

const describeBlock = (it: string) =>
  `describe("sum", () => { ${it}("adds", () => {}); ${it}("fails", () => { throw new Error("one and two"); }); ${it}.skip("waits", () => {}); });\n`;
const files = {
  ".gitignore": "node_modules\n",
  "package.json": JSON.stringify({ scripts: { test: "node --test unit/*.js", jest: "jest jest" } }),
  "unit/a.js": `const { describe, it } = require("node:test");\n${describeBlock("it")}`,
  "vitest/a.test.js": `import { describe, it } from "vitest";\n${describeBlock("it")}`,
  "jest/a.test.js": describeBlock("it"),
  "mocha/a.js": describeBlock("it"),
  "tape/a.js": `const test = require("tape");
test("adds", (t) => { t.equal(1, 1); t.equal(2, 2); t.end(); });
test("fails", (t) => { t.equal(1, 2, "one and two"); t.end(); });
test("waits", (t) => { t.ok(false, "not yet", { skip: true }); t.end(); });
`,
  "tests/test_sum.py": `import pytest
class TestSum:
    def test_adds(self): pass
    def test_fails(self): assert 1 == 2, "one and two"
    @pytest.mark.skip(reason="later")
    def test_waits(self): pass
`,
};
const setup = "cp -r /packages/node_modules .";
const from = () => [{ hostDir: packages, at: "/packages", readOnly: true as const }];
const three = (file: string, prefix = "sum > ") => ({
  [`${file}: ${prefix}adds`]: "passed",
  [`${file}: ${prefix}fails`]: "failed",
  [`${file}: ${prefix}waits`]: "skipped",
});

describe("a check's results per test", () => {
  it("are those of the runner: one that passes, one that fails, one that is skipped, each by its name", async () => {
    await using stage = await createStage(engine, files, setup, { mounts: from() });
    const expected: Record<string, Record<string, string>> = {
      "npm test": three("unit/a.js"),
      "npx vitest run vitest": three("vitest/a.test.js"),
      "npm run jest": three("jest/a.test.js"),
      "npx mocha mocha": three("mocha/a.js"),
      "npx tape tape/a.js": { adds: "passed", fails: "failed", waits: "skipped" },
      "python3 -m pytest -q": {
        "tests/test_sum.py: tests.test_sum.TestSum > test_adds": "passed",
        "tests/test_sum.py: tests.test_sum.TestSum > test_fails": "failed",
        "tests/test_sum.py: tests.test_sum.TestSum > test_waits": "skipped",
      },
    };

    const checks = await legOf(stage, stage.base, Object.keys(expected));

    expect(Object.fromEntries(checks.map((check) => [check.run, resultsOf(stage, check)]))).toEqual(expected);
    expect(checks.map(({ tests, byExitCode }) => ({ ...tests, byExitCode }))).toMatchObject(
      checks.map(() => ({ passed: 1, failed: 1, skipped: 1, byExitCode: undefined })),
    );
    expect(checks.map(({ passed, tail }) => passed || !tail.includes("one and two"))).toEqual(checks.map(() => false));
  });

  it("are those of Debian's go and ctest; what has no report is judged by its exit code, and says so", async () => {
    const tests = ["adds COMMAND true", "fails COMMAND false", "waits COMMAND true"];
    await using stage = await createStage(engine, {
      ".gitignore": "build\n",
      Makefile: "check:\n\t@echo checked\n",
      "CMakeLists.txt": `cmake_minimum_required(VERSION 3.20)\nproject(sum NONE)\nenable_testing()
${tests.map((test) => `add_test(NAME ${test})`).join("\n")}\nset_tests_properties(waits PROPERTIES DISABLED true)\n`,
      "go.mod": "module example.com/sum\n\ngo 1.19\n",
      "sum_test.go": `package sum\n\nimport "testing"\n
func TestAdds(t *testing.T) {}
func TestFails(t *testing.T) { t.Run("by one", func(t *testing.T) { t.Fatal("one and two") }) }
func TestWaits(t *testing.T) { t.Skip("later") }
`,
    });
    const prepare = ["cmake -S . -B build >/dev/null"];

    const [go, ctest, make, unbuilt] = await legOf(
      stage,
      stage.base,
      ["go test ./...", "cd build && ctest", "make check", "go test ./none"],
      { prepare, image: debian },
    );

    expect(resultsOf(stage, go)).toEqual({
      "example.com/sum > TestAdds": "passed",
      "example.com/sum > TestFails": "failed",
      "example.com/sum > TestFails > by_one": "failed",
      "example.com/sum > TestWaits": "skipped",
    });
    expect(go).toMatchObject({ passed: false, tail: expect.stringMatching(/--- FAIL: TestFails/) });
    expect(resultsOf(stage, ctest)).toEqual({ adds: "passed", fails: "failed", waits: "skipped" });
    expect(make).toMatchObject({
      passed: true,
      tail: "checked\n",
      byExitCode: "make check is no runner whose report is known",
    });
    expect(unbuilt).toMatchObject({ passed: false, byExitCode: "its report has no tests" });
  });

  it.each<Trees>(["overlay", "copy"])("come out of the file that the check itself names (%s)", async (trees) => {
    engine = testEngine({ trees });
    await using stage = await createStage(engine, {
      "out/junit.xml": '<testsuite><testcase name="old"/></testsuite>',
      "write.sh": `mkdir -p out; echo '<testsuite name="s"><testcase name="new"/></testsuite>' >out/junit.xml\n`,
    });
    const report = "out/junit.xml";

    const [written, left, linked] = await legOf(stage, stage.base, [
      { run: "sh write.sh", required: true, report },
      { run: "true", required: true, report },
      { run: "sh write.sh; mv out/junit.xml $HOME/x; ln -s $HOME/x out/junit.xml", required: true, report },
    ]);

    expect(resultsOf(stage, written)).toEqual({ "s > new": "passed" });
    expect([left, linked]).toMatchObject([
      { passed: true, byExitCode: "it left no report" },
      { passed: true, byExitCode: "it left no report" },
    ]);
  });

  it("are read out by a helper where the engine's volumes are out of sight", async () => {
    await using stage = await createStage(engine, files);
    const elsewhere: Engine = {
      ...engine,
      createVolume: async (...args) => ({ ...(await engine.createVolume(...args)), mountpoint: "/nowhere/_data" }),
      trees: async () => "copy",
    };

    const [check, missing] = await legOf(
      stage,
      stage.base,
      ["node --test unit/*.js", { run: "true", required: true, report: "none" }],
      {
        engine: elsewhere,
      },
    );

    expect(resultsOf(stage, check)).toEqual(three("unit/a.js"));
    expect(missing).toMatchObject({ byExitCode: "it left no report" });
  });

  it("make no check pass: a report that says so stands beside an exit code that says otherwise", async () => {
    const forge = `echo '<testsuite><testcase name="forged"/></testsuite>'`;
    await using stage = await createStage(engine, { "forge.sh": `${forge} >all.xml; exit 1\n` });

    const [named] = await legOf(stage, stage.base, [{ run: "sh forge.sh", required: true, report: "all.xml" }]);

    expect(named).toMatchObject({ passed: false, end: "exit code 1", tests: { passed: 1, failed: 0 } });
  });

  it("are not had at the price of a check: one whose runner knows no reporter runs again by itself", async () => {
    const old = `#!/bin/sh\nfor word; do case $word in --json) echo "unknown option"; exit 9;; esac; done; echo ran\n`;
    await using stage = await createStage(
      engine,
      { jest: old, ".gitignore": "node_modules\n" },
      "chmod +x jest; cp jest $HOME/",
    );

    const [green] = await legOf(stage, stage.base, ["/workspace/home/jest"]);

    expect(green).toMatchObject({ passed: true, end: "passed", tail: "ran\n", byExitCode: "it left no report" });
  });
});

describe("a check that does not end", () => {
  it.each([
    ["writes nothing", "echo begun; sleep 600", { idleMs: 2_000 }, "stopped: no output for 2 seconds"],
    [
      "goes on and on",
      "while echo on; do sleep 0.2; done",
      { totalMs: 3_000 },
      "stopped at its time limit of 3 seconds",
    ],
    ["floods its output", "yes", { outputBytes: 2 ** 20 }, "stopped: it wrote more than 1 MB"],
  ])("is ended with all its processes when it %s, and says so", async (_what, run, more, end) => {
    await using stage = await createStage(engine, files);
    const limits = { totalMs: 60_000, idleMs: 60_000, outputBytes: 2 ** 30, ...more };

    const [check] = await legOf(stage, stage.base, [run], { limits });

    expect(check).toMatchObject({ passed: false, end });
  });
});
