import { readFileSync } from "node:fs";
import type { RunLog, Stamped } from "../../src/runlog.ts";
import { fencedText, plainText, tailOf } from "../../src/text.ts";
import type { Engine } from "../../sandbox/engine.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { assertKept, describeEnd, diskLimit, sandboxLimits } from "../container.ts";
import type { Leg } from "../gate.ts";
import { needsInput, nothingToDo } from "../outcome.ts";
import type { Outcome } from "../run.ts";

/** Takes what comes before the measure and the measure itself, in shell. */
export const measureScript = readFileSync(new URL("measure.sh", import.meta.url), "utf8");
const limitMs = 20 * 60_000;
const mostOutput = 1_000_000;

type MeasuredLeg = Pick<Leg, "runId" | "commit" | "tree" | "sources" | "image" | "env" | "prepare" | "signal">;
export type Measured = { ok: true; value: number } | { ok: false; outcome: Outcome };

/**
 * Runs a task's measure on a commit, as a check's leg is run: on a clean copy, in a new container without network. The
 * last line that is a number counts, whatever the exit code: `grep -c` ends with 1 where it counts none. But what could not
 * be run at all counts nothing.
 */
async function measure(engine: Engine, leg: MeasuredLeg, command: string): Promise<Measured> {
  const { runId: run, commit, sources, signal, image, env, prepare } = leg;
  await using workspace = await copyWorkspace(engine, leg.tree, { run, commit, sources }, signal);
  const spec = {
    image,
    command: ["/bin/sh", "-c", measureScript, "agent-fix", prepare.join("\n"), command],
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
  const { text } = result.output;
  const isRun = result.end === "exited" && !isNotRun(result.code, text);
  const value = isRun ? numberIn(result.stdout.toString("utf8")) : undefined;
  if (value !== undefined) return { ok: true, value };
  const said = text.trim() === "" ? "nothing" : `this:\n\n${fencedText(tailOf(text, 2000))}`;
  const why = result.end === "exited" && !isRun ? notRun : "";
  return {
    ok: false,
    outcome: needsInput("measure", `${commandCode(command)} (${describeEnd(result)}) ${why}printed ${said}`),
  };
}

const notRun =
  "uses a command that is not there, so its number would say nothing. A measure has no network: have `setup` install it. It ";

/** Pure: whether a part of a command was not found or could not be started, by its exit code or in npx's own words. */
export function isNotRun(code: number, output: string): boolean {
  return (
    code === 126 ||
    code === 127 ||
    /^npm (?:error|ERR!) (?:code (?!ELIFECYCLE)E[A-Z]{2}|npx canceled|could not determine exec)/m.test(output)
  );
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
  if (found === undefined) return [];
  const { run, before, after } = found;
  const isNone = after === 0 && before > 0;
  const remark = isNone ? ". A count is 0 also where its tool broke: see that it still runs." : "";
  return [`${commandCode(run)}: ${before} → ${after}${remark}`];
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
