import type { UpdateFacts } from "../../src/package-facts.ts";
import { lastEvent } from "../../src/runlog.ts";
import type { Submission } from "../../src/runlog.ts";
import type { Settings } from "../../src/settings.ts";
import { inlineCode } from "../../src/text.ts";
import type { AttemptTask, Passed } from "../attempt.ts";
import type { Begun } from "../begun.ts";
import { baseLeg } from "../gate.ts";
import { nothingToDo } from "../outcome.ts";
import { maintenanceMessages } from "../prompts/maintenance.ts";
import type { BegunWork } from "../prompts/maintenance.ts";
import { renderPrompt } from "../prompts/render.ts";
import type { Outcome, Run, Tools } from "../run.ts";
import type { SolveTask } from "../solve.ts";
import { updateDependencies, updateSubmission, updateTitle } from "./dependencies.ts";
import { seenChangelog } from "./facts.ts";
import { flakyWork } from "./flaky.ts";
import { commandCode, notImproved, recordMeasure } from "./measure.ts";
import type { LeftOut } from "./turns.ts";
import { openUpdate, runUpdates } from "./update.ts";
import type { UpdatePlace } from "./update.ts";

type Task = Settings["maintenance"][string];

/** What the settings ask for beside an agent's work: whether a task says anything that can be done. */
export function hasWork({ use, task, update }: Task): boolean {
  return use !== undefined || task !== undefined || update.length > 0;
}

/** Why there is nothing to update although newer versions are known; empty where there are none. */
function leftIn(facts: UpdateFacts | undefined): string {
  const left = facts?.left ?? [];
  return left.length === 0 ? "" : `Left out: ${left.map(({ name, why }) => `${name}, since ${why}`).join("; ")}.`;
}

/** How a maintenance run goes about its task. The harness updates and measures; the agent does what is left. */
export function taskWork(
  { log }: Pick<Run, "log">,
  tools: Tools,
  { key, task, leftOut }: { key: string; task: Task; leftOut: LeftOut },
): Pick<SolveTask, "begin" | "whenPassed" | "messages" | "paths"> {
  const { use, task: text, update, measure, paths } = task;
  const flaky = use === "flaky-tests" ? flakyWork(log, tools.engine) : undefined;
  const isForAgent = text !== undefined || flaky !== undefined;
  let isBegun = false;

  async function begin(at: AttemptTask): Promise<Begun> {
    const empty = measure === undefined ? undefined : await measureBase(at, tools, measure);
    if (empty !== undefined) return { kind: "over", outcome: empty };
    const steady = await flaky?.begin(at);
    if (steady !== undefined) return { kind: "over", outcome: steady };
    if (use !== "dependencies" && update.length === 0) return { kind: "nothing" };
    await using place = await openUpdate(at, tools);
    const made = await makeChange(place, at, { task, leftOut });
    if (!made.ok) return { kind: "over", outcome: made.outcome };
    const { changes, facts } = made;
    if (facts !== undefined) await log.append({ type: "updates", ...facts });
    if (changes.length === 0) {
      return isForAgent
        ? { kind: "nothing" }
        : { kind: "over", outcome: nothingToDo("nothing to update", leftIn(facts)) };
    }
    isBegun = true;
    const submission = isForAgent ? undefined : submissionOf(key, update, facts);
    return { kind: "change", change: { changes, submission } };
  }

  return {
    paths,
    begin,
    async whenPassed(leg) {
      const unsteady = await flaky?.whenPassed(leg);
      if (unsteady !== undefined || measure === undefined) return unsteady;
      const measured = await recordMeasure(tools.engine, { leg, side: "head", log, command: measure });
      return measured.ok ? notImproved(log.events) : measured.outcome;
    },
    messages(context, _planOnly, failed) {
      const words =
        flaky?.words(context.nonce) ??
        text ??
        (use === undefined ? mendUpdate(update) : renderPrompt("dependencies", {}));
      const begun = isBegun ? { ...begunWith(lastEvent(log.events, "updates"), update), failed } : undefined;
      return maintenanceMessages({ ...context, task: words, paths, measure, begun });
    },
  };
}

/** A change to dependencies is called what it is, also where an agent had to mend code for it. */
export function titled(passed: Passed, { log }: Pick<Run, "log">): Passed {
  const facts = lastEvent(log.events, "updates");
  if (facts === undefined || facts.updated.length === 0) return passed;
  return { ...passed, submission: { ...passed.submission, title: updateTitle(facts) } };
}

/** Ends the run where the measure can't be read, or says that nothing is left to do. Less is better. */
async function measureBase(at: AttemptTask, { engine }: Tools, command: string): Promise<Outcome | undefined> {
  const measured = await recordMeasure(engine, { leg: baseLeg(at), side: "base", log: at.log, command });
  if (!measured.ok) return measured.outcome;
  return measured.value > 0
    ? undefined
    : nothingToDo("nothing is left to measure", `${commandCode(command)}: ${measured.value}`);
}

type Made =
  | { ok: true; changes: Extract<Begun, { kind: "change" }>["change"]["changes"]; facts: UpdateFacts | undefined }
  | { ok: false; outcome: Outcome };

/** Newer dependencies first, so that the task's own commands see them. */
async function makeChange(
  place: UpdatePlace,
  at: AttemptTask,
  { task: { use, update, paths }, leftOut }: { task: Task; leftOut: LeftOut },
): Promise<Made> {
  const newer = use === "dependencies" ? await updateDependencies(place, at, { paths, leftOut }) : undefined;
  if (newer?.ok === false) return newer;
  const isIdle = newer !== undefined && newer.facts.updated.length === 0;
  const failure = isIdle ? undefined : await runUpdates(place, update);
  if (failure !== undefined) return { ok: false, outcome: failure };
  const read = await place.changes();
  return read.ok ? { ...read, facts: newer?.facts } : read;
}

function submissionOf(key: string, commands: readonly string[], facts: UpdateFacts | undefined): Submission {
  if (facts !== undefined) return updateSubmission(facts);
  return {
    title: `Run the updates of ${key}`,
    cause: "What these commands bring up to date was not.",
    change: commands.map((command) => `- ran ${inlineCode(command)}`).join("\n"),
  };
}

function begunWith(facts: UpdateFacts | undefined, commands: readonly string[]): Omit<BegunWork, "failed"> {
  const { updated = [] } = facts ?? {};
  const newer = updated.map(
    ({ name, from, to }) => `${inlineCode(name)} from ${inlineCode(from)} to ${inlineCode(to)}`,
  );
  const ran = commands.map(inlineCode);
  const did = [
    ...(newer.length === 0 ? [] : [`it updated ${newer.join(", ")}`]),
    ...(ran.length === 0 ? [] : [`it ran ${ran.join(", ")}`]),
  ];
  const told = updated.filter(({ changelog }) => changelog !== "");
  const notes = told.map(({ name, changelog }) => ({ name: `changelog of ${name}`, text: seenChangelog(changelog) }));
  return { what: did.join(", and "), notes };
}

function mendUpdate(commands: readonly string[]): string {
  return `mend what the change of ${commands.map(inlineCode).join(", ")} breaks in this repository.`;
}
