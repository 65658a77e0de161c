import type { Message, ToolSpec } from "./model.ts";
import type { Usage } from "../../src/runlog.ts";
import { wireTools } from "./schema.ts";

/** How many tokens the next request of a conversation takes. */
export interface PromptSizes {
  estimate(messages: readonly Message[], tools: readonly ToolSpec[]): number;
  /** Notes what the server counted for a request, so that only what comes after it has to be estimated. */
  counted(messages: readonly Message[], usage: Usage): void;
}

/** Sizes are kept per message list, which a run only appends to. */
export function createPromptSizes(): PromptSizes {
  const known = new WeakMap<readonly Message[], { length: number; tokens: number }>();
  return {
    estimate(messages, tools) {
      const last = known.get(messages);
      if (last !== undefined && last.length <= messages.length)
        return last.tokens + estimateTokens(messages.slice(last.length));
      return estimateTokens(messages) + textTokens(JSON.stringify(wireTools(tools)));
    },
    counted(messages, usage) {
      known.set(messages, { length: messages.length, tokens: usage.promptTokens });
    },
  };
}

/** About as many tokens as a text has, rather more: three bytes each. */
export function textTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 3);
}

function estimateTokens(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => {
    const calls = message.role === "assistant" ? message.calls : [];
    const texts = [message.text, ...calls.flatMap((call) => [call.name, call.arguments])];
    return sum + texts.reduce((tokens, text) => tokens + textTokens(text), 8);
  }, 0);
}
