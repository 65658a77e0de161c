import { join } from "node:path";
import { lastEvent } from "../../src/runlog.ts";
import type { RunLog } from "../../src/runlog.ts";
import { inlineCode } from "../../src/text.ts";
import { taskPrefix } from "../../src/triggers.ts";
import type { Engine } from "../../sandbox/engine.ts";
import type { AttemptTask } from "../attempt.ts";
import { brokenBase, differences } from "../baseline.ts";
import type { Flaky, Measured } from "../baseline.ts";
import { baseLeg, runLeg } from "../gate.ts";
import type { Leg } from "../gate.ts";
import { keyOf } from "../ledger.ts";
import type { Seen } from "../ledger.ts";
import { nothingToDo } from "../outcome.ts";
import { quoteUntrusted, renderPrompt } from "../prompts/render.ts";
import { readTests } from "../reports/kept.ts";
import type { Outcome } from "../run.ts";

/** What a run of `use: flaky-tests` does beside the agent's work. */
export interface FlakyWork {
  /** Finds the tests that are to be mended; an outcome where there is none. */
  begin(at: AttemptTask): Promise<Outcome | undefined>;
  /** Runs them again on a commit that passed; an outcome where they are not steady. */
  whenPassed(leg: Leg): Promise<Outcome | undefined>;
  /** The task in words, with a nonce for what comes from the repository. */
  words(nonce: string): string;
}

interface Named extends Seen {
  /** What it said where it failed. */
  said: string;
}

/** More than that is too much for one pull request; the others are for a later run. */
const mostNamed = 10;
const times = 2;
const mostSaid = 1000;

export function flakyWork(log: RunLog, engine: Engine): FlakyWork {
  let named: Named[] = [];
  return {
    async begin(at) {
      const { broken } = await at.measuring.baseline;
      if (broken !== undefined) return brokenBase(broken);
      named = await findFlaky(engine, at);
      if (named.length === 0) return nothingToDo("no test is flaky", "Two runs of every check ended alike.");
      // Of a dry run nothing comes.
      const asked = at.settings.unattended.dryRun
        ? []
        : named.map(({ check, test }) => ({ check, ...(test && { test }) }));
      await log.append({ type: "flaky", leg: "base", names: named.map(nameOf), times, asked });
      return undefined;
    },
    async whenPassed(leg) {
      const runs = [headRun(log), ...(await runAgain(engine, { ...leg, checks: owning(leg, named) }))].map(endsOf);
      const ends = named.map((one) => ({ one, ends: runs.flatMap((run) => endIn(run, one)) }));
      const unsteady = ends.filter(({ ends }) => ends.some((end) => end !== "passed"));
      if (unsteady.length > 0) {
        const lines = unsteady.map(({ one, ends }) => `- ${inlineCode(nameOf(one))}: ${ends.join(", ")}`);
        return nothingToDo("the tests are not steady", lines.join("\n"));
      }
      const least = Math.min(...ends.map(({ ends }) => ends.length));
      await log.append({ type: "flaky", leg: "head", names: named.map(nameOf), times: least });
      return undefined;
    },
    words(nonce) {
      return renderPrompt("flaky", { tests: quoteUntrusted("tests", named.map(describe).join("\n\n"), nonce) });
    },
  };
}

/**
 * Once a run has published its change, or found that none is to be made, its tests are named again only when they are seen
 * again. After any other end, and for whoever takes the run up again, they are still to be mended.
 */
export async function noteAsked(
  { log, runId: run, ledger }: Pick<AttemptTask, "log" | "runId" | "ledger">,
  ended: Outcome["outcome"],
): Promise<void> {
  if (ended !== "published" && ended !== "no-change") return;
  const named = log.events.findLast((event) => event.type === "flaky" && event.leg === "base");
  const commit = lastEvent(log.events, "base")?.commit ?? "";
  if (named?.type === "flaky") await ledger.note({ saw: "asked", run, leg: "base", commit }, named.asked ?? []);
}

