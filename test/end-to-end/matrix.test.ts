import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Stamped } from "../../src/runlog.ts";
import { measureBaseline } from "../../worker/baseline.ts";
import type { Baseline } from "../../worker/baseline.ts";
import { debianImage } from "../sandbox/images.ts";
import { image, testEngine } from "../sandbox/support.ts";
import { runners } from "./matrix/runners.ts";
import type { Case, Runner } from "./matrix/runners.ts";
import { judgeOn } from "./support/judging.ts";
import { commitOf, createStage, expectNothingLeft, legAt } from "./support/local.ts";
import type { Stage } from "./support/local.ts";

const multiplies: Case = { name: "multiplies", call: "product", of: [2, 3], is: 6 };
const byOne: Case = { name: "multiplies by one", call: "product", of: [4, 1], is: 4 };
const adds: Case = { name: "adds", call: "sum", of: [1, 2], is: 3 };
const addsNothing: Case = { name: "adds nothing", call: "sum", of: [0, 0], is: 0 };
const known: Case = { name: "is known to fail", call: "product", of: [2, 2], is: 5 };
const asItLikes: Case = { name: "does as it likes", call: "product", of: [1, 1], is: 1, does: "chance" };

type Files = Record<string, string | undefined>;
/** What stands in the repository beside the library, whose sum is wrong, and the tests of its product. */
type Base = "plain" | "red" | "flaky";

interface Row {
  on?: Base;
  change(runner: Runner): Files;
  /** The decision, and what the verdict says of rows, bite and findings. */
  expected: Expected;
  /** Where a runner rightly tells less. */
  but?: Record<string, Expected>;
}
interface Expected {
  decision: string | RegExp;
  bite?: string;
  words?: string[];
  findings?: string[];
  end?: RegExp;
}

const fix = (runner: Runner): Files => ({ [runner.library]: runner.source("+", "*") });
const test = (runner: Runner, name: string, cases: readonly Case[]): Files => ({
  [runner.testPath(name)]: runner.tests(cases),
});
const good = (runner: Runner): Files => ({ ...fix(runner), ...test(runner, "sum", [adds]) });
/** They tell of files, each of which is a test; make tells of nothing. */
const fileTests = ["ctest", "make"];
const byFile = (expected: Expected) => Object.fromEntries(fileTests.map((name) => [name, expected]));

const matrix: Record<string, Row> = {
  "a good fix with a test": {
    change: good,
    expected: { decision: "ready", bite: "bites", words: ["new-pass", "still-pass"] },
    but: { make: { decision: "ready", bite: "bites" } },
  },
  "a fix without a test": { change: fix, expected: { decision: "draft", bite: "no-test" } },
  "a fix with a test that passes on the base": {
    change: (runner) => ({ ...fix(runner), ...test(runner, "sum", [addsNothing]) }),
    expected: { decision: "draft", bite: "green-on-base" },
  },
  "a fix that breaks what was right": {
    change: (runner) => ({ [runner.library]: runner.source("+", "/"), ...test(runner, "sum", [adds]) }),
    expected: { decision: "rejected", words: ["new-pass", "regressed", "still-pass"] },
    but: { ctest: { decision: "rejected", words: ["new-pass", "regressed"] }, make: { decision: "rejected" } },
  },
  "a fix that deletes a test file": {
    change: (runner) => ({ ...good(runner), [runner.testPath("product")]: undefined }),
    expected: { decision: "rejected", findings: ["deleted-test-file"] },
  },
  "a fix that skips a test": {
    change: (runner) => ({ ...good(runner), ...test(runner, "product", [{ ...multiplies, skipped: true }, byOne]) }),
    expected: { decision: "rejected", findings: ["skipped-test"] },
    but: {
      ctest: { decision: "rejected", words: ["new-pass", "regressed"] },
      // A shell's tests can't be read, and a check that has no results per test passes: what changed is listed.
      make: { decision: "ready", bite: "bites", findings: ["unmeasured"] },
    },
  },
  "a fix that empties a test file": {
    change: (runner) => ({ ...good(runner), ...test(runner, "product", []) }),
    expected: { decision: "rejected", findings: ["gutted-test-file"] },
  },
  "a fix that takes the assertions out of the tests": {
    change: (runner) => ({
      ...good(runner),
      ...test(runner, "product", [
        { ...multiplies, does: "nothing" },
        { ...byOne, does: "nothing" },
      ]),
    }),
    expected: { decision: "rejected", findings: ["gutted-test-file"] },
    but: byFile({ decision: "ready", bite: "bites", findings: ["unmeasured"] }),
  },
  "a fix that edits what CI runs": {
    change: (runner) => ({ ...good(runner), ".github/workflows/ci.yml": "on: push\n" }),
    expected: { decision: "rejected", findings: ["edited-ci"] },
  },
  "a good fix where a test was red before": {
    on: "red",
    change: good,
    expected: { decision: "ready", bite: "bites", words: ["known-red", "new-pass", "still-pass"] },
    but: { make: { decision: "already-red" } },
  },
  "a good fix where a test does as it likes": {
    on: "flaky",
    change: good,
    expected: { decision: "ready", bite: "bites", words: ["flaky", "new-pass", "still-pass"] },
    // All of it does as it likes: by chance it is red here as well, which is nobody's fault and proves nothing.
    but: { make: { decision: /^(?:ready|already-red)$/ } },
  },
  "a fix whose test never ends": {
    change: (runner) => ({ ...fix(runner), ...test(runner, "sum", [{ ...adds, does: "hang" }]) }),
    expected: { decision: "rejected", end: /^stopped: no output for|^stopped at its time limit/ },
  },
  "a fix whose test floods its output": {
    change: (runner) => ({ ...fix(runner), ...test(runner, "sum", [{ ...adds, does: "flood" }]) }),
    // pytest takes what a test prints into memory.
    expected: { decision: "rejected", end: /^stopped: it wrote more|^stopped: no output|^ran out of memory/ },
  },
  "a fix that can't be compiled": {
    change: (runner) => ({ ...good(runner), [runner.library]: runner.source("+", "*", true) }),
    expected: { decision: "rejected", end: /^exit code / },
  },
  "a change to documents alone": {
    change: () => ({ "README.md": "# Calc\n\nIt adds.\n" }),
    expected: { decision: "ready", bite: "nothing", words: ["still-pass"] },
    but: { make: { decision: "ready", bite: "nothing" } },
  },
  "a good fix with a changed lock file": {
    change: (runner) => ({ ...good(runner), [runner.lock.path]: runner.lock.text }),
    expected: { decision: "ready", bite: "bites", findings: ["changed-dependencies"] },
  },
};

