import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type { Redact } from "./redact.ts";

export type Log = Logger;

const mostWaiting = 2 ** 20;

/** One JSON line per event on `destination` (default: stderr); every line passes `redact` before it is written. */
export function createLog(level: string, redact: Redact, destination?: DestinationStream): Log {
  return pino(
    { level, base: null, messageKey: "msg", hooks: { streamWrite: (line) => redact(line) } },
    destination ?? standardError(),
  );
}

/** While nothing can be written, as on a full disk, lines wait up to `mostWaiting` bytes, and more are lost. */
function standardError(): DestinationStream {
  const written = pino.destination({ dest: 2, sync: true, maxLength: mostWaiting });
  // Without a listener it would throw at whoever has something to tell.
  written.on("error", () => {});
  return written;
}