/** What two runs of every check on the base tell, and what the gate saw before. */
async function findFlaky(engine: Engine, at: AttemptTask): Promise<Named[]> {
  const { runId: run, base: commit, ledger, log } = at;
  const runs = await runAgain(engine, baseLeg(at));
  const now = endedOtherwise(runs);
  await ledger.note({ saw: "flaky", run, leg: "base", commit }, now);
  // What was seen elsewhere says nothing of our own pull request, which may have mended it.
  const isOnOpen = lastEvent(log.events, "base")?.branch.startsWith(taskPrefix) === true;
  const ends = runs.map(endsOf);
  const isThere = (key: string) => ends.some((run) => run.has(key) && run.get(key)?.status !== "skipped");
  const seen = (await ledger.seen(run)).filter((one) => {
    const key = keyOf(one);
    return isThere(key) && (!isOnOpen || now.some((other) => keyOf(other) === key));
  });
  const said = (one: Flaky) => ends.map((run) => run.get(keyOf(one))?.said ?? "").find(Boolean) ?? "";
  return seen.slice(0, mostNamed).map((one) => ({ ...one, said: said(one) }));
}

/** Runs all checks of a leg twice, each time in new containers, with folders of their own for the results. */
async function runAgain(engine: Engine, leg: Leg): Promise<Measured[][]> {
  const runs: Measured[][] = [];
  for (let time = 1; time <= times; time++) {
    const dir = join(leg.dir, `again-${time}`);
    const results = await runLeg(engine, { ...leg, dir, rest: new Set(), onCheck: undefined });
    runs.push(results.map((check) => ({ dir, check })));
  }
  return runs;
}

function endedOtherwise([first = [], second = []]: readonly Measured[][]): Flaky[] {
  return first.flatMap((one, index) => {
    const other = second[index];
    if (other === undefined) return [];
    const tests = differences(one, other);
    const isOtherwise = tests.length === 0 && one.check.passed !== other.check.passed;
    return isOtherwise ? [{ check: one.check.name }] : tests;
  });
}

/** The gate's own run of a commit that passed, but for checks that it left out. */
function headRun({ dir, events }: RunLog): Measured[] {
  const legs = events.filter((event) => event.type === "checks");
  const results = legs.findLast(({ leg }) => leg === "head")?.results ?? [];
  return results.flatMap((check) => (check.notRun === true ? [] : [{ dir, check }]));
}

function owning({ checks }: Leg, named: readonly Flaky[]): Leg["checks"] {
  return checks.filter(({ name }) => named.some(({ check }) => check === name));
}

type Ends = Map<string, { status: "passed" | "failed" | "skipped"; said: string }>;

/** How every check of a run ended, and every test of which there are results. */
function endsOf(run: readonly Measured[]): Ends {
  const all = run.flatMap(({ dir, check: ran }) => {
    const { name: check, passed, tail } = ran;
    const whole = [keyOf({ check }), { status: passed ? "passed" : "failed", said: passed ? "" : tail }] as const;
    const tests = (readTests(dir, ran) ?? []).map(
      ({ name, file, status, message = "" }) =>
        [keyOf({ check, test: { name, ...(file !== undefined && { file }) } }), { status, said: message }] as const,
    );
    return [whole, ...tests];
  });
  return new Map(all);
}

/** None where its check did not run. */
function endIn(run: Ends, one: Flaky): string[] {
  return run.has(keyOf({ check: one.check })) ? [run.get(keyOf(one))?.status ?? "gone"] : [];
}

function nameOf({ check, test }: Flaky): string {
  return test?.name ?? check;
}

function describe({ check, test, times, last, said }: Named): string {
  const what =
    test === undefined ? "the whole check" : `${test.name}${test.file === undefined ? "" : `, in ${test.file}`}`;
  const seen = `seen ${times === 1 ? "once" : `${times} times`} in the last 30 days, last on ${last.slice(0, 10)}`;
  const failure = said === "" ? "" : `\n${said.slice(-mostSaid).replaceAll(/^/gm, "    ")}`;
  return `- ${what} (check: ${check}): ${seen}${failure}`;
}
