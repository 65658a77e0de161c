import type { RunEvent, Submission } from "../../src/runlog.ts";
import { renderPrompt } from "../prompts/render.ts";
import { ModelError } from "./model.ts";
import type { Message, ModelClient, Reply, ToolCall } from "./model.ts";
import { callTool, summaryOf } from "./tool.ts";
import type { Tool } from "./tool.ts";

export interface AgentTask {
  model: ModelClient;
  tools: readonly Tool[];
  /** Append-only: what the agent says and does is added at the end, so that the caller can go on in it. */
  messages: Message[];
  /** Waiting for a server that is away costs no minutes. */
  limits: { steps: number; tokens: number; minutes: number };
  signal: AbortSignal;
  /** Awaited: an intent is on disk before its effect. */
  record: (event: AgentEvent) => Promise<void>;
  /** Trusted texts that arrived since it was last asked; the model reads them before its next answer. */
  inbox?: () => Promise<string[]>;
  now?: () => number;
}

export type AgentEvent = Extract<RunEvent, { type: `${"model" | "tool"}.${"intent" | "result"}` }>;

export type AgentEnd =
  | { end: "submitted"; submission: Submission }
  | { end: "asked"; question: string; fallback: string }
  | { end: "out-of-steps" }
  | { end: "out-of-tokens" }
  | { end: "out-of-time" }
  | { end: "no-answer"; text: string }
  | { end: "cancelled" }
  | { end: "model-failed"; error: ModelError };

const mostReminders = 3;

/** Lets the model work with the tools until it ends the attempt itself or a limit does. */
export async function runAgent(task: AgentTask): Promise<AgentEnd> {
  const { messages, limits, signal, now = Date.now } = task;
  let deadline = now() + limits.minutes * 60_000;
  let tokens = 0;
  let silent = 0;
  try {
    for (let step = 1; step <= limits.steps; step++) {
      signal.throwIfAborted();
      if (now() >= deadline) return { end: "out-of-time" };
      if (tokens >= limits.tokens) return { end: "out-of-tokens" };
      for (const text of (await task.inbox?.()) ?? []) messages.push({ role: "user", text });

      const reply = await askModel(task, step);
      deadline += reply.waitedMs;
      tokens += reply.usage.promptTokens + reply.usage.completionTokens;
      silent = reply.calls.length > 0 ? 0 : silent + 1;
      if (silent > mostReminders) return { end: "no-answer", text: reply.text };
      keepAnswer(messages, reply, silent);

      const end = await runCalls(task, reply.calls, step);
      if (end !== undefined) return end;
    }
    return { end: "out-of-steps" };
  } catch (error) {
    if (signal.aborted) return { end: "cancelled" };
    if (error instanceof ModelError) return { end: "model-failed", error };
    throw error;
  }
}

async function askModel({ model, messages, tools, signal, record, now = Date.now }: AgentTask, step: number) {
  await record({ type: "model.intent", step });
  const started = now();
  const reply: Reply = await model.reply({ messages, tools, signal });
  const { calls, text, usage } = reply;
  await record({ type: "model.result", step, calls: calls.length, text, usage, ms: now() - started });
  return reply;
}

function keepAnswer(messages: Message[], { text, calls }: Reply, silent: number): void {
  const empty = text === "" && calls.length === 0;
  if (!empty) messages.push({ role: "assistant", text, calls });
  // After the first empty answer the same request is sent once more: it gives a new sample.
  if (silent > (empty ? 1 : 0)) messages.push({ role: "user", text: renderPrompt("reminder", {}) });
}

async function runCalls(task: AgentTask, calls: readonly ToolCall[], step: number): Promise<AgentEnd | undefined> {
  const { tools, messages, signal, record, now = Date.now } = task;
  let end: AgentEnd | undefined;
  for (const call of calls) {
    // Every call needs its result: the conversation may go on after the end.
    if (end !== undefined) {
      messages.push({ role: "tool", callId: call.id, text: "Not run: the call before it ended the attempt." });
      continue;
    }
    await record({ type: "tool.intent", step, name: call.name, summary: summaryOf(call) });
    const started = now();
    const result = await callTool(tools, call, signal);
    messages.push({ role: "tool", callId: call.id, text: result.text });
    const ok = !("failed" in result && result.failed);
    const bytes = Buffer.byteLength(result.text);
    await record({ type: "tool.result", step, name: call.name, ok, ms: now() - started, bytes });
    if ("end" in result) end = result.end;
  }
  return end;
}
