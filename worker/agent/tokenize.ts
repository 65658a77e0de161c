import { z } from "zod";
import type { Served } from "./discover.ts";
import type { AskJson } from "./http.ts";
import type { RequestParts } from "./wire.ts";
import { toWire } from "./wire.ts";

const answer = z.object({ count: z.number().int().positive() });
const patienceMs = 10_000;

/** Counts a conversation exactly where the server does so; undefined where it does not. */
export type Count = (
  parts: Omit<RequestParts, "maxTokens">,
  server: Served["server"],
  signal: AbortSignal,
) => Promise<number | undefined>;

/** `POST /tokenize` with messages and tools is vLLM's own; of a server that has refused it, nothing is asked again. */
export function createCount(beside: AskJson): Count {
  let isThere = true;
  return async ({ model, messages, tools }, server, signal) => {
    if (server !== "vllm" || !isThere) return undefined;
    const body = { model, messages: messages.map(toWire), tools, add_generation_prompt: true };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const told = await beside("/tokenize", limit, body).catch(() => undefined);
    signal.throwIfAborted();
    const counted = answer.safeParse(told);
    isThere = counted.success;
    return counted.data?.count;
  };
}
