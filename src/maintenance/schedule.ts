import { Cron } from "croner";

/** A cron line and the time zone it is meant in. */
export interface Schedule {
  schedule: string;
  timezone: string;
}

/**
 * The newest time of a schedule that lies after `since` and not after `now`: what was missed meanwhile counts once.
 * Undefined where there is none. Where clocks are put forward or back, each day still has its time once.
 */
export function dueSlot(schedule: Schedule, { since, now }: { since: Date; now: Date }): Date | undefined {
  // It finds times before a moment, in whole seconds.
  const [newest] = cronOf(schedule).previousRuns(1, new Date(now.getTime() + 1));
  return newest !== undefined && newest > since ? newest : undefined;
}

/** Undefined where the schedule has no time any more, such as on a 30th of February. */
export function nextTime(schedule: Schedule, now: Date): Date | undefined {
  return cronOf(schedule).nextRun(now) ?? undefined;
}

function cronOf({ schedule, timezone }: Schedule): Cron {
  return new Cron(schedule, { timezone, paused: true });
}

/** Whether a time lies in one of the hours, each such as "22:00-06:00": with its start, without its end. */
export function isQuiet(hours: readonly string[], timezone: string, now: Date): boolean {
  const at = clockIn(timezone, now);
  return hours.some((range) => {
    const [from = "", to = ""] = range.split("-");
    return from <= to ? from <= at && at < to : at >= from || at < to;
  });
}

const stepMs = 5 * 60_000;

/** A time after the quiet hours that `now` lies in, at most five minutes late; a day later where they never end. */
export function quietUntil(hours: readonly string[], timezone: string, now: Date): Date {
  for (let step = 1; step < 288; step++) {
    const time = new Date(now.getTime() + step * stepMs);
    if (!isQuiet(hours, timezone, time)) return time;
  }
  return new Date(now.getTime() + 288 * stepMs);
}

/** Such as "2026-11-23 05:00 (Europe/Berlin)". */
export function timeIn(timezone: string, time: Date): string {
  const day = new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, dateStyle: "short" }).format(time);
  return `${day} ${clockIn(timezone, time)} (${timezone})`;
}

function clockIn(timezone: string, time: Date): string {
  const options = { timeZone: timezone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return new Intl.DateTimeFormat("en-GB", options).format(time);
}
