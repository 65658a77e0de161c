import { renderPrompt } from "../prompts/render.ts";
import { isRecord, parseJson } from "./json-text.ts";
import type { Message, Reply, ToolCall } from "./model.ts";
import { estimateTokens } from "./size.ts";

/** How full a conversation is, and the one way to rewrite it; everything else only adds to its end. */
export interface History {
  /** Notes what the server counted, before the answer is added. */
  answered(reply: Reply): void;
  /** Whether it should be shortened before the next request, and whether it has to be. */
  fill(contextTokens: number): "fits" | "near" | "over";
  /**
   * Puts a summary in the place of all but the first messages, what people said, and the last turns. `summarize` gets
   * the messages that it stands for, and a request for it; without its answer, the facts are listed.
   */
  compact(
    contextTokens: number,
    summarize: (messages: readonly Message[]) => Promise<string | undefined>,
  ): Promise<Compacted | "too-soon" | "nothing-left">;
}

export interface Compacted {
  /** How many messages were taken out. */
  messages: number;
  by: "model" | "rule";
}

/** At which share of the usable window the conversation is shortened. */
const nearShare = 0.78;
/** What the last turns may take of it. */
const tailShare = 1 / 6;
const answerTokens = 16_384;
/** Calls between one compaction and the next: a window in which less happens is too small for the task. */
const callsApart = 10;
const mostSummary = 6000;

export function createHistory(messages: Message[]): History {
  let counted: { messages: number; tokens: number } | undefined;
  let shortened: number | undefined;
  let calls = 0;
  let compactedAt = Number.NEGATIVE_INFINITY;

  return {
    answered({ usage, shortened: isShortened = false, calls: made }) {
      // What a request takes is only a rough guess where nothing of it was counted before.
      shortened = isShortened && counted !== undefined ? usage.promptTokens : undefined;
      counted = { messages: messages.length, tokens: usage.promptTokens };
      calls += Math.max(1, made.length);
    },
    fill(contextTokens) {
      if (shortened !== undefined) return compactedAt === Number.NEGATIVE_INFINITY ? "near" : "over";
      if (counted === undefined) return "fits";
      const tokens = counted.tokens + estimateTokens(messages.slice(counted.messages));
      const usable = usableTokens(contextTokens);
      if (tokens >= usable) return "over";
      return tokens >= nearShare * usable ? "near" : "fits";
    },
    async compact(contextTokens, summarize) {
      if (calls - compactedAt < callsApart) return "too-soon";
      const { head, middle } = split(messages, usableTokens(Math.min(contextTokens, shortened ?? contextTokens)));
      if (!middle.some(({ role }) => role === "assistant")) return "nothing-left";
      const request: Message = { role: "user", text: renderPrompt("summarize", {}) };
      const written = await summarize([...head, ...middle, request]);
      const text = renderPrompt("summary", { summary: (written ?? factsOf(middle)).slice(0, mostSummary) });
      const people = middle.filter((message) => "origin" in message && message.origin === "person");
      messages.splice(head.length, middle.length, ...people, { role: "user", text, origin: "summary" });
      [counted, shortened, compactedAt] = [undefined, undefined, calls];
      return { messages: middle.length, by: written === undefined ? "rule" : "model" };
    },
  };
}

/** Gives every call without a result one, right behind its message: servers refuse a conversation with a gap. */
export function answerOpenCalls(messages: Message[]): void {
  for (let at = messages.length - 1; at >= 0; at--) {
    const message = messages[at];
    if (message?.role !== "assistant") continue;
    const results = takeWhile(messages.slice(at + 1), ({ role }) => role === "tool");
    const open = message.calls.slice(results.length);
    const text = "Not run: the work was interrupted before it.";
    messages.splice(
      at + 1 + results.length,
      0,
      ...open.map((call) => ({ role: "tool" as const, callId: call.id, text })),
    );
  }
}

function usableTokens(contextTokens: number): number {
  return contextTokens - Math.min(answerTokens, Math.floor(contextTokens / 8));
}

/** The first messages up to the task, and what lies between them and the last turns. */
function split(messages: readonly Message[], usable: number): { head: Message[]; middle: Message[] } {
  const task = messages.findIndex(({ role }) => role === "user");
  const head = messages.slice(0, task + 1);
  const rest = messages.slice(head.length);
  const turns = rest.flatMap(({ role }, index) => (role === "assistant" ? [index] : []));
  const room = nearShare * usable - estimateTokens(head) - mostSummary / 3;
  const fitting = (tokens: number) => turns.find((turn) => estimateTokens(rest.slice(turn)) <= tokens);
  // The last turn may be longer than a tail is meant to be: the model has not seen its results yet.
  const last = turns.slice(-1).find((turn) => estimateTokens(rest.slice(turn)) <= room);
  return { head, middle: rest.slice(0, fitting(Math.min(room, tailShare * usable)) ?? last ?? rest.length) };
}

/** What happened, as far as the messages tell without a model: the plan, the files that were edited, the last commands. */
function factsOf(messages: readonly Message[]): string {
  const calls = messages.flatMap((message) => (message.role === "assistant" ? message.calls : []));
  const made = calls.map((call) => ({ call, args: argsOf(call) }));
  const before = messages.find((message) => "origin" in message && message.origin === "summary");
  const plan = made.findLast(({ call }) => call.name === "update_plan")?.args["items"];
  const edited = made.filter(({ args }) => args["path"] !== undefined && args["command"] !== "view");
  const commands = made.filter(({ call }) => call.name === "bash").slice(-10);
  const ending = ({ id }: ToolCall) =>
    messages
      .findLast((message) => message.role === "tool" && message.callId === id)
      ?.text.trimEnd()
      .split("\n")
      .at(-1);
  return [
    ...(before === undefined ? [] : [before.text.slice(0, mostSummary / 2)]),
    ...(plan === undefined ? [] : [`The plan:\n${plan}`]),
    listed("Files that were edited", [...new Set(edited.map(({ args }) => args["path"] ?? ""))]),
    listed(
      "The last commands",
      commands.map(({ call, args }) => `${short(args["command"] ?? "")} ${ending(call) ?? ""}`),
    ),
  ].join("\n\n");
}

function argsOf(call: ToolCall): Record<string, string> {
  const args = parseJson(call.arguments);
  return Object.fromEntries(Object.entries(isRecord(args) ? args : {}).map(([key, value]) => [key, String(value)]));
}

function listed(title: string, lines: readonly string[]): string {
  return `${title}: ${lines.length === 0 ? "none." : `\n${lines.map((line) => `- ${line}`).join("\n")}`}`;
}

function short(text: string): string {
  const line = text.slice(0, 2000).replaceAll(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

function takeWhile<T>(list: readonly T[], isWanted: (item: T) => boolean): T[] {
  const end = list.findIndex((item) => !isWanted(item));
  return list.slice(0, end < 0 ? list.length : end);
}
