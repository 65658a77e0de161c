import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { lastEvent } from "../../src/runlog.ts";
import { mirrorPath } from "../../worker/checkout.ts";
import { createLedger } from "../../worker/ledger.ts";
import type { Sighting } from "../../worker/ledger.ts";
import { testEngine } from "../sandbox/support.ts";
import { addProject, pullsOf, startTestLaptop } from "./support/laptop.ts";
import { counting, expectNothingLeft } from "./support/local.ts";
import { bash, createTaskStage, submit } from "./support/task.ts";
import type { TaskStage, Turn } from "./support/task.ts";

let engine: Engine;
let stage: TaskStage | undefined;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  stage?.[Symbol.dispose]();
  await expectNothingLeft(engine);
});

const suite = "node --test test/a.test.js";
const own = { checks: `['${suite}']` };

/** A suite with a test that fails in the runs with these numbers, of all that its check has. */
function failingIn(...runs: number[]) {
  return {
    "package.json": "{}",
    "test/a.test.js": `const { test } = require("node:test");
test("adds", () => {});
test("does as it likes", () => {
  if (${JSON.stringify(runs.map(String))}.includes(process.env.TRY)) throw new Error("not this time");
});
`,
  };
}
const mend = bash("sed -i 's/ if (.*$//' test/a.test.js");
const scripted = ({ name, arguments: given }: Turn) => ({ name, arguments: { ...given } as Record<string, string> });
const skip = bash(`sed -i 's/test("does as it likes", /&{ skip: true }, /' test/a.test.js`);
const likes = { check: suite, test: { name: "does as it likes", file: "test/a.test.js" } };

describe("the task that mends flaky tests", () => {
  // The first run of the suite is the baseline's, the next two are the task's own, the fourth is the gate's on the change.
  it("finds what two runs of the base end otherwise in, and says how often that ended alike after the change", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(2), own);

    const { result, told, body, read } = await stage.run(counting(engine), { turns: [mend, submit, submit] });

    expect(result).toMatchObject({ ok: true, passed: { verdict: { decision: "ready", claim: "tests" } } });
    expect(told[0]).toMatch(
      /BEGIN tests [^]*- does as it likes, in test\/a\.test\.js \(check: node --test test\/a\.test\.js\): seen once[^]*not this time[^]*END tests/,
    );
    expect(told[0]).not.toContain("- adds");
    expect(await read("test/a.test.js")).not.toContain("TRY");
    expect(body()).toContain("1 of the 1 named tests ran 3 times with one result: `does as it likes`.");
  });

  it("ends quietly where nothing is flaky, and asks no model", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(4), own);

    const { result, told, log } = await stage.run(counting(engine));

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "no-change", cause: "no test is flaky" } });
    expect(told).toEqual([]);
    expect(lastEvent(log.events, "attempt")).toBeUndefined();
  });

  it("ends quietly, and says what it saw, where a test still comes out otherwise after the change", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(2, 6), own);

    const turns = [bash("echo '// steady now' >>test/a.test.js"), submit, submit];
    const { result, log } = await stage.run(counting(engine), { turns });

    expect(result).toMatchObject({
      ok: false,
      outcome: {
        outcome: "no-change",
        cause: "the tests are not steady",
        detail: "- `does as it likes`: passed, passed, failed",
      },
    });
    expect(lastEvent(log.events, "gate")).toBeUndefined();
  });

  it("takes a mended source for what it is, and a whole check that has no results per test", async () => {
    const files = { "check.sh": ". ./settings.sh\n", "settings.sh": 'test "$TRY" != 3\n' };
    stage = createTaskStage("use: flaky-tests", files, { checks: "['sh check.sh']" });

    const { result, told, body } = await stage.run(counting(engine), {
      turns: [bash("echo true >settings.sh"), submit, submit],
    });

    expect(told[0]).toContain("- the whole check (check: sh check.sh): seen once");
    expect(result).toMatchObject({ ok: true, passed: { verdict: { decision: "ready", claim: "steadying" } } });
    expect(body()).toContain("1 of the 1 named tests ran 3 times with one result: `sh check.sh`.");
  });

  it("sends a change back that has a test run again until it passes", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(2), own);

    const retry = bash(`sed -i 's/test("does as it likes", /&{ retry: 3 }, /' test/a.test.js`);
    const { result, told } = await stage.run(counting(engine), {
      turns: [retry, submit, submit, mend, bash("sed -i 's/{ retry: 3 }, //' test/a.test.js"), submit, submit],
    });

    expect(told.join("\n")).toContain("retried-test");
    expect(result).toMatchObject({ ok: true });
  });

  it("names what the gate saw before and is still there, once, and nothing of it on its own pull request", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(), own);
    const ledger = createLedger(stage.dataDir, stage.mirror);
    const gone = { check: suite, test: { name: "was here", file: "test/a.test.js" } };
    const sighting: Sighting = { saw: "flaky", run: "before", leg: "head", commit: "c".repeat(40) };
    await ledger.note(sighting, [likes, gone, { check: "npm test" }]);
    await ledger.note(sighting, [likes]);

    const onOpen = await stage.run(engine, { branch: "agent-fix/task/it" });
    const first = await stage.run(engine, { runId: "run-2", turns: [submit, submit] });
    const second = await stage.run(engine, { runId: "run-3" });

    expect(onOpen.result).toMatchObject({ outcome: { cause: "no test is flaky" } });
    expect(first.told[0]).toMatch(/- does as it likes, in test\/a\.test\.js [^]*: seen 2 times in the last 30 days/);
    expect(first.told[0]).not.toMatch(/was here|npm test/);
    expect(first.result).toMatchObject({ outcome: { outcome: "no-change", cause: undefined } });
    expect(second.result).toMatchObject({ outcome: { cause: "no test is flaky" } });
  });
});

