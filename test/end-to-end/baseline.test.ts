import { mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { createBaselines, measureBaseline, startBaseline } from "../../worker/baseline.ts";
import type { Baseline } from "../../worker/baseline.ts";
import { testEngine } from "../sandbox/support.ts";
import { counting, createStage, expectNothingLeft, legAt } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

const nobody = new Proxy({} as Engine, {
  get: () => {
    throw new Error("the engine was asked");
  },
});

function foldersOf(dataDir: string): string[] {
  return readdirSync(join(dataDir, "baselines"));
}

const files = {
  "test/a.test.js": `const { test } = require("node:test");
test("adds", () => {});
test("was broken before", () => { throw new Error("as always"); });
`,
  "package.json": "{}",
};
const suite = "node --test test/a.test.js";

it("tells what fails, and measures once what the same commit, image and commands say", async () => {
  await using stage = await createStage(engine, files);
  const baselines = createBaselines(join(stage.folder, "data"));
  const leg = legAt(stage, stage.base, [suite, "true"]);
  const told: Baseline[] = [];
  const onMeasured = async (baseline: Baseline) => void told.push(baseline);

  await using measuring = await startBaseline({ engine, baselines }, { leg, imageId: "sha256:1", onMeasured });
  const before = measuring.done();
  const first = await measuring.baseline;
  const dir = join(stage.folder, "another run");
  mkdirSync(dir);
  const later = { ...leg, dir };
  await using kept = await startBaseline(
    { engine: nobody, baselines },
    { leg: later, imageId: "sha256:1", onMeasured },
  );
  const other = await baselines.find({ ...later, prepare: ["true"] }, "sha256:1");

  expect(before).toBeUndefined();
  expect(first).toMatchObject({
    flaky: [],
    results: [{ passed: false, tests: { passed: 1, failed: 1, failing: ["was broken before"] } }, { passed: true }],
  });
  expect(first.broken).toBeUndefined();
  expect(kept.done()).toEqual(first);
  expect(told).toEqual([first, first]);
  expect(readFileSync(join(dir, first.results[0]?.tests?.file ?? ""), "utf8")).toContain("was broken before");
  expect([other, await baselines.find(later, "sha256:2")]).toEqual([undefined, undefined]);
});

it("is measured anew where what was kept is damaged", async () => {
  await using stage = await createStage(engine, files);
  const dataDir = join(stage.folder, "data");
  const baselines = createBaselines(dataDir);
  const leg = legAt(stage, stage.base, ["true"]);
  await baselines.keep(leg, "1", { results: [], flaky: [] });
  const [folder = ""] = foldersOf(dataDir);
  writeFileSync(join(dataDir, "baselines", folder, "baseline.json"), "{torn");

  const torn = await baselines.find(leg, "1");
  await baselines.keep(leg, "1", { results: [], flaky: [{ check: "true" }] });

  expect(torn).toBeUndefined();
  expect(await baselines.find(leg, "1")).toEqual({ results: [], flaky: [{ check: "true" }] });
});

it("finds a test and a check that come out otherwise the second time", async () => {
  await using stage = await createStage(engine, {
    ...files,
    "test/a.test.js": `const { test } = require("node:test");
test("adds", () => {});
test("does as it likes", () => { if (process.env.TRY !== "2") throw new Error("not this time"); });
`,
  });
  const leg = legAt(stage, stage.base, [suite, 'test "$TRY" = 2']);

  const baseline = await measureBaseline(counting(engine), leg);

  expect(baseline.flaky).toEqual([
    { check: suite, test: { name: "does as it likes", file: "test/a.test.js" } },
    { check: 'test "$TRY" = 2' },
  ]);
});

it("tells of a base on which prepare fails, or no check can start, and not of one whose tests fail", async () => {
  await using stage = await createStage(engine, files);

  const unprepared = await measureBaseline(engine, legAt(stage, stage.base, [suite], { prepare: ["echo no; exit 3"] }));
  const unstarted = await measureBaseline(engine, legAt(stage, stage.base, ["no-such-program"]));
  const red = await measureBaseline(engine, legAt(stage, stage.base, ["false"], { prepare: ["true"] }));

  expect(unprepared.broken).toMatchObject({
    cause: "`prepare` fails (exit code 3)",
    output: expect.stringContaining("no"),
  });
  expect(unstarted.broken).toMatchObject({ cause: "no check can start (exit code 127)" });
  expect(red.broken).toBeUndefined();
});

it("ends when nobody needs it any more, and is not kept then", async () => {
  await using stage = await createStage(engine, files);
  const baselines = createBaselines(join(stage.folder, "data"));
  const leg = legAt(stage, stage.base, ["sleep 600"]);

  const measuring = await startBaseline({ engine, baselines }, { leg, imageId: "1", onMeasured: async () => {} });
  const isRunning = async () => (await engine.list()).some(({ role }) => role === "check-base");
  await expect.poll(isRunning, { timeout: 60_000 }).toBe(true);
  await measuring[Symbol.asyncDispose]();

  await expect(measuring.baseline).rejects.toThrow("nobody needs the baseline any more");
  expect(await baselines.find(leg, "1")).toBeUndefined();
});

it("is forgotten when it was not used for a month", async () => {
  await using stage = await createStage(engine, files);
  const dataDir = join(stage.folder, "data");
  const baselines = createBaselines(dataDir);
  const leg = legAt(stage, stage.base, ["true"]);
  await baselines.keep(leg, "1", { results: [], flaky: [] });
  await baselines.keep(leg, "2", { results: [], flaky: [] });

  const old = new Date(Date.now() - 31 * 24 * 3600_000);
  const [one = ""] = foldersOf(dataDir);
  utimesSync(join(dataDir, "baselines", one), old, old);
  await baselines.evict();

  expect(foldersOf(dataDir)).toHaveLength(1);
  expect(foldersOf(dataDir)).not.toContain(one);
});
