import { LimitedError, QuietError } from "./errors.ts";

/** How long the code host, or who set quiet hours, wants to be left alone, in milliseconds, where an error says that. */
export function pauseAsked(error: unknown): number | undefined {
  const isPause = error instanceof LimitedError || error instanceof QuietError;
  return isPause ? Math.max(0, error.until.getTime() - Date.now()) : undefined;
}
