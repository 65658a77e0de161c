import type { AssumedPace } from "./pace.ts";
import type { WatchLimits } from "./watch.ts";

/** `firstMs` and `idleMs` are what is added to the time that the server is reckoned to need. */
export interface ModelLimits extends WatchLimits, AssumedPace {
  /** How long in all a server that has never answered may be away or busy: it may be set up wrongly. */
  maxWaitMs: number;
  /** The same for one that has: it will be back, and the runs go on where they stand. */
  maxAwayMs: number;
  /** How often a server that has answered is asked again after it refused the key, or did not know the model any more. */
  refusals: number;
  /** How long a new run is held back while the server is full. */
  maxHeldMs: number;
  /** How often an answer is asked for that fails on the server. */
  attempts: number;
  /** Longest answer. */
  answerTokens: number;
}

export const defaultLimits: ModelLimits = {
  callMs: 20 * 60_000,
  firstMs: 180_000,
  idleMs: 60_000,
  readsPerSecond: 500,
  writesPerSecond: 50,
  maxWaitMs: 15 * 60_000,
  maxAwayMs: 24 * 60 * 60_000,
  refusals: 3,
  maxHeldMs: 15 * 60_000,
  attempts: 10,
  answerTokens: 16_384,
};
/** The server adds tokens of its own around every message. */
export const margin = 128;
/** Asked for even when the estimate leaves no room: the server counts exactly, and says so when it is too much. */
export const leastAnswer = 512;

/** How long an answer may be asked for beside a prompt of so many tokens. */
export function roomFor(promptTokens: number, contextTokens: number, { answerTokens }: ModelLimits): number {
  return Math.min(answerTokens, Math.max(leastAnswer, contextTokens - promptTokens - margin));
}