describe("the same task", () => {
  it("names the tests until a run has come to its end with them", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(), own);
    const sighting: Sighting = { saw: "flaky", run: "before", leg: "base", commit: "c".repeat(40) };
    await createLedger(stage.dataDir, stage.mirror).note(sighting, [likes]);

    await expect(stage.run(engine, { turns: [mend] })).rejects.toThrow("nothing more to say");
    const unfit = await stage.run(engine, { runId: "run-2", turns: [skip, submit, submit, submit, submit] });
    const fit = await stage.run(engine, { runId: "run-3", turns: [mend, submit, submit] });
    const last = await stage.run(engine, { runId: "run-4" });

    expect(unfit.told[0]).toContain("- does as it likes");
    expect(unfit.result).toMatchObject({ outcome: { outcome: "gave-up" } });
    expect(fit.told[0]).toContain("- does as it likes");
    expect(fit.result).toMatchObject({ ok: true });
    expect(last.result).toMatchObject({ outcome: { cause: "no test is flaky" } });
  });

  it("names the tests again after a dry run, of which nothing came", async () => {
    stage = createTaskStage("use: flaky-tests", failingIn(), { ...own, settings: "unattended: {dryRun: true}\n" });
    const sighting: Sighting = { saw: "flaky", run: "before", leg: "base", commit: "c".repeat(40) };
    await createLedger(stage.dataDir, stage.mirror).note(sighting, [likes]);

    const first = await stage.run(engine, { turns: [submit, submit] });
    const second = await stage.run(engine, { runId: "run-2", turns: [submit, submit] });

    expect(first.told[0]).toContain("- does as it likes");
    expect(second.told[0]).toContain("- does as it likes");
  });

  it("says so where no check can run, and asks no model", async () => {
    stage = createTaskStage("use: flaky-tests", {}, { checks: "['no-such-program']" });

    const { result, told } = await stage.run(engine);

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "needs-input", cause: "base broken" } });
    expect(told).toEqual([]);
  });
});

describe("the ledger of flaky tests", () => {
  it("has a test no more once a worker has published the change that mends it", async () => {
    const clock = { now: new Date("2026-11-21T12:00:00Z") };
    const steps = [mend, submit, submit].map((call, id) => ({ id: `${id}`, say: "", calls: [scripted(call)] }));
    const scripts = [{ name: "flaky", when: "BEGIN tests [^]*- does as it likes", holes: {}, steps }];
    await using laptop = await startTestLaptop({ scripts, now: () => clock.now });
    const settings = `checks: ${own.checks}\nmaintenance:\n  it: {schedule: '0 5 * * 1', use: flaky-tests}\n`;
    const where = await addProject(laptop, "flaky", { ...failingIn(), ".github/agent-fix.yml": settings });
    const [{ id = 0 } = {}] = laptop.github.state.repositories.values();
    const ledger = createLedger(laptop.dataDir, mirrorPath(laptop.dataDir, `${id}`));
    await ledger.note({ saw: "flaky", run: "before", leg: "head", commit: "c".repeat(40) }, [likes]);
    await laptop.web.sweep();

    clock.now = new Date("2026-11-23T05:00:00Z");
    await laptop.web.sweep();

    await expect.poll(() => pullsOf(laptop, where), { timeout: 120_000, interval: 200 }).toHaveLength(1);
    await expect.poll(() => ledger.seen("another"), { timeout: 20_000, interval: 200 }).toEqual([]);
  });

  it("has what the base and the change end otherwise in, and a kept baseline's once", async () => {
    stage = createTaskStage("task: Say it", failingIn(1, 3), own);
    const counted = counting(engine);
    const turns = [bash("echo it >said.md"), submit, submit];
    const ledger = createLedger(stage.dataDir, stage.mirror);

    const { result } = await stage.run(counted, { turns });
    const afterOne = await ledger.seen("run-3");
    await stage.run(counted, { turns, runId: "run-2" });

    expect(result).toMatchObject({ ok: true });
    expect(afterOne).toMatchObject([{ ...likes, times: 2 }]);
    expect(await ledger.seen("run-3")).toEqual(afterOne);
  });
});
