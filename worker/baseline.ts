import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { CheckSummary } from "../src/runlog.ts";
import { fencedText } from "../src/text.ts";
import type { Engine } from "../sandbox/engine.ts";
import { runLeg } from "./gate.ts";
import type { Leg } from "./gate.ts";
import type { Ledger } from "./ledger.ts";
import { needsInput } from "./outcome.ts";
import { readTests } from "./reports/kept.ts";
import type { Outcome } from "./run.ts";

/** What the checks say of a commit before anything is changed. */
export interface Baseline {
  results: CheckSummary[];
  /** What came out otherwise the second time. */
  flaky: Flaky[];
  /** Why no change can be checked on this commit; absent where one can. */
  broken?: { cause: string; output: string };
}
/** One test, or without `test` a whole check without results per test. */
export interface Flaky {
  check: string;
  test?: { name: string; file?: string };
}

/** Measured once per repository, commit, image and commands, and kept in DATA_DIR/baselines. */
export interface Baselines {
  find(leg: Leg, imageId: string): Promise<Baseline | undefined>;
  keep(leg: Leg, imageId: string, baseline: Baseline): Promise<void>;
  /** Removes those that were not used for long. */
  evict(): Promise<void>;
}

const keepMs = 30 * 24 * 3600_000;
const version = 1;
const noteFile = "baseline.json";
const testsFolder = "tests";
const shownTests = 10;

export function createBaselines(dataDir: string): Baselines {
  const folder = join(dataDir, "baselines");
  const pathOf = (leg: Leg, imageId: string) => join(folder, keyOf(leg, imageId));

  return {
    async find(leg, imageId) {
      const path = pathOf(leg, imageId);
      try {
        const found = JSON.parse(await readFile(join(path, noteFile), "utf8")) as Baseline;
        // The rest of the run finds the results per test where its own legs have left theirs.
        await cp(join(path, testsFolder), join(leg.dir, testsFolder), { recursive: true });
        await utimes(path, new Date(), new Date());
        return found;
      } catch {
        // None is there, or a damaged one: it is measured anew, and kept in its place.
        await rm(path, { recursive: true, force: true });
        return undefined;
      }
    },
    async keep(leg, imageId, baseline) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const made = await mkdtemp(join(folder, "new-"));
      try {
        await mkdir(join(made, testsFolder));
        for (const { tests } of baseline.results) {
          if (tests !== undefined) await cp(join(leg.dir, tests.file), join(made, testsFolder, basename(tests.file)));
        }
        await writeFile(join(made, noteFile), JSON.stringify(baseline), { flush: true });
        await rename(made, pathOf(leg, imageId));
      } catch (error) {
        await rm(made, { recursive: true, force: true });
        // Another run measured the same at the same time.
        if (!(error instanceof Error && "code" in error && error.code === "ENOTEMPTY")) throw error;
      }
    },
    async evict() {
      for (const name of await readdir(folder).catch(() => [])) {
        const path = join(folder, name);
        const used = await stat(path).catch(() => undefined);
        if (used !== undefined && Date.now() - used.mtimeMs > keepMs) await rm(path, { recursive: true, force: true });
      }
    },
  };
}

function keyOf({ sources, commit, image, env, prepare, checks }: Leg, imageId: string): string {
  const parts = [version, sources.mirror, commit, image, imageId, env, prepare, checks];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40);
}

/**
 * Runs the checks on the commit as it is, and what fails a second time, so that a test that does as it likes is charged
 * to nobody.
 */
export async function measureBaseline(engine: Engine, leg: Leg): Promise<Baseline> {
  const results = await runLeg(engine, leg);
  const red = results.filter(({ passed }) => !passed);
  if (red.length === 0) return { results, flaky: [] };
  const checks = leg.checks.filter(({ name }) => red.some((one) => one.name === name));
  const dir = join(leg.dir, "again");
  const again = await runLeg(engine, { ...leg, dir, checks, onCheck: undefined });
  const flaky = red.flatMap((one) => {
    const other = again.find(({ name }) => name === one.name);
    return other === undefined ? [] : differences({ dir: leg.dir, check: one }, { dir, check: other });
  });
  const broken = await brokenBy(engine, leg, again);
  return { results, flaky, ...(broken === undefined ? {} : { broken }) };
}

export interface Measured {
  dir: string;
  check: CheckSummary;
}

