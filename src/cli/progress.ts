import type { RunEvent, RunLog, Stamped } from "../runlog.ts";
import { describe } from "./runs.ts";

/** A run log that also tells `onEvent` what it has written. */
export function teeRunLog(log: RunLog, onEvent: (event: Stamped) => void): RunLog {
  return {
    dir: log.dir,
    events: log.events,
    async append(event: RunEvent) {
      await log.append(event);
      const written = log.events.at(-1);
      if (written !== undefined) onEvent(written);
    },
    close: () => log.close(),
  };
}

/** Prints a run's events: for people a line for each that says something, else one JSON object each. */
export function createProgress(json: boolean): (event: Stamped) => void {
  const started = performance.now();
  return (event) => {
    if (json) {
      console.log(JSON.stringify({ event: event.type, ...event }));
      return;
    }
    if (event.type === "model.intent" || event.type === "tool.result" || event.type.startsWith("token")) return;
    const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
    const line = `${seconds} s  ${event.type.padEnd(15)} ${describe(event).replaceAll(/\s+/g, " ")}`;
    console.log(line.slice(0, process.stdout.columns ?? 180));
  };
}
