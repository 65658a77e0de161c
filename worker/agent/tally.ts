import { renderPrompt } from "../prompts/render.ts";
import type { Usage } from "../../src/runlog.ts";

/** Tokens as the server counts them. */
export interface Limits {
  steps: number;
  tokens: number;
  minutes: number;
}

/** What an attempt has used up, over all its rounds. */
export interface Tally {
  /** Answers that were not empty. */
  steps: number;
  tokens: number;
  /** Without what was waited for the model's server. */
  ms: number;
  warned: boolean;
  /** Turns that were begun after a limit was reached. */
  closing: number;
}

export type LimitEnd = "out-of-steps" | "out-of-tokens" | "out-of-time";

/** From which share of a limit on the model is told. */
const nearShare = 0.8;
/** Enough to submit: the first call shows the change, the second ends the attempt. */
const mostClosing = 2;

export function createTally(): Tally {
  return { steps: 0, tokens: 0, ms: 0, warned: false, closing: 0 };
}

export function addUsage(tally: Tally, { promptTokens, completionTokens }: Usage): void {
  tally.tokens += promptTokens + completionTokens;
}

/**
 * What the limits mean for the turn that begins: `tell` goes to the model; when one is reached, two more turns are left
 * in which it can submit, and then the end.
 */
export function nextTurn(limits: Limits, tally: Tally): { closing: boolean; tell?: string; end?: LimitEnd } {
  const { share, end, what, used, limit } = nearest(limits, tally);
  if (share >= 1) {
    if (tally.closing === mostClosing) return { closing: true, end };
    tally.closing++;
    return { closing: true, ...(tally.closing === 1 && { tell: renderPrompt("limit-reached", { limit, what }) }) };
  }
  if (share < nearShare || tally.warned) return { closing: false };
  tally.warned = true;
  return { closing: false, tell: renderPrompt("limit-near", { used, limit, what }) };
}

function nearest(limits: Limits, { steps, tokens, ms }: Tally) {
  const all = [
    { end: "out-of-steps" as const, what: "steps", spent: steps, most: limits.steps },
    { end: "out-of-tokens" as const, what: "tokens", spent: tokens, most: limits.tokens },
    { end: "out-of-time" as const, what: "minutes", spent: ms / 60_000, most: limits.minutes },
  ].map((one) => ({ ...one, share: one.most > 0 ? one.spent / one.most : 1 }));
  const { share, end, what, spent, most } = all.reduce((first, other) => (other.share > first.share ? other : first));
  return { share, end, what, used: String(Math.floor(spent)), limit: String(most) };
}
