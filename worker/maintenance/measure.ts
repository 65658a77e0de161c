import type { RunLog, Stamped } from "../../src/runlog.ts";
import { fencedText, plainText, tailOf } from "../../src/text.ts";
import type { Engine } from "../../sandbox/engine.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { assertKept, describeEnd, diskLimit, sandboxLimits } from "../container.ts";
import type { Leg } from "../gate.ts";
import { needsInput, nothingToDo } from "../outcome.ts";
import type { Outcome } from "../run.ts";

const limitMs = 20 * 60_000;
const mostOutput = 1_000_000;

type MeasuredLeg = Pick<Leg, "runId" | "commit" | "tree" | "sources" | "image" | "env" | "prepare" | "signal">;
export type Measured = { ok: true; value: number } | { ok: false; outcome: Outcome };

/**
 * Runs a task's measure on a commit, as a check's leg is run: on a clean copy, in a new container without network. The
 * last line that is a number counts, whatever the exit code: `grep -c` ends with 1 where it counts none.
 */
async function measure(engine: Engine, leg: MeasuredLeg, command: string): Promise<Measured> {
  const { runId: run, commit, sources, signal, image, env, prepare } = leg;
  await using workspace = await copyWorkspace(engine, leg.tree, { run, commit, sources }, signal);
  const spec = {
    image,
    command: ["/bin/sh", "-ec", [...prepare, command].join("\n")],
    labels: { run, role: "measure" },
    mounts: workspace.mounts,
    cwd: repoDir,
    env: { CI: "true", ...env },
    limits: sandboxLimits,
    disk: diskLimit(workspace),
    timeoutMs: limitMs,
    maxStdoutBytes: mostOutput,
  };
  const result = await engine.runOnce(spec, signal);
  signal.throwIfAborted();
  assertKept(result, "the measure");
  const value = result.end === "exited" ? numberIn(result.stdout.toString("utf8")) : undefined;
  if (value !== undefined) return { ok: true, value };
  const said =
    result.output.text.trim() === "" ? "nothing" : `this:\n\n${fencedText(tailOf(result.output.text, 2000))}`;
  return {
    ok: false,
    outcome: needsInput("measure", `${commandCode(command)} (${describeEnd(result)}) printed ${said}`),
  };
}

/** The last line of a text that is a number and nothing else. */
export function numberIn(text: string): number | undefined {
  const line = text.split("\n").findLast((line) => /^\s*[+-]?\d{1,15}(?:\.\d{1,15})?\s*$/.test(line));
  return line === undefined ? undefined : Number(line);
}

/** The same, and writes it into the log. */
export async function recordMeasure(
  engine: Engine,
  { leg, side, log, command }: { leg: MeasuredLeg; side: "base" | "head"; log: RunLog; command: string },
): Promise<Measured> {
  const measured = await measure(engine, leg, command);
  if (measured.ok) await log.append({ type: "measured", leg: side, run: command, value: measured.value });
  return measured;
}

/** What a run's measure was before and after its change, where both are known. */
function measuresIn(events: readonly Stamped[]): { run: string; before: number; after: number } | undefined {
  const all = events.filter((event) => event.type === "measured");
  const [before, after] = [all.findLast(({ leg }) => leg === "base"), all.findLast(({ leg }) => leg === "head")];
  if (before === undefined || after === undefined) return undefined;
  return { run: before.run, before: before.value, after: after.value };
}

/** One line for a pull request's body; nothing where a run measured nothing. */
export function measureFacts(events: readonly Stamped[]): string[] {
  const found = measuresIn(events);
  return found === undefined ? [] : [`${commandCode(found.run)}: ${found.before} → ${found.after}`];
}

/** Such commands have pipes, which a table could not have. */
export function commandCode(command: string): string {
  return `\`${plainText(command.replaceAll("`", " "), 160)}\``;
}

/** How a run ends whose change leaves the measure where it was, or higher. */
export function notImproved(events: readonly Stamped[]): Outcome | undefined {
  const found = measuresIn(events);
  if (found === undefined || found.after < found.before) return undefined;
  return nothingToDo("the measure did not improve", measureFacts(events).join(""));
}
