import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import manifest from "../package.json" with { type: "json" };
import { evidenceFile, lastEvent } from "../src/runlog.ts";
import type { CheckSummary, RunLog } from "../src/runlog.ts";
import type { Passed } from "./attempt.ts";
import { readTests } from "./reports/kept.ts";
import type { TestResult } from "./reports/results.ts";

const mostResults = 5000;

const count = z.int().min(0);
const commit = z.string().regex(/^[0-9a-f]{40,64}$/);
const time = z.iso.datetime();
const words = ["regressed", "new-pass", "still-pass", "known-red", "new-fail", "flaky", "not-run"] as const;

const test = z.strictObject({
  name: z.string(),
  file: z.string().optional(),
  status: z.enum(["passed", "failed", "skipped"]),
  message: z.string().optional(),
  at: z
    .strictObject({ file: z.string(), line: z.int().min(1) })
    .optional()
    .describe("Where it failed, as its own text tells"),
});
const result = z.strictObject({
  end: z.string().describe("How it ended: `passed`, `exit code 1`, a limit, a signal"),
  passed: z.boolean().describe("By the exit status of its container alone"),
  ms: count,
  tail: z.string().describe("The end of what it wrote"),
  byExitCode: z.string().optional().describe("Why there are no results per test"),
  tests: z
    .strictObject({
      passed: count,
      failed: count,
      skipped: count,
      cut: z.string().optional().describe("Why tests may be missing in the report"),
      results: z.array(test).describe(`At most ${mostResults}, those that failed first`),
    })
    .optional(),
});
const check = z.strictObject({
  name: z.string(),
  run: z.string().describe("The command"),
  required: z.boolean(),
  word: z.enum(words).describe("What became of it from the base to the change"),
  excused: z.boolean().describe("It fails of nothing that the change brought about"),
  words: z
    .partialRecord(z.enum(words), z.strictObject({ count, names: z.array(z.string()) }))
    .optional()
    .describe("How many tests each word holds for, and some names"),
  base: result.optional().describe("On the commit before the change"),
  change: result.describe("On the change"),
  bite: result.optional().describe("On the base with the change's test files"),
});
const bite = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("bites"),
    failing: z.array(z.string()),
    of: count.optional(),
    fails: count.optional(),
  }),
  z.strictObject({ kind: z.literal("green-on-base"), tests: z.array(z.string()) }),
  z.strictObject({ kind: z.literal("nothing"), why: z.string() }),
  z.strictObject({ kind: z.literal("no-test") }),
  z.strictObject({ kind: z.literal("not-measured"), why: z.string() }),
]);
const lines = z.strictObject({ added: count, removed: count });

const schema = z.strictObject({
  version: z.literal(1).describe("Of this format"),
  madeBy: z.strictObject({ agentFix: z.string(), node: z.string() }),
  run: z.string(),
  repository: z.string(),
  model: z.string(),
  times: z.strictObject({ began: time, judged: time }),
  commits: z.strictObject({
    base: commit,
    change: commit.describe("What the checks ran on, in the run's own repository"),
    tree: commit.describe("The tree of the change, which the published commit has as well"),
    published: commit.optional(),
  }),
  image: z.strictObject({ name: z.string(), digest: z.string() }),
  decision: z.enum(["ready", "draft", "rejected", "already-red", "gate-broke"]),
  reason: z.string(),
  checks: z.array(check),
  bite: bite.describe("Whether the change's own tests fail without it"),
  findings: z.array(
    z.strictObject({ kind: z.string(), path: z.string(), detail: z.string(), weight: z.enum(["block", "advise"]) }),
  ),
  size: z.strictObject({ source: lines, test: lines, question: z.string().optional() }),
  claim: z.string().describe("What kind of change its files show"),
});

/** What a verdict rests on, for other programs. Texts in it come from the repository, the model and the tests. */
export type Evidence = z.infer<typeof schema>;

/** JSON Schema of `evidence.json`, as it stands in `worker/evidence.schema.json`. */
export function evidenceJsonSchema(): object {
  return z.toJSONSchema(schema, { target: "draft-2020-12" });
}

/** Puts the evidence of a run's newest verdict into the run's folder, on disk before it returns. */
export function keepEvidence(log: RunLog, judged: Passed): void {
  const path = join(log.dir, evidenceFile);
  writeFileSync(`${path}.new`, `${JSON.stringify(evidenceOf(log, judged), null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

function evidenceOf({ dir, events }: RunLog, judged: Passed): Evidence {
  const { decision, reason, bite, findings, size, claim } = judged.verdict;
  const { question } = size;
  return {
    version: 1,
    madeBy: { agentFix: manifest.version, node: process.version },
    ...runOf(events),
    commits: { change: judged.commit, tree: judged.tree, ...commitsOf(events) },
    decision,
    reason,
    checks: checksOf(dir, judged, bittenIn(events)),
    bite,
    findings,
    size: { source: size.source, test: size.test, ...(question !== undefined && { question }) },
    claim,
  };
}

function runOf(events: RunLog["events"]): Pick<Evidence, "run" | "repository" | "model" | "times" | "image"> {
  const job = lastEvent(events, "claimed")?.job;
  const { image = "", digest = "" } = lastEvent(events, "environment") ?? {};
  const now = new Date().toISOString();
  return {
    run: job?.runId ?? "",
    repository: job === undefined ? "" : `${job.repo.owner}/${job.repo.name}`,
    model: lastEvent(events, "attempt")?.model ?? "",
    times: { began: events[0]?.at ?? now, judged: lastEvent(events, "gate")?.at ?? now },
    image: { name: image, digest },
  };
}

function commitsOf(events: RunLog["events"]): Pick<Evidence["commits"], "base" | "published"> {
  const published = events.findLast((event) => event.type === "publish.done" && event.step === "commit");
  const base = lastEvent(events, "base")?.commit ?? "";
  return { base, ...(published?.type === "publish.done" && { published: published.value }) };
}

/** What ran in the newest round on the base with the change's tests. */
function bittenIn(events: RunLog["events"]): CheckSummary[] {
  const round = events.slice(events.findLastIndex(({ type }) => type === "agent.end") + 1);
  const bitten = round.findLast((event) => event.type === "checks" && event.leg === "bite");
  return bitten?.type === "checks" ? bitten.results : [];
}

function checksOf(dir: string, { verdict }: Passed, bitten: readonly CheckSummary[]): Evidence["checks"] {
  return verdict.rows.map(({ check, base, word, tests, excused }) => {
    const bite = bitten.find(({ name }) => name === check.name);
    return {
      name: check.name,
      run: check.run,
      required: check.required,
      word,
      excused: excused === true,
      ...(tests && { words: tests }),
      ...(base && { base: resultOf(dir, base) }),
      change: resultOf(dir, check),
      ...(bite && { bite: resultOf(dir, bite) }),
    };
  });
}

function resultOf(dir: string, check: CheckSummary): z.infer<typeof result> {
  const { end, passed, ms, tail, byExitCode, tests } = check;
  return {
    end,
    passed,
    ms,
    tail,
    ...(byExitCode !== undefined && { byExitCode }),
    ...(tests && {
      tests: {
        passed: tests.passed,
        failed: tests.failed,
        skipped: tests.skipped,
        ...(tests.cut !== undefined && { cut: tests.cut }),
        results: failedFirst(readTests(dir, check) ?? []).slice(0, mostResults),
      },
    }),
  };
}

function failedFirst(tests: readonly TestResult[]): TestResult[] {
  const isRed = ({ status }: TestResult) => status === "failed";
  return [...tests.filter(isRed), ...tests.filter((test) => !isRed(test))];
}
