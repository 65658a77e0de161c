import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { evidenceFile, openRunLog } from "../../src/runlog.ts";
import type { RunEvent, RunLog } from "../../src/runlog.ts";
import { evidenceJsonSchema, keepEvidence } from "../../worker/evidence.ts";
import type { Evidence } from "../../worker/evidence.ts";
import { keepTests } from "../../worker/reports/kept.ts";
import type { TestResult } from "../../worker/reports/results.ts";
import type { Bite } from "../../worker/verdict.ts";
import { recordOf } from "../../worker/verdict.ts";
import { checkOf, dataFolder, job, passedWith, verdictOn } from "./support.ts";

const published = readFileSync(new URL("../../worker/evidence.schema.json", import.meta.url), "utf8");

const start: RunEvent[] = [
  { type: "claimed", epoch: 1, job },
  { type: "base", branch: "main", commit: "a".repeat(40) },
  {
    type: "environment",
    image: "node:24",
    digest: `sha256:${"b".repeat(64)}`,
    setup: [],
    checks: ["npm test"],
    from: "npm",
  },
  { type: "attempt", round: 0, model: "qwen" },
  { type: "agent.end", end: "submitted" },
];

/** The log of a run whose only check has these tests on the base, on the change and for the bite. */
async function judgedRun(log: RunLog, results: TestResult[], bite: Bite = { kind: "no-test" }) {
  const check = (leg: string, passed: boolean) =>
    checkOf("npm test", passed, { tests: keepTests(log.dir, `tests/${leg}.json`, { tests: results }) });
  const checks = { base: [check("base", false)], head: [check("head", false)] };
  const verdict = verdictOn(checks.base, checks.head, {
    bite,
    findings: [{ kind: "unmeasured", path: "a.bin", detail: "is no text", weight: "advise" }],
  });
  const passed = passedWith({ checks, verdict });
  for (const event of start) await log.append(event);
  await log.append({ type: "checks", leg: "bite", results: [check("bite", false)] });
  await log.append({ type: "gate", round: 0, passed: true, reason: "", ...passed, verdict: recordOf(verdict) });
  return passed;
}

function read(log: RunLog): Evidence {
  return JSON.parse(readFileSync(join(log.dir, evidenceFile), "utf8")) as Evidence;
}

function problemsIn(evidence: Evidence) {
  const ajv = new Ajv2020();
  formats.default(ajv);
  const validate = ajv.compile(JSON.parse(published) as object);
  return validate(evidence) ? [] : validate.errors;
}

const tests: TestResult[] = [
  { name: "a", file: "a.test.js", status: "passed" },
  { name: "b", status: "failed", message: "1 is not 2" },
];

describe("keepEvidence", () => {
  it("writes what the verdict rests on: commits, image, times, and each check with its results per test", async () => {
    using data = dataFolder();
    const log = openRunLog(data.path, "run-1");
    const passed = await judgedRun(log, tests, { kind: "bites", failing: ["b"], of: 2 });

    keepEvidence(log, passed);

    const result = { passed: 1, failed: 1, skipped: 0, results: [tests[1], tests[0]] };
    expect(read(log)).toMatchObject({
      version: 1,
      run: "run-1",
      repository: "o/r",
      model: "qwen",
      commits: { base: "a".repeat(40), change: "c".repeat(40), tree: "d".repeat(40) },
      image: { name: "node:24", digest: `sha256:${"b".repeat(64)}` },
      decision: "ready",
      checks: [
        {
          run: "npm test",
          required: true,
          word: "known-red",
          base: { end: "exit code 1", passed: false, tests: result },
          change: { end: "exit code 1", passed: false, tests: result },
          bite: { end: "exit code 1", tests: result },
        },
      ],
      bite: { kind: "bites", failing: ["b"], of: 2 },
      findings: [{ kind: "unmeasured", path: "a.bin" }],
      claim: "with-tests",
    });
    expect(problemsIn(read(log))).toEqual([]);
    log.close();
  });

  it("names the published commit once there is one, and takes the bite of an earlier round for nobody's", async () => {
    using data = dataFolder();
    const log = openRunLog(data.path, "run-1");
    const passed = await judgedRun(log, tests);
    await log.append({ type: "agent.end", end: "submitted" });
    await log.append({ type: "publish.done", step: "commit", value: "e".repeat(40) });

    keepEvidence(log, passed);

    expect(read(log).commits.published).toBe("e".repeat(40));
    expect(read(log).checks[0]?.bite).toBeUndefined();
    expect(problemsIn(read(log))).toEqual([]);
    log.close();
  });

  it("keeps 5,000 results of a check, those that failed before all others", async () => {
    using data = dataFolder();
    const log = openRunLog(data.path, "run-1");
    const many = Array.from({ length: 6000 }, (_, i): TestResult => ({ name: `${i}`, status: "passed" }));
    const passed = await judgedRun(log, [...many, { name: "last", status: "failed" }]);

    keepEvidence(log, passed);

    const kept = read(log).checks[0]?.change.tests;
    expect([kept?.passed, kept?.results.length, kept?.results[0]?.name]).toEqual([6000, 5000, "last"]);
    log.close();
  });

  it.each<Bite>([
    { kind: "bites", failing: ["x"] },
    { kind: "green-on-base", tests: ["x"] },
    { kind: "nothing", why: "it is documentation" },
    { kind: "no-test" },
    { kind: "not-measured", why: "no check ran its tests" },
  ])("fits its published schema with %j", async (bite) => {
    using data = dataFolder();
    const log = openRunLog(data.path, "run-1");

    keepEvidence(log, await judgedRun(log, tests, bite));

    expect(problemsIn(read(log))).toEqual([]);
    log.close();
  });
});

describe("the published schema", () => {
  it("is that of the code", () => {
    expect(JSON.parse(published)).toEqual(evidenceJsonSchema());
  });

  it("refuses what is no evidence", async () => {
    using data = dataFolder();
    const log = openRunLog(data.path, "run-1");
    keepEvidence(log, await judgedRun(log, tests));

    const { decision: _, ...without } = read(log);
    expect(problemsIn(without as Evidence)).not.toEqual([]);
    expect(problemsIn({ ...read(log), claim: 1 } as unknown as Evidence)).not.toEqual([]);
    log.close();
  });
});
