import type { Usage } from "../../src/runlog.ts";
import { holdsCalls } from "./discover.ts";
import type { Served } from "./discover.ts";
import { roomFor } from "./limits.ts";
import type { ModelLimits } from "./limits.ts";
import type { Message } from "./model.ts";
import { createPace } from "./pace.ts";
import type { WireTool } from "./schema.ts";
import { createPromptSizes } from "./size.ts";
import type { WatchLimits } from "./watch.ts";

/** The measures of one request. */
export interface Plan {
  promptTokens: number;
  /** Of those the server counted so many itself, for the request before or for this one. */
  countedTokens: number;
  maxTokens: number;
  patience: WatchLimits;
}

/** How long requests are, how long an answer may be and how long it is waited for, by what the server showed before. */
export interface Measures {
  /** `shorter`: the longest answer, where the server has said it. */
  plan(request: { messages: readonly Message[]; tools: readonly WireTool[] }, model: Served, shorter?: number): Plan;
  /** Notes what the server counted for a request that has not been sent yet. */
  counted(messages: readonly Message[], tokens: number): void;
  learn(messages: readonly Message[], plan: Plan, usage: Usage, times: { firstMs: number; ms: number }): void;
}

export function createMeasures(limits: ModelLimits): Measures {
  const sizes = createPromptSizes();
  const pace = createPace(limits);
  return {
    plan({ messages, tools }, { contextTokens, server }, shorter) {
      const { tokens: promptTokens, counted: countedTokens } = sizes.estimate(messages, tools);
      const maxTokens = shorter ?? roomFor(promptTokens, contextTokens, limits);
      const patience = pace.limits(limits, { promptTokens, maxTokens, holdsCalls: holdsCalls(server) });
      return { promptTokens, countedTokens, maxTokens, patience };
    },
    counted: (messages, tokens) => sizes.counted(messages, tokens),
    learn(messages, { countedTokens }, { promptTokens, completionTokens, cachedTokens }, times) {
      sizes.counted(messages, promptTokens);
      pace.measured({ newTokens: promptTokens - Math.max(cachedTokens, countedTokens), completionTokens, ...times });
    },
  };
}
