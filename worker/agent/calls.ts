import { toolCalled } from "./coerce.ts";
import type { AgentEnd, AgentRun } from "./loop.ts";
import type { ToolCall } from "./model.ts";
import { nudgeText } from "./rules.ts";
import { callTool, summaryOf } from "./tool.ts";
import type { CallResult } from "./tool.ts";

/** A person has little time. */
const mostQuestions = 3;

/** Runs the calls of an answer one after another. Each has its result in the end, whatever becomes of it. */
export async function runCalls(
  run: AgentRun,
  calls: readonly ToolCall[],
  closing: boolean,
): Promise<AgentEnd | undefined> {
  const { messages, rules } = run;
  const understood: boolean[] = [];
  let end: AgentEnd | undefined;
  let last = "";
  for (const call of calls) {
    const isMore = end?.end === "asked" && end.questions.length < mostQuestions && call.name === "ask";
    const result =
      end === undefined || isMore ? await runCall(run, call, closing) : skipped("the call before it ended the work");
    messages.push({ role: "tool", callId: call.id, text: result.text });
    understood.push(result.refused === undefined);
    last = result.text;
    if ("end" in result) end = joined(end, result.end);
  }
  if (end !== undefined) return end;
  const decision = rules.understood(understood);
  if (decision?.kind === "stop") return { end: decision.end, text: last };
  if (decision?.kind === "nudge") messages.push({ role: "user", text: nudgeText(decision.prompt) });
  return undefined;
}

/** Questions of one answer are asked together. */
function joined(before: AgentEnd | undefined, end: AgentEnd): AgentEnd {
  if (before?.end !== "asked") return end;
  return end.end === "asked" ? { end: "asked", questions: [...before.questions, ...end.questions] } : before;
}

async function runCall(run: AgentRun, call: ToolCall, closing: boolean): Promise<CallResult> {
  if (closing && toolCalled(run.tools, call.name)?.name !== "submit")
    return skipped("the limit is reached, and only `submit` runs");
  const found = run.guards.before(call);
  if (found !== undefined) return refused(call, found.text, found.kind === "stuck");

  const result = await recordedCall(run, call);
  if (result.refused !== undefined || "end" in result) return result;
  const { text, failed = false } = result;
  const noticed = run.guards.after(call, { text, failed });
  if (noticed?.kind === "stuck") return { ...result, end: stuck(call, noticed.text) };
  if (noticed === undefined) return result;
  return {
    ...result,
    text: `${text}\n\n[${noticed.text} The same again brings nothing new: go about it another way.]`,
  };
}

async function recordedCall({ tools, signal, record, tally, now }: AgentRun, call: ToolCall): Promise<CallResult> {
  const { name } = call;
  const step = tally.steps;
  await record({ type: "tool.intent", step, name, summary: summaryOf(call) });
  const started = now();
  const result = await callTool(tools, call, signal);
  const ok = !("failed" in result && result.failed);
  const bytes = Buffer.byteLength(result.text);
  const { repaired, refused: reason } = result;
  const notes = { ...(repaired && { repaired }), ...(reason && { refused: reason }) };
  await record({ type: "tool.result", step, name, ok, ms: now() - started, bytes, ...notes });
  return result;
}

function refused(call: ToolCall, fact: string, isStuck: boolean): CallResult {
  const text = `Not run: ${fact} Nothing has changed since. Go about it another way: look at something else, try another cause, or call \`submit\` and say in it what is in the way.`;
  return isStuck ? { text, end: stuck(call, fact) } : { text, failed: true };
}

function stuck(call: ToolCall, fact: string): AgentEnd {
  return { end: "stuck", fact, call: `${call.name} ${summaryOf(call)}` };
}

function skipped(reason: string): CallResult {
  return { text: `Not run: ${reason}.`, failed: true };
}
