import { LimitedError } from "./errors.ts";

/** How long the code host wants to be left alone, in milliseconds, where that is what an error says. */
export function pauseAsked(error: unknown): number | undefined {
  return error instanceof LimitedError ? Math.max(0, error.until.getTime() - Date.now()) : undefined;
}