const limits = { totalMs: 60_000, idleMs: 12_000, outputBytes: 4 * 2 ** 20 };
const engine = testEngine();
let packages: string;
let debian: string;
beforeAll(() => {
  debian = debianImage(["golang-go", "cmake"]);
  packages = mkdtempSync(join(tmpdir(), "agent-fix-matrix-"));
  chmodSync(packages, 0o755);
  const devDependencies = Object.assign({}, ...Object.values(runners).map((one) => one.packages ?? {}));
  writeFileSync(join(packages, "package.json"), JSON.stringify({ devDependencies }));
  const options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  execFileSync("npm", ["install", ...options], { cwd: packages, stdio: "pipe" });
}, 900_000);
afterAll(async () => {
  rmSync(packages, { recursive: true, force: true });
  await expectNothingLeft(engine);
});

describe.each(Object.entries(runners))("the verdict with %s", (name, runner) => {
  const stages = new Map<Base, Promise<{ stage: Stage; baseline: Baseline }>>();
  const opened = new AsyncDisposableStack();
  const staged = (on: Base) => {
    const found = stages.get(on) ?? open(runner, on, opened);
    stages.set(on, found);
    return found;
  };
  afterAll(() => opened.disposeAsync());

  it.each(Object.entries(matrix))("on %s", async (_what, row) => {
    const { stage, baseline } = await staged(row.on ?? "plain");

    const verdict = await judge(runner, { stage, baseline, files: row.change(runner) });

    expect(verdict).toMatchObject(shapeOf(row.but?.[name] ?? row.expected));
  });
});

function shapeOf({ decision, findings = [], end = /^/, ...exactly }: Expected): object {
  const decided = typeof decision === "string" ? new RegExp(`^${decision}$`) : decision;
  return {
    ...exactly,
    decision: expect.stringMatching(decided),
    findings: expect.arrayContaining(findings),
    end: expect.stringMatching(end),
  };
}

async function open(runner: Runner, on: Base, opened: AsyncDisposableStack) {
  const extra = { plain: {}, red: test(runner, "known", [known]), flaky: test(runner, "chance", [asItLikes]) }[on];
  const files = {
    ...runner.files,
    "README.md": "# Calc\n",
    [runner.library]: runner.source("-", "*"),
    ...test(runner, "product", [multiplies, byOne]),
    ...extra,
  } as Record<string, string>;
  const mounts = runner.packages === undefined ? [] : [{ hostDir: packages, at: "/packages", readOnly: true as const }];
  const setup = runner.setup ?? (runner.packages === undefined ? "true" : "cp -r /packages/node_modules .");
  const stage = opened.use(await createStage(engine, files, setup, { mounts, image: imageOf(runner) }));
  const leg = legAt(stage, stage.base, [runner.check], {
    prepare: runner.prepare ?? [],
    image: imageOf(runner),
    limits,
  });
  // By chance it passes both times, or neither.
  for (let round = 0; ; round++) {
    const baseline = await measureBaseline(engine, leg);
    if (on !== "flaky" || baseline.flaky.length > 0) return { stage, baseline };
    if (round === 40) throw new Error("a test that fails by chance was never seen to do so");
  }
}

function imageOf({ debian: wanted }: Runner): string {
  return wanted === undefined ? image : debian;
}

/** Writes the files into a tree, takes the change out of it, and has it judged. */
async function judge(runner: Runner, { stage, baseline, files }: { stage: Stage; baseline: Baseline; files: Files }) {
  const commands = Object.entries(files).map(([path, text]) =>
    text === undefined
      ? `rm ${path}`
      : `mkdir -p $(dirname ${path}) && echo ${Buffer.from(text).toString("base64")} | base64 -d >${path}`,
  );
  const { events } = await judgeOn(engine, stage, {
    change: await commitOf(stage, commands.join("\n")),
    baseline,
    checks: [runner.check],
    title: "The sum is wrong",
    prepare: runner.prepare ?? [],
    image: imageOf(runner),
    bounds: { limits },
  });
  return toldBy(events);
}

function toldBy(events: readonly Stamped[]) {
  const { reason, verdict } = events.findLast((event) => event.type === "gate") ?? {};
  const [row] = verdict?.rows ?? [];
  const head = events.findLast((event) => event.type === "checks" && event.leg === "head");
  const [result] = head?.type === "checks" ? head.results : [];
  return {
    decision: verdict?.decision,
    reason,
    bite: verdict?.bite.kind,
    words: Object.keys(row?.tests ?? {}).toSorted(),
    findings: (verdict?.findings ?? []).map(({ kind }) => kind),
    end: result?.end,
  };
}
