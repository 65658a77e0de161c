import { Cron } from "croner";
import { messageOf } from "./errors.ts";
import { nearest } from "./settings-problems.ts";
import { inlineCode } from "./text.ts";

/** What is wrong with the name of a time zone. */
export function zoneProblem(zone: string): string | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone }).format();
    return undefined;
  } catch {
    const near = nearest(zone, Intl.supportedValuesOf("timeZone"));
    const remedy = near === undefined ? "Take a name such as `Europe/Berlin` or `UTC`." : `Did you mean \`${near}\`?`;
    return `it is no time zone. ${remedy}`;
  }
}

const help = "Write five fields (minute, hour, day of the month, month, day of the week), such as `0 5 * * 1`.";

/** Why a cron line names no times, or others whenever it is read. */
export function cronProblem(line: string): string | undefined {
  const fields = line.trim().split(/\s+/);
  if (fields.length !== 5) return `it has ${fields.length} of 5 fields. ${help}`;
  if (line.includes("?")) return "`?` stands for no certain time. Write `*`.";
  try {
    return new Cron(line, { paused: true }).nextRun() === null ? "there is no such day. Take another." : undefined;
  } catch (error) {
    return `it can't be read (${inlineCode(messageOf(error))}). ${help}`;
  }
}
