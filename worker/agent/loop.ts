import type { RunEvent, Submission } from "../../src/runlog.ts";
import { runCalls } from "./calls.ts";
import { createGuards } from "./guards.ts";
import type { Guards } from "./guards.ts";
import { answerOpenCalls, createHistory } from "./history.ts";
import type { History } from "./history.ts";
import { ModelError } from "./model.ts";
import type { Message, ModelClient, Reply } from "./model.ts";
import { createRules, nudgeText } from "./rules.ts";
import type { Rules } from "./rules.ts";
import { addUsage, createTally, nextTurn } from "./tally.ts";
import type { LimitEnd, Limits, Tally } from "./tally.ts";
import type { Tool } from "./tool.ts";

export interface AgentTask {
  model: ModelClient;
  tools: readonly Tool[];
  /**
   * What the agent says and does is added at the end, so that the caller can go on in it. Only where the model's window
   * gets full, what lies behind the task is rewritten.
   */
  messages: Message[];
  /** Waiting for a server that is away costs no minutes. */
  limits: Limits;
  /** What earlier rounds of the same attempt took of the limits; this one is added. */
  tally?: Tally;
  signal: AbortSignal;
  /** Awaited: an intent is on disk before its effect. */
  record: (event: AgentEvent) => Promise<void>;
  /** Trusted texts that arrived since it was last asked; the model reads them before its next answer. */
  inbox?: () => Promise<string[]>;
  now?: () => number;
}

export type AgentEvent = Extract<
  RunEvent,
  { type: "model.intent" | "model.cut" | "model.result" | "tool.intent" | "tool.result" | "compacted" }
>;

export type AgentEnd =
  | { end: "submitted"; submission: Submission }
  | { end: "asked"; questions: { question: string; fallback: string }[] }
  | { end: LimitEnd }
  /** `text`: what the model said or read last. */
  | { end: "no-answer" | "format-errors"; text: string }
  | { end: "stuck"; fact: string; call: string }
  | { end: "context-exhausted"; contextTokens: number }
  | { end: "context-overflow"; error: ModelError }
  | { end: "cancelled" }
  | { end: "model-failed"; error: ModelError };

/** A task at work, with what is remembered from turn to turn beside its messages. */
export interface AgentRun extends AgentTask {
  tally: Tally;
  rules: Rules;
  history: History;
  guards: Guards;
  now: () => number;
}

/** Lets the model work with the tools until it ends the attempt itself, or a limit or a guard does. */
export async function runAgent(task: AgentTask): Promise<AgentEnd> {
  const { messages, signal, tally = createTally(), now = Date.now } = task;
  const history = createHistory(messages);
  const run: AgentRun = { ...task, tally, now, history, rules: createRules(), guards: createGuards() };
  try {
    answerOpenCalls(messages);
    for (;;) {
      const began = now();
      const end = await takeTurn(run);
      tally.ms += now() - began;
      if (end !== undefined) return end;
    }
  } catch (error) {
    if (signal.aborted) return { end: "cancelled" };
    if (!(error instanceof ModelError)) throw error;
    return { end: error.kind === "overflow" ? "context-overflow" : "model-failed", error };
  } finally {
    answerOpenCalls(messages);
  }
}

async function takeTurn(run: AgentRun): Promise<AgentEnd | undefined> {
  const { messages, signal, tally, rules, limits } = run;
  signal.throwIfAborted();
  const { end, tell, closing } = nextTurn(limits, tally);
  if (end !== undefined) return { end };
  for (const text of (await run.inbox?.()) ?? []) messages.push({ role: "user", text, origin: "person" });
  const room = await makeRoom(run);
  if (room !== undefined) return room;
  if (tell !== undefined) messages.push({ role: "user", text: tell });

  const reply = await askModel(run);
  const { text, calls } = reply;
  const decision = rules.decide(reply);
  if (decision.kind === "again") return undefined;
  if (decision.kind === "stop") return { end: decision.end, text };
  if (text !== "" || calls.length > 0) {
    tally.steps++;
    messages.push({ role: "assistant", text, calls });
  }
  if (decision.kind === "act") return runCalls(run, calls, closing);
  messages.push({ role: "user", text: nudgeText(decision.prompt) });
  return undefined;
}

/** The model's next answer, if need be to a conversation that was shortened because its server found it too long. */
async function askModel(run: AgentRun): Promise<Reply> {
  try {
    return await request(run, run.messages);
  } catch (error) {
    const isTooLong = error instanceof ModelError && error.kind === "overflow";
    if (!isTooLong || !(await compact(run, await windowOf(run)))) throw error;
    return request(run, run.messages);
  }
}

async function makeRoom(run: AgentRun): Promise<AgentEnd | undefined> {
  const contextTokens = await windowOf(run);
  const fill = run.history.fill(contextTokens);
  if (fill === "fits" || (await compact(run, contextTokens)) || fill === "near") return undefined;
  return { end: "context-exhausted", contextTokens };
}

async function compact(run: AgentRun, contextTokens: number): Promise<boolean> {
  const done = await run.history.compact(contextTokens, (messages) => summarize(run, messages));
  if (done === "too-soon" || done === "nothing-left") return false;
  // What was looked at is no longer in the conversation: it may be looked at again.
  run.guards = createGuards();
  await run.record({ type: "compacted", step: run.tally.steps + 1, ...done });
  return true;
}

/** Undefined where the model can't or won't: the summary is then made without it. */
async function summarize(run: AgentRun, messages: readonly Message[]): Promise<string | undefined> {
  try {
    const { text, calls } = await request(run, messages);
    return text === "" || calls.length > 0 ? undefined : text;
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}

async function request(run: AgentRun, messages: readonly Message[]): Promise<Reply> {
  const { model, tools, signal, record, tally, history, now } = run;
  const step = tally.steps + 1;
  await record({ type: "model.intent", step });
  const started = now();
  let cut = "";
  const reply = await model.reply({ messages, tools, signal, onCut: (text) => (cut = text) }).catch(async (error) => {
    if (cut !== "") await record({ type: "model.cut", step, text: cut });
    throw error;
  });
  const { calls, recovered, text, after, usage, waitedMs, finish, turn } = reply;
  tally.ms -= waitedMs;
  addUsage(tally, usage);
  if (messages === run.messages) history.answered(reply);
  const facts = {
    ...(after !== undefined && { after }),
    ...(finish !== undefined && { finish }),
    ...(turn && { turn }),
  };
  const ms = now() - started;
  await record({ type: "model.result", step, calls: calls.length, recovered, text, usage, ms, ...facts });
  return reply;
}

/** Its server may have to be waited for: that costs nothing. */
async function windowOf({ model, signal, tally, now }: AgentRun): Promise<number> {
  const began = now();
  const { contextTokens } = await model.describe(signal);
  tally.ms -= now() - began;
  return contextTokens;
}
