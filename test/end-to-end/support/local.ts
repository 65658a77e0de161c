import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { readChanges } from "../../../sandbox/changes.ts";
import type { Change, Changes } from "../../../sandbox/changes.ts";
import type { Engine, ExecResult, Mount } from "../../../sandbox/engine.ts";
import { copyWorkspace, createWorkspace, repoDir, sealSetup } from "../../../sandbox/workspace.ts";
import type { Workspace } from "../../../sandbox/workspace.ts";
import type { CheckSummary } from "../../../src/runlog.ts";
import type { CheckLimits } from "../../../worker/check.ts";
import { createRunRepository } from "../../../worker/checkout.ts";
import { compare } from "../../../worker/compare.ts";
import type { Check } from "../../../worker/detect.ts";
import { runLeg } from "../../../worker/gate.ts";
import type { Leg } from "../../../worker/gate.ts";
import { rebuildCommit } from "../../../worker/rebuild.ts";
import { readTests } from "../../../worker/reports/kept.ts";
import type { CheckRow } from "../../../worker/verdict.ts";
import { image, shell, specOf, testRepository } from "../../sandbox/support.ts";

/** Fails when a container or volume of this test's installation is still there. */
export async function expectNothingLeft(engine: Engine): Promise<void> {
  const left = await engine.list();
  if (left.length > 0) throw new Error(`left behind: ${JSON.stringify(left)}`);
  for (const { volume } of await engine.listKept()) await engine.removeVolume(volume);
}

/** Each check finds in `TRY` how often it has been run, which a real flaky test finds in its clock. */
export function counting(real: Engine): Engine {
  const runs = new Map<string, number>();
  return {
    ...real,
    async runOnce(spec, signal) {
      const command = spec.command.join(" ");
      const tries = (runs.get(command) ?? 0) + 1;
      runs.set(command, tries);
      return real.runOnce({ ...spec, env: { ...spec.env, TRY: `${tries}` } }, signal);
    },
  };
}

const never = new AbortController().signal;

/** A repository as a run has it after set-up: the prepared base, and a repository for what is built on it. */
export interface Stage extends AsyncDisposable {
  engine: Engine;
  base: string;
  mirror: string;
  /** A folder of this machine that no container has. */
  folder: string;
  /** The run's folder. */
  dir: string;
  /** The run's own bare repository. */
  path: string;
  prepared: Workspace;
}

export async function createStage(
  engine: Engine,
  files: Record<string, string>,
  setup = "true",
  { mounts = [], image: setupImage = image }: { mounts?: Mount[]; image?: string } = {},
): Promise<Stage> {
  const source = testRepository(files);
  const runDir = join(source.folder, "run");
  mkdirSync(runDir);
  const path = await createRunRepository(runDir, source.mirror);
  const base = source.commits[0] ?? "";
  const prepared = await createWorkspace(engine, { run: "r", sources: source, commit: base });
  {
    const all = [...prepared.mounts, ...mounts];
    await using sandbox = await engine.startSandbox(specOf({ image: setupImage, mounts: all, cwd: repoDir }));
    await shell(sandbox, setup);
  }
  await sealSetup(engine, prepared);
  return {
    engine,
    base,
    mirror: source.mirror,
    folder: source.folder,
    dir: runDir,
    path,
    prepared,
    async [Symbol.asyncDispose]() {
      await prepared[Symbol.asyncDispose]();
      source[Symbol.dispose]();
    },
  };
}

/** What a container wrote as the agent into a workspace of its own, taken out as data. */
export async function changesOf(
  stage: Stage,
  commands: string,
  tried?: string,
): Promise<{ changes: Changes; tried: ExecResult | undefined }> {
  await using workspace = await copyWorkspace(stage.engine, stage.prepared, {
    run: "r",
    sources: stage.prepared.sources,
  });
  await using sandbox = await stage.engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
  await shell(sandbox, commands);
  const end = tried === undefined ? undefined : await sandbox.exec(tried, { cwd: repoDir, timeoutMs: 60_000 });
  await sandbox.freeze();
  const limits = { maxFiles: 1000, maxBytes: 32 * 2 ** 20 };
  return { changes: await readChanges(stage.engine, workspace, limits), tried: end };
}

/** What became of each check from one leg to the other. */
export function rowsOf(stage: Stage, base: CheckSummary[], head: CheckSummary[]): CheckRow[] {
  const ran = (checks: CheckSummary[]) => checks.map((check) => ({ check, tests: readTests(stage.dir, check) }));
  return compare(ran(base), ran(head), { flaky: [], isRemoved: () => false });
}

/** The same, built into a commit; `tried` is a command that the agent runs in its own container at the end. */
export async function commitOf(stage: Stage, commands: string, tried?: string) {
  const result = await changesOf(stage, commands, tried);
  if (result.changes.kind === "refused") throw new Error(result.changes.reasons.join("\n"));
  const { changes }: { changes: Change[] } = result.changes;
  const built = await rebuildCommit(stage.path, stage.base, changes, never);
  return { ...built, changes, tried: result.tried };
}

export interface LegOptions {
  prepare?: string[];
  engine?: Engine;
  limits?: CheckLimits;
  image?: string;
}

/** One leg of the gate on a commit. */
export async function legOf(
  stage: Stage,
  commit: string,
  checks: (string | Omit<Check, "name">)[],
  { engine = stage.engine, ...options }: LegOptions = {},
): Promise<CheckSummary[]> {
  return runLeg(engine, legAt(stage, commit, checks, options));
}

export function legAt(
  stage: Stage,
  commit: string,
  checks: (string | Omit<Check, "name">)[],
  { prepare = [], ...limits }: Omit<LegOptions, "engine"> = {},
): Leg {
  return {
    runId: "r",
    dir: stage.dir,
    leg: commit === stage.base ? "base" : "head",
    commit,
    tree: stage.prepared,
    env: {},
    sources: { ...stage.prepared.sources, extraObjects: [`${stage.path}/objects`] },
    image,
    prepare,
    checks: checks.map((check) =>
      typeof check === "string" ? { name: check, run: check, required: true } : { name: check.run, ...check },
    ),
    signal: never,
    ...limits,
  };
}
