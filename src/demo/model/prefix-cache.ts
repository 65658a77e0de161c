import type { WireMessage } from "./script.ts";

/** Counts tokens as a server with a prefix cache does, for conversations told apart by their task. */
export interface PrefixCache {
  count(messages: readonly WireMessage[], tools: string): { prompt: number; cached: number };
}

const kept = 200;

/** About four characters are a token. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}

/** What a request shares with the one before it in the same conversation is cached. */
export function createPrefixCache(): PrefixCache {
  const conversations = new Map<string, string[]>();
  return {
    count(messages, tools) {
      const parts = [tools, ...messages.map((message) => `${message.role}\n${message.text}\n`)];
      const key = messages.find((message) => message.role === "user")?.text ?? "";
      const before = conversations.get(key) ?? [];
      conversations.delete(key);
      conversations.set(key, parts);
      const [oldest] = conversations.keys();
      if (conversations.size > kept && oldest !== undefined) conversations.delete(oldest);
      const differs = parts.findIndex((part, index) => part !== before[index]);
      const shared = parts.slice(0, differs < 0 ? parts.length : differs);
      return { prompt: sum(parts), cached: sum(shared) };
    },
  };
}

function sum(parts: readonly string[]): number {
  return parts.reduce((tokens, part) => tokens + tokensOf(part), 0);
}
