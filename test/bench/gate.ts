import { randomUUID } from "node:crypto";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Change } from "../../sandbox/changes.ts";
import { createEngine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import { git } from "../../sandbox/git.ts";
import { copyWorkspace } from "../../sandbox/workspace.ts";
import { createRedact } from "../../src/redact.ts";
import { openRunLog } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { measureBaseline } from "../../worker/baseline.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { compare } from "../../worker/compare.ts";
import { keepEvidence } from "../../worker/evidence.ts";
import { checkHead } from "../../worker/judge.ts";
import { rebuildCommit } from "../../worker/rebuild.ts";
import { readTests } from "../../worker/reports/kept.ts";
import { examineChange } from "../../worker/tamper/examine.ts";
import { type Bench, type Suite, time } from "./harness.ts";
import { image, openFolder, run } from "./support.ts";

interface Project {
  rounds: number;
  testFiles: number;
  /** How long each of a file's three tests waits, in milliseconds. */
  waitMs: number;
}
// Fewer rounds than elsewhere: thirty of the large one would take an hour and a half.
const projects: Project[] = [
  { rounds: 10, testFiles: 8, waitMs: 10 },
  { rounds: 3, testFiles: 200, waitMs: 10 },
];

const command = "npm test";
const submission = { title: "Mend the sum", cause: "It subtracted.", change: "- Adds" };
const signal = new AbortController().signal;

/** What proving a change takes beyond its three test runs: on the base, on the change, and its tests on the base. */
export const gate: Suite[] = projects.map((project) => (stack) => benchOf(stack, project));

async function benchOf(stack: AsyncDisposableStack, project: Project): Promise<Bench[]> {
  const place = await openProject(stack, project);
  const last = await place.judge();
  const rounds = 10;
  const parts: [string, () => Promise<unknown>][] = [
    ["the commit built from data", () => place.rebuild()],
    ["a clean copy at that commit, and its removal", () => place.copy(last.commit)],
    ["the look at the change's files", () => place.examine()],
    ["the comparison per test", last.compare],
    ["evidence.json", last.evidence],
  ];
  let bareMs = 0;
  return [
    {
      rounds: project.rounds,
      contenders: {
        gate: () => time(() => place.judge()),
        "three bare containers": async () => (bareMs = await time(() => place.runBare())),
      },
      rows: [
        {
          measure: `gate of ${project.testFiles} test files: base, change, bite`,
          unit: "ms",
          value: "gate",
          beside: "three bare containers",
          goal: { atMost: 1.1, orBy: 3000 },
        },
      ],
    },
    ...parts.map(
      ([measure, work]): Bench => ({
        rounds,
        contenders: { part: () => time(work), "bare containers": async () => bareMs },
        rows: [{ measure: `  ${measure}`, unit: "ms", value: "part", beside: "bare containers" }],
      }),
    ),
  ];
}

async function openProject(stack: AsyncDisposableStack, project: Project) {
  const folder = await openFolder(stack);
  const files = projectOf(project);
  const changed = { "sum.js": sumWith("+"), "test/sum.test.js": sumTest };
  const changes = Object.entries(changed).map(
    ([path, text]): Change => ({
      path,
      mode: "100644",
      bytes: Buffer.from(text),
    }),
  );
  const { mirror, base } = await createRepository(join(folder, "base"), files);
  await cp(join(folder, "base"), join(folder, "change"), { recursive: true });
  await writeFiles(join(folder, "change"), changed);
  await cp(join(folder, "base"), join(folder, "bite"), { recursive: true });
  await writeFiles(join(folder, "bite"), { "test/sum.test.js": sumTest });

  const engine = createEngine({ instance: `bench-${randomUUID()}`, image });
  const kept = createKeptTrees(engine, `${folder}/kept`);
  stack.defer(() => kept.clear());
  const sources = { mirror };
  const tree = await kept.base(mirror, sources, base);
  const log = openRunLog(folder, "bench");
  stack.defer(() => log.close());
  const repository = await createRunRepository(log.dir, mirror);
  const changeSources = { mirror, extraObjects: [`${repository}/objects`] };
  await log.append({ type: "base", branch: "main", commit: base });
  await log.append({ type: "snapshot", hash: "", title: "The sum is wrong", body: "" });

  const checks = [{ name: command, run: command, required: true }];
  const environment = { image, env: {}, setup: [], prepare: [], from: "settings", notes: [], checks };
  const redact = createRedact([]);
  const rebuild = () => rebuildCommit(repository, base, changes, signal);
  const before = async (path: string) => {
    const text = files[path];
    return text === undefined ? undefined : Buffer.from(text);
  };
  const tracked = new Map(Object.keys(files).map((path) => [path, { mode: "100644", oid: "" }]));

  async function judge() {
    const leg = { runId: "bench", dir: log.dir, leg: "base" as const, commit: base, tree, sources, image };
    const baseline = await measureBaseline(engine, { ...leg, env: {}, prepare: [], checks, signal });
    const { commit, tree: treeId } = await rebuild();
    const task = { runId: "bench", kind: "issue" as const, log, signal, settings: defaultSettings, base, repository };
    const judged = await checkHead(
      { ...task, prepared: { image, environment }, measuring: { baseline: Promise.resolve(baseline) } },
      { engine, redact },
      {
        commit,
        treeId,
        changes,
        layered: tree,
        sources: changeSources,
        round: 0,
        submission,
        mayAskForTest: true,
      },
    );
    if (judged.kind !== "done" || !judged.result.ok) throw new Error(`the gate says ${JSON.stringify(judged)}`);
    const { passed } = judged.result;
    if (passed.verdict.decision !== "ready") throw new Error(passed.verdict.reason);
    const ran = (legs: typeof passed.checks.base) => legs.map((check) => ({ check, tests: readTests(log.dir, check) }));
    return {
      commit,
      compare: async () =>
        compare(ran(passed.checks.base), ran(passed.checks.head), { flaky: [], isRemoved: () => false }),
      evidence: async () => keepEvidence(log, passed),
    };
  }

  return {
    judge,
    rebuild,
    examine: () => examineChange(changes, { before, tracked }, { redact, protect: [] }),
    async copy(commit: string) {
      await using _copy = await copyWorkspace(engine, tree, { run: "bench", commit, sources: changeSources });
    },
    async runBare() {
      for (const name of ["base", "change", "bite"]) {
        const mount = ["--volume", `${join(folder, name)}:/repo`, "--workdir", "/repo", "--env", "CI=true"];
        // The tests fail on the base with the change's own: that is what they are run there for.
        const script = name === "bite" ? `${command} || true` : command;
        await run("docker", ["run", "--rm", "--network", "none", ...mount, image, "/bin/sh", "-ec", script]);
      }
    },
  };
}

function projectOf({ testFiles, waitMs }: Project): Record<string, string> {
  const tests = Array.from({ length: testFiles }, (_, file) => [`test/part-${file}.test.js`, partTest(file, waitMs)]);
  return {
    "package.json": JSON.stringify({ scripts: { test: "node --test test/*.test.js" } }),
    "sum.js": sumWith("-"),
    ...Object.fromEntries(tests),
  };
}

function sumWith(operator: string): string {
  return `exports.sum = (a, b) => a ${operator} b;\nexports.product = (a, b) => a * b;\n`;
}

const head = `const { test } = require("node:test");\nconst assert = require("node:assert");\nconst { sum, product } = require("../sum.js");\n`;
const sumTest = `${head}test("adds", () => assert.equal(sum(1, 2), 3));\n`;

function partTest(file: number, waitMs: number): string {
  const one = (part: number) => `test("part ${file}, case ${part}", async () => {
  await new Promise((done) => setTimeout(done, ${waitMs}));
  assert.equal(product(${file}, ${part}), ${file * part});
});
`;
  return head + [1, 2, 3].map(one).join("");
}

async function createRepository(folder: string, files: Record<string, string>) {
  await writeFiles(folder, files);
  const inIt = (...args: string[]) =>
    run("git", ["-C", folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", ...args]);
  await inIt("init", "--quiet", "--initial-branch=main");
  await inIt("add", ".");
  await inIt("commit", "--quiet", "-m", "Add the project");
  const mirror = `${folder}.git`;
  await run("git", ["clone", "--quiet", "--bare", folder, mirror]);
  const base = (await git(["rev-parse", "main"], { gitDir: mirror })).toString().trim();
  return { mirror, base };
}

async function writeFiles(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
