import { randomUUID } from "node:crypto";
import { begin } from "../src/begin.ts";
import { OutageError } from "../src/errors.ts";
import type { InboxMessage } from "../src/inbox.ts";
import { lastEvent } from "../src/runlog.ts";
import type { CheckSummary, RunLog, Submission } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { repoDir } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import { runAgent } from "./agent/loop.ts";
import type { AgentEnd, AgentTask } from "./agent/loop.ts";
import { ModelError } from "./agent/model.ts";
import type { Message, ModelClient } from "./agent/model.ts";
import { openSession } from "./agent/session.ts";
import { createTally } from "./agent/tally.ts";
import type { Tally } from "./agent/tally.ts";
import type { Tool } from "./agent/tool.ts";
import { brokenBase, describeBaseline } from "./baseline.ts";
import type { Measuring } from "./baseline.ts";
import type { EarlierWork } from "./earlier.ts";
import { endingOutcome, rejectionText, withWork } from "./endings.ts";
import type { Prepared } from "./environment.ts";
import type { Leg } from "./gate.ts";
import type { Ledger } from "./ledger.ts";
import { judgeChange, readWork } from "./judge.ts";
import type { Judged } from "./judge.ts";
import { gaveUp } from "./outcome.ts";
import { baselineText, gateFailedMessage, testMissingMessage } from "./prompts/messages.ts";
import type { Failed } from "./prompts/maintenance.ts";
import type { Merging } from "./merge.ts";
import type { Outcome, Tools } from "./run.ts";
import { createSteering } from "./steering.ts";
import { openWorkplace } from "./workplace.ts";
import type { Verdict } from "./verdict.ts";
import type { Workplace, WorkplaceTask } from "./workplace.ts";
import type { Replies } from "./tools/reply.ts";
import { createTools } from "./tools/tools.ts";

/** Beside the checkout, so that nothing in it becomes part of the change. */
const outputsDir = "/workspace/home/outputs";

export type TaskKind = "issue" | "review" | "checks" | "merge" | "question" | "maintenance";

export interface AttemptTask {
  runId: string;
  kind: TaskKind;
  /** How a submission ends the run where no change is wanted. What the agent changed is thrown away. */
  readOnly?: ((submission: Submission) => Outcome) | undefined;
  /** Of a review or a question: what has to be answered. */
  replies?: Replies | undefined;
  given?: WorkplaceTask["given"];
  goesOnFrom?: EarlierWork | undefined;
  /** Of a merge: the change is what the pull request is on its new base, of which the run made but what differs from git's own merge. */
  merging?: Merging | undefined;
  log: RunLog;
  signal: AbortSignal;
  settings: Settings;
  /** What a change is to stay in, as globs or folders; default: everything. */
  paths?: readonly string[] | undefined;
  base: string;
  sources: Sources;
  /** Our own bare repository, in which the change becomes a commit. */
  repository: string;
  prepared: Prepared;
  /** What the checks say of the base. Where they are done already, the first messages tell it. */
  measuring: Measuring;
  /** Told of the tests that do as they like. */
  ledger: Ledger;
  /** Looks at a change that passed; an outcome ends the run with it. */
  whenPassed?: ((leg: Leg) => Promise<Outcome | undefined>) | undefined;
  /** The first messages, for a conversation of so many tokens; `failed`: why the change that it goes on from did not pass. */
  messages: (contextTokens: number, failed?: Failed) => Message[];
  /** Told when there is news in the log. */
  progress: () => void;
  /** All that reached the run from outside so far. */
  inbox?: () => Promise<InboxMessage[]>;
  /** Shows where a comment stands that it was read. */
  showRead?: ((comment: number) => Promise<void>) | undefined;
}
/** A change that a pull request may have: what publishing needs, also after a crash. */
export interface Passed {
  commit: string;
  tree: string;
  submission: Submission;
  checks: { base: CheckSummary[]; head: CheckSummary[] };
  verdict: Verdict;
}
export type AttemptResult = { ok: true; passed: Passed } | { ok: false; outcome: Outcome; kept?: Passed };

/**
 * Lets the agent work and the gate judge, in one conversation. A change goes back once for what is its own fault, and once
 * for a test that fails without it; the verdict after that is final.
 */
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
  await using place = await openWorkplace({ ...task, ...startOf(task), engine: tools.engine, egress: tools.egress });
  const steering = createSteering(task.inbox, {
    nonce: createNonce,
    onComment: (comment) => tellComment(task, comment),
  });
  const agent = agentFor(task, { model, messages, tally, steering, tools: toolsFor(task, place, contextTokens) });
  let passed: AttemptResult | undefined;
  let rejection: Rejection | undefined;
  const giveUp = async (outcome: Outcome, kept?: Passed): Promise<AttemptResult> =>
    passed ?? { ok: false, outcome: await withWorkOf(task, place, { outcome, rejection }), ...(kept && { kept }) };
  const sentBack = new Set<Judged["kind"]>();
  const hears = async () => tally.closing === 0 && hear(messages, steering);

  for (let round = 0; ; ) {
    await log.append({ type: "attempt", round, model: name, mostSteps: settings.limits.steps });
    const end = await runAgent(agent);
    signal.throwIfAborted();
    const over = await endWithoutChange(task, end);
    if (over !== undefined) return { ok: false, outcome: over };
    if (end.end !== "submitted") return await giveUp(endingOutcome(end, settings.limits));
    if (await hears()) continue;

    await place.sandbox.freeze();
    task.progress();
    // A review's points may be anything, few of them a defect: its first message asks for a test where behaviour changes.
    const mayAskForTest = !["review", "checks", "merge"].includes(task.kind) && !sentBack.has("without-test");
    const submitted = { place, installed, round, submission: end.submission, mayAskForTest };
    const judged = await judgeChange(task, tools, submitted);
    if (judged.kind === "done") {
      // A word that came while the checks ran: the change that passed is what there is if nothing better comes of it.
      if (!judged.result.ok || !(await hears())) return judged.result;
      passed = judged.result;
      continue;
    }
    if (judged.kind === "rejected") {
      rejection = judged;
      if (!judged.goesBack || sentBack.has("rejected")) return await giveUp(gaveUp(judged.cause), judged.kept);
    } else {
      passed = judged.result;
    }
    sentBack.add(judged.kind);
    if (judged.next !== undefined) await place.moveTo(judged.next);
    messages.push(sentBackMessage(judged, contextTokens));
    round++;
  }
}

