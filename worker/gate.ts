import type { CheckSummary } from "../src/runlog.ts";
import { tailOf } from "../src/text.ts";
import type { Engine } from "../sandbox/engine.ts";
import { copyWorkspace, repoDir } from "../sandbox/workspace.ts";
import type { Layered, Sources } from "../sandbox/workspace.ts";
import type { Check } from "./detect.ts";
import { assertKept, describeEnd, diskLimit, sandboxLimits } from "./container.ts";

const checkLimitMs = 30 * 60_000;

/** One leg of the gate: the tree after set-up with the tracked files of exactly one commit. */
export interface Leg {
  runId: string;
  leg: "base" | "head";
  commit: string;
  tree: Layered;
  sources: Sources;
  image: string;
  env: Record<string, string>;
  prepare: readonly string[];
  checks: readonly Check[];
  signal: AbortSignal;
}

/**
 * Runs every check of a leg, each on a clean copy and as the main process of a new container without network. A check's
 * result is the engine's own wait status, so nothing in the tree can forge it.
 */
export async function runLeg(engine: Engine, leg: Leg): Promise<CheckSummary[]> {
  const results: CheckSummary[] = [];
  for (const check of leg.checks) results.push(await runCheck(engine, leg, check));
  return results;
}

async function runCheck(engine: Engine, leg: Leg, check: Check): Promise<CheckSummary> {
  const { signal } = leg;
  // Checks run what the agent wrote: on one copy for all, one of them could replace the tools of the next.
  await using workspace = await copyWorkspace(
    engine,
    leg.tree,
    { run: leg.runId, commit: leg.commit, sources: leg.sources },
    signal,
  );
  const result = await engine.runOnce(
    {
      image: leg.image,
      command: ["/bin/sh", "-ec", [...leg.prepare, check.run].join("\n")],
      labels: { run: leg.runId, role: `check-${leg.leg}` },
      mounts: workspace.mounts,
      cwd: repoDir,
      env: { CI: "true", ...leg.env },
      limits: sandboxLimits,
      disk: diskLimit(workspace),
      timeoutMs: checkLimitMs,
      maxStdoutBytes: 1_000_000,
    },
    signal,
  );
  signal.throwIfAborted();
  assertKept(result, `the check ${check.name}`);
  return {
    ...check,
    end: describeEnd(result),
    passed: result.end === "exited" && result.code === 0,
    ms: Math.round(result.durationMs),
    tail: tailOf(result.output.text, 3000),
  };
}

/** What the gate measured: passed only when every required check passes on the change. */
export interface Verdict {
  passed: boolean;
  rows: {
    check: CheckSummary;
    base: CheckSummary | undefined;
    verdict: "passes" | "fixed" | "broken" | "red-before";
  }[];
}

/** Pure: compares the legs. A check that was red before the change is named as such, and still does not pass. */
export function judge(base: readonly CheckSummary[], head: readonly CheckSummary[]): Verdict {
  const rows = head.map((check) => {
    const before = base.find((one) => one.name === check.name);
    const red = before !== undefined && !before.passed;
    const verdict = check.passed
      ? red
        ? ("fixed" as const)
        : ("passes" as const)
      : red
        ? ("red-before" as const)
        : ("broken" as const);
    return { check, base: before, verdict };
  });
  return { passed: rows.length > 0 && rows.every((row) => row.check.passed || !row.check.required), rows };
}

/** One sentence for the log, the agent and the status comment. */
export function verdictReason(verdict: Verdict): string {
  if (verdict.passed) return "every required check passes";
  const failing = verdict.rows.filter((row) => row.check.required && !row.check.passed);
  return failing
    .map(
      ({ check, verdict: word }) =>
        `\`${check.run}\` ${word === "red-before" ? "fails, as it did before the change" : "fails with the change"} (${check.end})`,
    )
    .join("; ");
}
