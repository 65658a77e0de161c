import { messageOf } from "../../errors.ts";

/** `warn`: it works, but less safely or slower than it could. `bad`: runs will fail, or the machine is open to others. */
export type Level = "ok" | "warn" | "bad";

/** What was seen of one part, and what to do about it: both in whole sentences. */
export interface Seen {
  level: Level;
  saw: string;
  remedy?: string;
}

export interface Finding extends Seen {
  part: string;
}

export function ok(saw: string): Seen {
  return { level: "ok", saw };
}

export function warn(saw: string, remedy: string): Seen {
  return { level: "warn", saw, remedy };
}

export function bad(saw: string, remedy: string): Seen {
  return { level: "bad", saw, remedy };
}

/** What can't be looked at because something else, which has its own finding, does not answer. */
export function notKnown(why: string): Seen {
  return { level: "warn", saw: `not known: ${why}` };
}

/** What is thrown is a bad finding: the message names the remedy. */
export async function look(part: string, see: () => Promise<string | Seen>): Promise<Finding> {
  try {
    const seen = await see();
    return { part, ...(typeof seen === "string" ? ok(seen) : seen) };
  } catch (error) {
    return { part, level: "bad", saw: messageOf(error) };
  }
}

export function textOf({ saw, remedy }: Seen): string {
  return remedy === undefined ? saw : `${saw}. ${remedy}`;
}
