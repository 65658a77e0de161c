import type { CheckSummary, RunLog } from "../src/runlog.ts";
import type { Engine } from "../sandbox/engine.ts";
import type { Layered } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import { resultOf } from "./body.ts";
import { runCheck } from "./check.ts";
import type { CheckLimits } from "./check.ts";
import type { Check } from "./detect.ts";
import type { Prepared } from "./environment.ts";

const defaultRestMs = 15 * 60_000;

/** One leg of the gate: the tree after set-up with the tracked files of exactly one commit. */
export interface Leg {
  runId: string;
  /** The run's folder, for the results per test. */
  dir: string;
  /** `bite`: the base with the change's test files. */
  leg: "base" | "head" | "bite";
  commit: string;
  tree: Layered;
  sources: Sources;
  image: string;
  env: Record<string, string>;
  prepare: readonly string[];
  checks: readonly Check[];
  signal: AbortSignal;
  /** Awaited after each check. */
  onCheck?: ((result: CheckSummary) => Promise<void>) | undefined;
  /** Names of checks that run only while the leg has taken no longer than `restMs`. */
  rest?: ReadonlySet<string>;
  /** Default: 15 minutes. */
  restMs?: number;
  /** Default: 30 minutes in all, 20 of them without output, 256 MB of output. */
  limits?: CheckLimits;
}

interface BaseOf extends Pick<Leg, "runId" | "sources" | "signal"> {
  log: Pick<RunLog, "dir">;
  base: string;
  prepared: Pick<Prepared, "tree" | "image" | "environment">;
}

/** The leg on the commit that a run works on, as it is. */
export function baseLeg(at: BaseOf): Leg {
  const { runId, log, base: commit, sources, signal, prepared } = at;
  const { tree, image, environment } = prepared;
  const { env, prepare, checks } = environment;
  return { runId, dir: log.dir, leg: "base", commit, tree, sources, image, env, prepare, checks, signal };
}

/**
 * Runs every check of a leg, each on a clean copy and as the main process of a new container without network. A check's
 * result is the engine's own wait status, so nothing in the tree can forge it.
 */
export async function runLeg(engine: Engine, leg: Leg): Promise<CheckSummary[]> {
  const results: CheckSummary[] = [];
  const began = performance.now();
  for (const [index, check] of leg.checks.entries()) {
    const isLate = leg.rest?.has(check.name) === true && performance.now() - began > (leg.restMs ?? defaultRestMs);
    const result = isLate ? leftOut(check) : await runCheck(engine, leg, check, index);
    results.push(result);
    await leg.onCheck?.(result);
  }
  return results;
}

/** For a leg's `onCheck`: each check goes into the log when it ends. */
export function recordTo({ log, progress }: { log: RunLog; progress?: () => void }, leg: "base" | "head") {
  return async (check: CheckSummary) => {
    await log.append({ type: "check", leg, run: check.run, end: resultOf(check) });
    progress?.();
  };
}

function leftOut({ name, run, required }: Check): CheckSummary {
  const end = "not run: it is about other paths, and the time for those was over";
  return { name, run, required, end, passed: false, notRun: true, ms: 0, tail: "" };
}
