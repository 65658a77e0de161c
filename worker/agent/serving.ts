import { discover } from "./discover.ts";
import type { Served, Sources, Wanted } from "./discover.ts";
import type { ModelError, ModelErrorKind } from "./model.ts";
import { shorterAnswer } from "./overflow.ts";
import { createExtensions } from "./wire.ts";
import type { Extensions } from "./wire.ts";

/** What a process has found out about its model server. */
export interface Serving {
  extensions: Extensions;
  /** Looks it up once, and again after the server was away or knew the model no more. */
  known(signal: AbortSignal): Promise<Served>;
  /** Learns from a failure; whether there is something to put right, so that the next request may do. */
  corrects(error: ModelError, asked: Asked): boolean;
}

/** What is known while one reply is asked for. */
export interface Asked {
  began: number;
  attempts: number;
  sent: { promptTokens: number; maxTokens: number } | undefined;
  /** The room that the server left for the answer. */
  shorter: number | undefined;
  /** What was put right already: the second time it is an error. */
  corrected: Set<ModelErrorKind>;
}

export function createServing(sources: Sources, wanted: Wanted): Serving {
  const extensions = createExtensions(wanted.priority);
  let served: Served | undefined;

  function learn(contextTokens: number | undefined) {
    if (served === undefined || contextTokens === undefined) return;
    served = { ...served, contextTokens: Math.min(served.contextTokens, contextTokens) };
  }

  return {
    extensions,
    async known(signal) {
      served ??= await discover(sources, wanted, signal);
      return served;
    },
    corrects(error, asked) {
      const again = asked.corrected.has(error.kind);
      asked.corrected.add(error.kind);
      switch (error.kind) {
        case "bad-request":
          return extensions.refusedBy(error.message);
        case "overflow":
          learn(error.overflow?.limit);
          asked.shorter = again ? undefined : shorterAnswer(error.overflow, asked.sent);
          return asked.shorter !== undefined;
        case "unknown-model": {
          // Another model may be served by now: looked up once more, which also finds out what is there instead.
          const stale = served !== undefined;
          served = undefined;
          return stale && !again;
        }
        case "repetition":
          return !again;
        case "away":
          // What comes back may have been started otherwise.
          served = undefined;
          return false;
        case "stalled":
        case "refused":
        case "server-error":
          return false;
      }
    },
  };
}
