import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

/** By this exit code `agent-fix.js` knows that the process wants to be started again; sysexits.h calls it EX_SOFTWARE. */
export const crashCode = 70;

/** What nothing caught ends the process, since the state that it leaves can't be trusted; the log says so in one line. */
export function endOnCrash(log: Log): void {
  process.on("uncaughtException", (error) => crash(log, error));
}

/** Ends the process at once. What it had in work goes back to the queue when its locks run out. */
export function crash(log: Log, error: unknown): never {
  const stack = error instanceof Error ? error.stack : undefined;
  log.fatal({ error: messageOf(error), stack }, "the process can't go on and ends");
  process.exit(crashCode);
}
