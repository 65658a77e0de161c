import { leastAnswer, margin } from "./limits.ts";
import type { OverflowNumbers } from "./model.ts";

const words = [
  /maximum context length (?:is|of) \d+/i,
  /context length is only \d+/i,
  /longer than the (?:model'?s )?context length/i,
  /exceeds the (?:model'?s )?maximum context length/i,
  /exceeds the available context size/i,
  /exceed_context_size_error/,
  /greater than the context length/i,
  /reduce the length of the (?:messages|input prompt)/i,
  /cannot be greater than max_(?:model_len|total_tokens)/i,
  /context[_ ]length[_ ]exceeded/i,
  /prompt is too long/i,
  /input is too long/i,
];
const limit =
  /(?:maximum context length (?:is|of)|context length is only|max_model_len=|context (?:length|size) \(|"n_ctx":)\s*(\d+)/i;
const prompt =
  /(?:input \(|request \(|prompt contains (?:at least )?|requested \d+ tokens \(|You passed |total of \d+ tokens: |"n_prompt_tokens":)\s*(\d+)/i;
/** A server that is told to cut stops counting one token behind its limit. */
const lowerBound = /contains at least \d+ input tokens/i;

/** What an error body says about a request that is too long; undefined when it is about something else. */
export function overflowIn(body: string): OverflowNumbers | undefined {
  if (!words.some((pattern) => pattern.test(body))) return undefined;
  return { limit: numberIn(limit, body), prompt: numberIn(prompt, body), atLeast: lowerBound.test(body) };
}

/** How many tokens may be asked for where only the wanted answer was too long; undefined where the prompt was. */
export function shorterAnswer(
  said: OverflowNumbers | undefined,
  sent: { promptTokens: number; maxTokens: number } | undefined,
): number | undefined {
  if (said?.limit === undefined || sent === undefined) return undefined;
  const room = said.limit - (said.prompt ?? sent.promptTokens) - margin;
  const shorter = Math.min(room, said.atLeast ? Math.floor(sent.maxTokens / 2) : room);
  return shorter >= leastAnswer && shorter < sent.maxTokens ? shorter : undefined;
}

function numberIn(pattern: RegExp, text: string): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
