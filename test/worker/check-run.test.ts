import { describe, expect, it } from "vitest";
import { lastEvent, openRunLog } from "../../src/runlog.ts";
import { showCheckRun } from "../../worker/check-run.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { keepTests } from "../../worker/reports/kept.ts";
import type { TestResult } from "../../worker/reports/results.ts";
import type { Decision, Verdict } from "../../worker/verdict.ts";
import { checkOf, createLocalHost, dataFolder, job, passedWith, verdictOn } from "./support.ts";

const pull = { number: 12, url: "http://host/o/r/pull/12" };
const guard = async () => {};

/** What stands beside the commit of a change whose check came to these results. */
async function shown(
  results: TestResult[] = [],
  more: Partial<Verdict> = {},
  files: Record<string, string> = { "a.txt": "" },
) {
  using data = dataFolder();
  using host = createLocalHost(files);
  const log = openRunLog(data.path, job.runId);
  const counts = keepTests(log.dir, "tests/head.json", { tests: results });
  const head = [checkOf("npm test", false, { tests: counts })];
  const verdict = verdictOn([], head, more);
  const broken = results.filter(({ status }) => status === "failed").map(({ name }) => name);
  for (const row of verdict.rows) row.tests = { regressed: { count: broken.length, names: broken.slice(0, -1) } };
  await createRunRepository(log.dir, host.mirror);
  const passed = passedWith({ verdict, commit: host.commits[0] ?? "" });
  await showCheckRun({ job, log, guard }, host.forge, { passed, base: "a".repeat(40), commit: "c", pull });
  log.close();
  return host.checkRuns;
}

describe("showCheckRun", () => {
  it("shows the table and the way to the pull request, under the run's id", async () => {
    const [check] = await shown();

    expect(check).toMatchObject({ commit: "c", runId: job.runId, conclusion: "success", url: pull.url });
    expect(check?.title).toBe("every required check passes");
    expect(check?.summary).toContain("| | base `aaaaaaa` | this change |\n|---|---|---|\n| tests of this change (1) |");
    expect(check?.summary).toMatch(/\n\nPull request: \[#12\]\(http:\/\/host\/o\/r\/pull\/12\)$/);
  });

  it.each<[Decision, string]>([
    ["ready", "success"],
    ["draft", "neutral"],
    ["rejected", "failure"],
    ["already-red", "failure"],
    ["gate-broke", "failure"],
  ])("says of a change that is %s: %s", async (decision, conclusion) => {
    expect((await shown([], { decision }))[0]?.conclusion).toBe(conclusion);
  });

  it("marks the tests that the change broke, in the files of the repository", async () => {
    const red = (name: string, file?: string): TestResult => ({ name, status: "failed", ...(file && { file }) });
    const results: TestResult[] = [
      { ...red("adds", "a.test.js"), message: "1 is not 2" },
      { name: "passes", file: "a.test.js", status: "passed" },
      red("fixes #1", "a.test.js"),
      red("nowhere"),
      red("outside", "../../etc/passwd"),
      red("at the root", "/etc/passwd"),
      red("not of the change", "b.test.js"),
    ];

    expect((await shown(results))[0]?.annotations).toEqual([
      { path: "a.test.js", title: "adds", message: "1 is not 2" },
      { path: "a.test.js", title: "fixes no. 1", message: "It fails." },
    ]);
  });

  it("marks the line that the report tells, where the tree has it", async () => {
    const at = (name: string, file: string, line: number, own?: string): TestResult => ({
      name,
      status: "failed",
      at: { file, line },
      ...(own !== undefined && { file: own }),
    });
    const results = [
      at("its last line", "a.test.js", 3, "a.test.js"),
      at("below its end", "a.test.js", 4, "a.test.js"),
      at("a file that is not there", "b.test.js", 1, "b.test.js"),
      at("no file of its own", "a.test.js", 2),
      at("no file of its own, and one that is not there", "b.test.js", 2),
      at("up and out", "../a.test.js", 1),
      at("Go's package", "example.com/sum/in/in_test.go", 2),
      at("Go's package, of which there are two", "example.com/sum/sub/sum_test.go", 1),
      at("not of the change", "a.test.js", 1),
    ];
    const files = {
      "a.test.js": "1\n2\n3\n",
      "in/in_test.go": "1\n2",
      "sum_test.go": "1\n",
      "sub/sum_test.go": "1\n",
    };

    const marks = (await shown(results, {}, files))[0]?.annotations;

    expect(marks?.map(({ title, path, line }) => [title, path, line])).toEqual([
      ["its last line", "a.test.js", 3],
      ["below its end", "a.test.js", undefined],
      ["a file that is not there", "b.test.js", undefined],
      ["no file of its own", "a.test.js", 2],
      ["Go's package", "in/in_test.go", 2],
    ]);
  });

  it("marks 50 at most", async () => {
    const many = Array.from({ length: 80 }, (_, i): TestResult => ({ name: `${i}`, file: "a.js", status: "failed" }));

    expect((await shown(many))[0]?.annotations).toHaveLength(50);
  });

  it("leaves the run as it is where the host refuses, and notes why", async () => {
    using data = dataFolder();
    const log = openRunLog(data.path, job.runId);
    const ensureCheckRun = () => Promise.reject(new Error("the permission is missing"));

    await showCheckRun({ job, log, guard }, { ensureCheckRun }, { passed: passedWith(), base: "a", commit: "c", pull });

    expect(lastEvent(log.events, "note")?.text).toBe(
      "The check run `agent-fix`, which takes an app's permission `checks: write`, could not be written: the permission is missing",
    );
    log.close();
  });

  it("writes nothing where another worker has the run", async () => {
    using data = dataFolder();
    using host = createLocalHost();
    const log = openRunLog(data.path, job.runId);
    const run = { job, log, guard: () => Promise.reject(new Error("taken over")) };
    const published = { passed: passedWith(), base: "a", commit: "c", pull };

    await expect(showCheckRun(run, host.forge, published)).rejects.toThrow("taken over");

    expect(host.checkRuns).toEqual([]);
    log.close();
  });
});
