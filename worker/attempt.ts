import { randomUUID } from "node:crypto";
import type { InboxMessage } from "../src/inbox.ts";
import { lastEvent } from "../src/runlog.ts";
import type { CheckSummary, RunLog, Submission } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { repoDir } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/workspace.ts";
import { runAgent } from "./agent/loop.ts";
import type { AgentTask } from "./agent/loop.ts";
import { ModelError } from "./agent/model.ts";
import type { Message, ModelClient } from "./agent/model.ts";
import { openSession } from "./agent/session.ts";
import { createTally } from "./agent/tally.ts";
import type { Tool } from "./agent/tool.ts";
import { endingOutcome, rejectionText, withWork } from "./endings.ts";
import type { Prepared } from "./environment.ts";
import { judgeChange, renderDiff } from "./judge.ts";
import { gaveUp } from "./outcome.ts";
import { gateFailedMessage } from "./prompts/messages.ts";
import type { Outcome, Tools } from "./run.ts";
import { createSteering } from "./steering.ts";
import { openWorkplace } from "./workplace.ts";
import type { Workplace } from "./workplace.ts";
import { createTools } from "./tools/tools.ts";
import type { TaskKind } from "./tools/tools.ts";

/** Beside the checkout, so that nothing in it becomes part of the change. */
const outputsDir = "/workspace/home/outputs";
/** How often a rejected change goes back to the agent. */
const mostReturns = 3;

export interface AttemptTask {
  runId: string;
  kind: TaskKind;
  log: RunLog;
  signal: AbortSignal;
  settings: Settings;
  base: string;
  sources: Sources;
  /** Our own bare repository, in which the change becomes a commit. */
  repository: string;
  prepared: Prepared;
  baseline: CheckSummary[];
  /** The first messages, for a conversation of so many tokens. */
  messages: (contextTokens: number) => Message[];
  progress: (line: string) => void;
  /** All that reached the run from outside so far. */
  inbox?: () => Promise<InboxMessage[]>;
}
/** A change that passed the gate: what publishing needs, also after a crash. */
export interface Passed {
  commit: string;
  tree: string;
  submission: Submission;
  checks: { base: CheckSummary[]; head: CheckSummary[] };
}
export type AttemptResult = { ok: true; passed: Passed } | { ok: false; outcome: Outcome };

/** Lets the agent work and the gate judge, at most 1 + 3 times in the same conversation. */
export async function attempt(task: AttemptTask, tools: Tools): Promise<AttemptResult> {
  const { log, signal, settings } = task;
  const tally = createTally();
  const model = openSession(tools.model, { id: task.runId, onWaiting: (reason) => tellWaiting(task, reason) });
  const served = await servedModel(model, signal);
  if (served instanceof ModelError)
    return { ok: false, outcome: endingOutcome({ end: "model-failed", error: served }, settings.limits) };
  const { name, contextTokens } = served;
  const messages = task.messages(contextTokens);
  // What a change installs stands below the agent's tree from the next round on, so it goes after that.
  await using installed = new AsyncDisposableStack();
  await using place = await openWorkplace({ ...task, engine: tools.engine, egress: tools.egress });
  const agent: AgentTask = {
    model,
    tools: toolsFor(task, place, contextTokens),
    messages,
    limits: settings.limits,
    tally,
    signal,
    record: async (event) => {
      if (event.type === "tool.intent") task.progress(`step ${event.step}: ${event.name} ${event.summary}`);
      await log.append(event);
    },
    inbox: createSteering(task.inbox, { nonce: createNonce, onComment: (by) => tellComment(task, by) }),
  };
  const giveUp = async (outcome: Outcome, rejection?: Rejection) => ({
    ok: false as const,
    outcome: await withWorkOf(task, place, { outcome, rejection }),
  });

  let rejection: Rejection | undefined;
  for (let round = 0; ; ) {
    await log.append({ type: "attempt", round, model: name });
    const end = await runAgent(agent);
    signal.throwIfAborted();
    await log.append({ type: "agent.end", end: end.end });
    if (end.end !== "submitted") return await giveUp(endingOutcome(end, settings.limits), rejection);
    if (tally.closing === 0 && (await hear(agent))) continue;

    await place.sandbox.freeze();
    task.progress("checking the result");
    const judged = await judgeChange(task, tools, { place, installed, round, submission: end.submission });
    if (judged.kind !== "rejected") return judged.result;
    rejection = judged;
    const { reason, output, next } = judged;
    if (round >= mostReturns) return await giveUp(gaveUp("gate rejected", rejectionText(judged)));
    if (next !== undefined) await place.moveTo(next);
    const left = mostReturns - round;
    const moved = next !== undefined;
    messages.push(gateFailedMessage({ reason, output, left, moved, nonce: createNonce(), contextTokens }));
    round++;
  }
}

interface Rejection {
  reason: string;
  output: string;
}

function toolsFor(task: AttemptTask, place: Workplace, contextTokens: number): Tool[] {
  return createTools({
    sandbox: place.sandbox,
    root: repoDir,
    outputs: outputsDir,
    contextTokens,
    kind: task.kind,
    diff: (abort) => renderDiff(task, place, abort),
    onPlan: (items) => task.log.append({ type: "plan", items }),
  });
}

async function withWorkOf(
  task: AttemptTask,
  place: Workplace,
  { outcome, rejection }: { outcome: Outcome; rejection: Rejection | undefined },
): Promise<Outcome> {
  if (outcome.outcome !== "gave-up") return outcome;
  return withWork(outcome, {
    plan: lastEvent(task.log.events, "plan")?.items ?? [],
    rejection: rejection && rejectionText(rejection),
    patch: await renderDiff(task, place, task.signal),
  });
}

/** A word that came while the model submitted sends it back to work. */
async function hear({ inbox, messages }: AgentTask): Promise<boolean> {
  const texts = (await inbox?.()) ?? [];
  messages.push(...texts.map((text) => ({ role: "user" as const, text, origin: "person" as const })));
  return texts.length > 0;
}

async function tellComment({ log, progress }: AttemptTask, by: string): Promise<void> {
  await log.append({ type: "note", text: `took in a comment by ${by}` });
  progress("working");
}

function tellWaiting({ progress, log }: AttemptTask, reason: string | undefined): void {
  progress(reason === undefined ? "working" : `waiting for the model: ${reason}`);
  // Nothing depends on it, and a disk that takes no more events is found out by the next one.
  log.append({ type: "model.waiting", ...(reason !== undefined && { reason }) }).catch(() => {});
}

/** The name goes into the log before the work: publishing, maybe on a later try, does not need the server. */
async function servedModel(
  model: ModelClient,
  signal: AbortSignal,
): Promise<{ name: string; contextTokens: number } | ModelError> {
  return model.describe(signal).catch((error: unknown) => {
    if (error instanceof ModelError) return error;
    throw error;
  });
}

/** A nonce that untrusted text cannot guess, for the delimiters around it. */
export function createNonce(): string {
  return randomUUID().slice(0, 8);
}
