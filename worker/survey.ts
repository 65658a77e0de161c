import { defaultSettings } from "../src/settings.ts";
import { measureBaseline } from "./baseline.ts";
import type { Baseline } from "./baseline.ts";
import { readCommit } from "./checkout.ts";
import { detectEnvironment } from "./detect.ts";
import type { Environment } from "./detect.ts";
import { prepareEnvironment } from "./environment.ts";
import { recordTo } from "./gate.ts";
import { canUpdate } from "./maintenance/dependencies.ts";
import type { Outcome, Run, Tools } from "./run.ts";

/** What a repository without settings shows of itself. */
export interface Survey {
  environment: Environment;
  /** Whether the ready-made task for dependencies can work here. */
  isUpdatable: boolean;
  /** What its checks say, run as every run's are; or why they could not be run. */
  measured: { ok: true; baseline: Baseline } | { ok: false; outcome: Outcome };
}

/** Detects set-up and checks of a commit and runs them in the sandbox, as the base of any run. */
export async function survey(
  { job: { runId }, log, signal }: Pick<Run, "job" | "log" | "signal">,
  { mirror, commit }: { mirror: string; commit: string },
  tools: Tools,
): Promise<Survey> {
  const settings = defaultSettings;
  const sources = { mirror };
  const files = await readCommit(mirror, commit);
  const [environment, isUpdatable] = await Promise.all([detectEnvironment(files, settings), canUpdate(files)]);
  const task = { runId, log, signal, settings, files, sources, setupAt: commit, isDefault: true, base: commit };
  const prepared = await prepareEnvironment(task, tools);
  if (!prepared.ok) return { environment, isUpdatable, measured: prepared };
  await using place = prepared.prepared;
  const { prepare, checks, env } = place.environment;
  const leg = {
    runId,
    dir: log.dir,
    leg: "base" as const,
    commit,
    tree: place.tree,
    sources,
    image: place.image,
    env,
    prepare,
    checks,
    signal,
    onCheck: recordTo({ log }, "base"),
  };
  const baseline = await measureBaseline(tools.engine, leg);
  await log.append({ type: "checks", leg: "base", results: baseline.results });
  return { environment, isUpdatable, measured: { ok: true, baseline } };
}