/** What came out otherwise when the same check ran again on the same commit. */
export function differences(first: Measured, second: Measured): Flaky[] {
  const [before, after] = [readTests(first.dir, first.check), readTests(second.dir, second.check)];
  const check = first.check.name;
  if (before === undefined || after === undefined) return first.check.passed === second.check.passed ? [] : [{ check }];
  const key = ({ name, file = "" }: { name: string; file?: string }) => `${file}\0${name}`;
  const statuses = new Map(after.map((test) => [key(test), test.status]));
  return before
    .filter((test) => statuses.has(key(test)) && statuses.get(key(test)) !== test.status)
    .map(({ name, file }) => ({ check, test: { name, ...(file !== undefined && { file }) } }));
}

/** A commit on which `prepare` fails, or no check can even start, says nothing about any change. */
async function brokenBy(engine: Engine, leg: Leg, red: readonly CheckSummary[]): Promise<Baseline["broken"]> {
  const required = leg.checks.filter((check) => check.required);
  const isRed = ({ name }: { name: string }) => red.some((one) => one.name === name && !one.passed);
  if (required.length === 0 || !required.every(isRed)) return undefined;
  const unstarted = red.filter(({ end }) => end === "exit code 126" || end === "exit code 127");
  if (leg.prepare.length > 0) {
    const run = leg.prepare.join("\n");
    const alone = {
      ...leg,
      dir: join(leg.dir, "prepare"),
      onCheck: undefined,
      prepare: [],
      checks: [{ name: run, run, required: true }],
    };
    const [prepared] = await runLeg(engine, alone);
    if (prepared?.passed === false) return { cause: `\`prepare\` fails (${prepared.end})`, output: prepared.tail };
  }
  if (unstarted.length < required.length) return undefined;
  const [first] = unstarted;
  return { cause: `no check can start (${first?.end ?? ""})`, output: first?.tail ?? "" };
}

/** One line per check for the model, with what it can't be charged with. */
export function describeBaseline({ results, flaky }: Baseline): string {
  const lines = results.map(({ run, end, tests }) => {
    if (tests === undefined || tests.failed === 0) return `${run}: ${end}`;
    const more = tests.failed > shownTests ? `, and ${tests.failed - shownTests} more` : "";
    return `${run}: ${end}; ${tests.failed} of its tests fail: ${tests.failing.slice(0, shownTests).join(", ")}${more}`;
  });
  const names = flaky.slice(0, shownTests).map(({ check, test }) => test?.name ?? check);
  return [...lines, ...(names.length === 0 ? [] : [`Ended otherwise the second time: ${names.join(", ")}`])].join("\n");
}

/** The ending of a run whose base can't be checked. */
export function brokenBase({ cause, output }: NonNullable<Baseline["broken"]>): Outcome {
  return needsInput("base broken", `The reason: ${cause}.\n\n${fencedText(output)}`);
}

/** A measurement under way beside the agent. Disposing ends it. */
export interface Measuring extends AsyncDisposable {
  baseline: Promise<Baseline>;
  /** Set when it was measured by an earlier run, or as soon as it is done. */
  done(): Baseline | undefined;
  /** Aborts when it shows that no change can be checked, or could not be measured. */
  unusable: AbortSignal;
}

/** Where nothing is judged, nothing is measured. */
export function nothingMeasured(): Measuring {
  return {
    baseline: Promise.resolve({ results: [], flaky: [] }),
    done: () => undefined,
    unusable: new AbortController().signal,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Finds the baseline, or begins to measure it; `onMeasured` is awaited before anybody gets it. */
export async function startBaseline(
  { engine, baselines, ledger }: { engine: Engine; baselines: Baselines; ledger?: Ledger | undefined },
  { leg, imageId, onMeasured }: { leg: Leg; imageId: string; onMeasured: (baseline: Baseline) => Promise<void> },
): Promise<Measuring> {
  const stop = new AbortController();
  let done = await baselines.find(leg, imageId);
  const measure = async () => {
    const measured = await measureBaseline(engine, { ...leg, signal: AbortSignal.any([leg.signal, stop.signal]) });
    const { runId: run, commit } = leg;
    await ledger?.note({ saw: "flaky", run, leg: "base", commit }, measured.flaky);
    await baselines.keep(leg, imageId, measured);
    return measured;
  };
  const baseline = (done === undefined ? measure() : Promise.resolve(done)).then(async (found) => {
    await onMeasured(found);
    done = found;
    return found;
  });
  const unusable = new AbortController();
  baseline.then(
    ({ broken }) => broken !== undefined && unusable.abort(),
    () => unusable.abort(),
  );
  return {
    baseline,
    done: () => done,
    unusable: unusable.signal,
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("nobody needs the baseline any more"));
      await Promise.allSettled([baseline]);
    },
  };
}