/** Where the agent begins, if not on the base. */
function startOf({ goesOnFrom, sources, prepared }: AttemptTask): Pick<WorkplaceTask, "start"> {
  if (goesOnFrom === undefined) return {};
  const { commit, changes, objects, tree = prepared.tree } = goesOnFrom;
  const extraObjects = [...(sources.extraObjects ?? []), objects];
  return { start: { tree, commit, changes, sources: { ...sources, extraObjects } } };
}

function sentBackMessage(judged: Exclude<Judged, { kind: "done" }>, contextTokens: number): Message {
  const moved = judged.next !== undefined;
  if (judged.kind === "without-test") return testMissingMessage({ reason: judged.reason, moved });
  return gateFailedMessage({ ...judged, moved, nonce: createNonce(), contextTokens });
}

function agentFor(
  task: AttemptTask,
  {
    steering,
    ...parts
  }: Pick<AgentTask, "model" | "messages" | "tools"> & {
    tally: Tally;
    steering: () => Promise<string[]>;
  },
): AgentTask {
  const { log, signal, settings, measuring, progress } = task;
  const news = createNews(measuring);
  return {
    ...parts,
    limits: settings.limits,
    signal: AbortSignal.any([signal, measuring.unusable]),
    record: async (event) => {
      await log.append(event);
      progress();
    },
    inbox: async () => [...news(), ...(await steering())],
  };
}

/** The ending where no change could be judged, or none is wanted. Throws what kept the base from being measured. */
async function endWithoutChange(
  { measuring, log, readOnly }: AttemptTask,
  end: AgentEnd,
): Promise<Outcome | undefined> {
  const { broken } = measuring.unusable.aborted ? await measuring.baseline : {};
  if (broken !== undefined) return brokenBase(broken);
  await log.append({ type: "agent.end", end: end.end });
  return end.end === "submitted" ? readOnly?.(end.submission) : undefined;
}

type Rejection = Parameters<typeof rejectionText>[0];

function toolsFor(task: AttemptTask, place: Workplace, contextTokens: number): Tool[] {
  return createTools({
    sandbox: place.sandbox,
    root: repoDir,
    outputs: outputsDir,
    contextTokens,
    diff: async (abort) => (await readWork(task, place, abort)).diff,
    replies: task.replies,
    ...(task.readOnly !== undefined && { review: "off" as const }),
    onPlan: async (items) => {
      await task.log.append({ type: "plan", items });
      task.progress();
    },
  });
}

async function withWorkOf(
  task: AttemptTask,
  place: Workplace,
  { outcome, rejection }: { outcome: Outcome; rejection: Rejection | undefined },
): Promise<Outcome> {
  if (outcome.outcome !== "gave-up") return outcome;
  const { diff: patch, commit } = await readWork(task, place, task.signal);
  if (commit !== undefined) await task.log.append({ type: "work", commit });
  return withWork(outcome, {
    plan: lastEvent(task.log.events, "plan")?.items ?? [],
    rejection: rejection && rejectionText(rejection),
    patch,
  });
}

/** How the checks of the base ended, told once, where the first messages could not tell it. */
function createNews(measuring: Measuring): () => string[] {
  let isTold = measuring.done() !== undefined;
  return () => {
    const baseline = isTold ? undefined : measuring.done();
    if (baseline === undefined) return [];
    isTold = true;
    return [baselineText(describeBaseline(baseline), createNonce())];
  };
}

/** A word that came while the model submitted sends it back to work. */
async function hear(messages: Message[], steering: () => Promise<string[]>): Promise<boolean> {
  const texts = await steering();
  messages.push(...texts.map((text) => ({ role: "user" as const, text, origin: "person" as const })));
  return texts.length > 0;
}

async function tellComment(
  { log, progress, showRead }: AttemptTask,
  { id, by }: { id: number; by: string },
): Promise<void> {
  await log.append({ type: "note", text: `took in a comment by ${by}`, comment: id });
  progress();
  // No run waits for it, or fails for want of it.
  if (showRead !== undefined) void begin(showRead(id));
}

function tellWaiting({ progress, log }: AttemptTask, reason: string | undefined): void {
  // Nothing depends on it, and a disk that takes no more events is found out by the next one.
  log.append({ type: "model.waiting", ...(reason !== undefined && { reason }) }).then(progress, () => {});
}

/**
 * The name goes into the log before the work: publishing, maybe on a later try, does not need the server. One that stays
 * away is an outage: the run is taken again.
 */
async function servedModel(
  model: ModelClient,
  signal: AbortSignal,
): Promise<{ name: string; contextTokens: number } | ModelError> {
  return model.describe(signal).catch((error: unknown) => {
    if (!(error instanceof ModelError)) throw error;
    if (error.kind === "away") throw new OutageError(error.message, { cause: error });
    return error;
  });
}

/** A nonce that untrusted text cannot guess, for the delimiters around it. */
export function createNonce(): string {
  return randomUUID().slice(0, 8);
}
