import type { WatchLimits } from "./watch.ts";

/** How fast a server works, as its answers show. */
export interface Pace {
  /** The patience with one request. */
  limits(base: WatchLimits, request: { promptTokens: number; maxTokens: number; holdsCalls: boolean }): WatchLimits;
  /** `newTokens`: what the server can't have had in its cache. */
  measured(answer: { newTokens: number; firstMs: number; completionTokens: number; ms: number }): void;
}

/** Tokens per second that are assumed until an answer shows better. */
export interface AssumedPace {
  readsPerSecond: number;
  writesPerSecond: number;
}

/** Shorter ones measure the network and the queue. */
const telling = { newTokens: 1000, completionTokens: 100 };

export function createPace({ readsPerSecond, writesPerSecond }: AssumedPace): Pace {
  // Per token and not per second, so that one slow answer counts for more than one that the cache made fast.
  let readMs = 1000 / readsPerSecond;
  let writeMs = 1000 / writesPerSecond;
  return {
    limits(base, { promptTokens, maxTokens, holdsCalls }) {
      const firstMs = base.firstMs + 3 * promptTokens * readMs;
      // Servers hold back a call, or a long value in it, until its end is there.
      const heldMs = 2 * maxTokens * writeMs;
      return { ...base, firstMs: firstMs + (holdsCalls ? heldMs : 0), idleMs: base.idleMs + heldMs };
    },
    measured({ newTokens, firstMs, completionTokens, ms }) {
      if (newTokens >= telling.newTokens) readMs = (readMs + firstMs / newTokens) / 2;
      // In all its time, since the pieces of an answer that was held back come at once.
      if (completionTokens >= telling.completionTokens) writeMs = (writeMs + ms / completionTokens) / 2;
    },
  };
}
