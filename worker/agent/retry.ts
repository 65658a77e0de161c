import { setTimeout } from "node:timers/promises";
import { ModelError } from "./model.ts";

export type Delay = (ms: number, signal: AbortSignal) => Promise<void>;

export interface RetryPolicy {
  /** Longest time in all that a server may be away or busy. */
  maxWaitMs: number;
  /** How often an answer that failed on the server is asked for. */
  attempts: number;
  delay: Delay;
  random: () => number;
  /** Told before every wait. */
  onWait: (error: ModelError, ms: number) => void;
}

const firstMs = 1000;
const longestMs = 60_000;

/** Waits and returns early, by throwing, when `signal` aborts. */
export const realDelay: Delay = async (ms, signal) => {
  await setTimeout(ms, undefined, { signal });
};

/**
 * Tries again while the server is away, busy or failing, with growing, jittered waits that are never shorter than the
 * server asks for. Everything else, and the last error, is thrown.
 */
export async function withRetry<T>(policy: RetryPolicy, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  let lost = 0;
  for (let attempt = 1; ; attempt++) {
    const began = performance.now();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ModelError) || !isPassing(error, attempt, policy.attempts)) throw error;
      const grown = Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * (0.5 + policy.random() / 2);
      const ms = Math.max(grown, error.retryAfterMs ?? 0);
      lost += performance.now() - began + ms;
      if (lost > policy.maxWaitMs) throw error;
      policy.onWait(error, ms);
      await policy.delay(ms, signal);
    }
  }
}

function isPassing(error: ModelError, attempt: number, attempts: number): boolean {
  return error.kind === "away" || (error.kind === "server-error" && attempt < attempts);
}
