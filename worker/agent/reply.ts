import type { TurnFacts } from "../../src/runlog.ts";
import { markCut } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { Served } from "./discover.ts";
import type { Plan } from "./measures.ts";
import type { Reply } from "./model.ts";
import { isShortened, textTokens } from "./size.ts";

/** What was asked for, and how it went. */
export interface Sent extends Omit<TurnFacts, "model" | "server" | "maxTokens"> {
  model: Served;
  plan: Plan;
  waitedMs: number;
}

/** A complete answer in our words; a call that its end may be missing of is marked. */
export function toReply(answer: Answer, { model, plan, waitedMs, ...facts }: Sent): Reply {
  const { text, after, finish, recovered } = answer;
  const { calls, truncated } = markCut(answer, plan.maxTokens);
  const written = text.length > 0 || calls.length > 0 ? textTokens(text + calls.map((c) => c.arguments).join("")) : 0;
  const usage = answer.usage ?? { promptTokens: plan.promptTokens, completionTokens: written, cachedTokens: 0 };
  return {
    text,
    ...(after !== undefined && { after }),
    calls,
    usage,
    truncated,
    waitedMs,
    finish,
    recovered,
    shortened: answer.usage !== undefined && isShortened(answer.usage, plan, model.contextTokens),
    turn: { ...facts, maxTokens: plan.maxTokens, model: model.name, server: model.server },
  };
}
