import { setTimeout } from "node:timers/promises";
import type { ModelError } from "./model.ts";

export type Delay = (ms: number, signal: AbortSignal) => Promise<void>;

export interface RetryPolicy {
  /** Longest time in all that a server may be away or busy. */
  maxWaitMs: number;
  /** How often an answer that failed on the server is asked for. */
  attempts: number;
  /** How often it is asked for again when the key was refused, or the model is not known. */
  refusals: number;
  delay: Delay;
  random: () => number;
  /** Told before every wait. */
  onWait: (error: ModelError, ms: number) => void;
}

const firstMs = 1000;
const longestMs = 60_000;
/** For what only a person can put right. */
const personMs = 5 * 60_000;
/** A silent server takes minutes each time. */
const mostStalls = 3;

/** Waits and returns early, by throwing, when `signal` aborts. */
export const realDelay: Delay = async (ms, signal) => {
  await setTimeout(ms, undefined, { signal });
};

/** How long to wait after the attempt with this number, from 1: growing, spread, and never shorter than the server asks for. */
export function waitAfter(error: ModelError, attempt: number, random: () => number): number {
  const needsPerson = error.kind === "refused" || error.kind === "unknown-model";
  const grown = needsPerson ? personMs : Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * random();
  return Math.max(grown, error.retryAfterMs ?? 0);
}

/** Whether the same request is worth another attempt; a server that is away is asked as long as there is time. */
export function mayPass({ kind }: ModelError, attempt: number, { attempts, refusals }: RetryPolicy): boolean {
  switch (kind) {
    case "away":
      return true;
    case "server-error":
      return attempt < attempts;
    case "stalled":
      return attempt < Math.min(attempts, mostStalls);
    case "refused":
    case "unknown-model":
      return attempt <= refusals;
    case "bad-request":
    case "overflow":
    case "repetition":
      return false;
  }
}
