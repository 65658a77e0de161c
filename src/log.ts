import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type { Redact } from "./redact.ts";

export type Log = Logger;

/** One JSON line per event on `destination` (default: stderr); every line passes `redact` before it is written. */
export function createLog(level: string, redact: Redact, destination?: DestinationStream): Log {
  return pino(
    { level, base: null, messageKey: "msg", hooks: { streamWrite: (line) => redact(line) } },
    destination ?? pino.destination({ dest: 2, sync: true }),
  );
}
