import type { Outcome } from "./run.ts";

/** The repository or its settings lack something that only a person can add. */
export function needsInput(cause: string, detail: string): Outcome {
  return { outcome: "needs-input", cause, detail, pull: undefined };
}

/** The run ended without a change that passes. */
export function gaveUp(cause: string, detail: string): Outcome {
  return { outcome: "gave-up", cause, detail, pull: undefined };
}
