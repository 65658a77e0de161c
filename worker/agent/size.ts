import type { Usage } from "../../src/runlog.ts";
import type { Message } from "./model.ts";
import type { WireTool } from "./schema.ts";

/** How many tokens the next request of a conversation takes. */
export interface PromptSizes {
  /** `counted`: of those the server counted so many itself, for the request before. */
  estimate(messages: readonly Message[], tools: readonly WireTool[]): { tokens: number; counted: number };
  /** Notes what the server counted for a request, so that only what comes after it has to be estimated. */
  counted(messages: readonly Message[], tokens: number): void;
}

/** Sizes are kept per message list, which a run only appends to; one that was rewritten begins anew. */
export function createPromptSizes(): PromptSizes {
  const known = new WeakMap<readonly Message[], { length: number; end: Message | undefined; tokens: number }>();
  return {
    estimate(messages, tools) {
      const last = known.get(messages);
      if (last !== undefined && messages[last.length - 1] === last.end)
        return { tokens: last.tokens + estimateTokens(messages.slice(last.length)), counted: last.tokens };
      return { tokens: estimateTokens(messages) + textTokens(JSON.stringify(tools)), counted: 0 };
    },
    counted(messages, tokens) {
      known.set(messages, { length: messages.length, end: messages.at(-1), tokens });
    },
  };
}

/**
 * Whether the server took much less than was sent, as one does that leaves out the oldest messages without a word, or
 * counts more than it has room for.
 */
export function isShortened(
  { promptTokens }: Usage,
  sent: { promptTokens: number; countedTokens: number },
  contextTokens: number,
): boolean {
  if (promptTokens > contextTokens) return true;
  // The estimate of a short request is too rough; and one that was only added to can't have become smaller.
  return (
    (sent.promptTokens > 2000 && promptTokens < 0.6 * sent.promptTokens) || promptTokens < 0.98 * sent.countedTokens
  );
}

/** About as many tokens as a text has, rather more: three bytes each. */
export function textTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 3);
}

/** About as many tokens as messages have, rather more. */
export function estimateTokens(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => {
    const calls = message.role === "assistant" ? message.calls : [];
    const texts = [message.text, ...calls.flatMap((call) => [call.name, call.arguments])];
    return sum + texts.reduce((tokens, text) => tokens + textTokens(text), 8);
  }, 0);
}
