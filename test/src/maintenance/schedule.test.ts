import { describe, expect, it } from "vitest";
import { dueSlot, isQuiet, nextTime, quietUntil, timeIn } from "../../../src/maintenance/schedule.ts";

const at = (text: string) => new Date(text);
const berlin = (schedule: string) => ({ schedule, timezone: "Europe/Berlin" });

describe("the newest time of a schedule that has come", () => {
  it("is none before the first one", () => {
    const since = at("2026-11-21T12:00:00Z");

    expect(dueSlot(berlin("0 5 * * 1"), { since, now: at("2026-11-23T03:59:59Z") })).toBeUndefined();
  });

  it("has come in its very second", () => {
    const since = at("2026-11-21T12:00:00Z");
    const slot = at("2026-11-23T04:00:00Z");

    expect(dueSlot(berlin("0 5 * * 1"), { since, now: slot })).toEqual(slot);
    expect(dueSlot(berlin("0 5 * * 1"), { since: slot, now: slot })).toBeUndefined();
  });

  it("is the last of many that were missed", () => {
    const since = at("2026-01-01T00:00:00Z");

    expect(dueSlot(berlin("0 5 * * 1"), { since, now: at("2026-11-26T00:00:00Z") })).toEqual(
      at("2026-11-23T04:00:00Z"),
    );
  });

  it("is found at once where there were many times, and where the last one is years past", () => {
    const since = at("2021-01-01T00:00:00Z");
    const now = at("2026-11-26T06:00:00Z");

    expect(dueSlot({ schedule: "* * * 2-9 *", timezone: "UTC" }, { since, now })).toEqual(at("2026-09-30T23:59:00Z"));
    expect(dueSlot({ schedule: "* * 29 2 *", timezone: "UTC" }, { since, now })).toEqual(at("2024-02-29T23:59:00Z"));
  });

  it.each([
    ["put forward", "2026-03-28", "2026-03-30"],
    ["put back", "2026-10-24", "2026-10-26"],
  ])("comes once a day where clocks are %s in that hour", (_how, from, to) => {
    const found = new Set<string>();
    let since = at(`${from}T00:00:00Z`);
    for (let now = since.getTime(); now < at(`${to}T00:00:00Z`).getTime(); now += 300_000) {
      const slot = dueSlot(berlin("30 2 * * *"), { since, now: new Date(now) });
      if (slot === undefined) continue;
      found.add(slot.toISOString());
      since = slot;
    }

    expect(found.size).toBe(2);
  });
});

it("the next time is in the schedule's own zone", () => {
  expect(nextTime(berlin("0 5 * * 1"), at("2026-06-01T03:00:00Z"))).toEqual(at("2026-06-08T03:00:00Z"));
  expect(timeIn("Europe/Berlin", at("2026-06-08T03:00:00Z"))).toBe("2026-06-08 05:00 (Europe/Berlin)");
});

describe("quiet hours", () => {
  it.each([
    ["2026-11-23T21:30:00Z", true],
    ["2026-11-23T20:59:00Z", false],
    ["2026-11-24T04:59:00Z", true],
    ["2026-11-24T05:00:00Z", false],
  ])("over midnight hold at %s: %s", (time, quiet) => {
    expect(isQuiet(["22:00-06:00"], "Europe/Berlin", at(time))).toBe(quiet);
  });

  it("within a day have a start that counts and an end that does not", () => {
    expect(
      ["12:00", "12:59", "13:00"].map((time) => isQuiet(["12:00-13:00"], "UTC", at(`2026-11-23T${time}:00Z`))),
    ).toEqual([true, true, false]);
  });

  it.each([
    [["22:00-06:00"], "Europe/Berlin", "2026-11-23T22:10:00Z", "2026-11-24T05:00:00.000Z"],
    [["22:00-06:00", "06:00-07:00"], "UTC", "2026-11-23T22:08:00Z", "2026-11-24T07:03:00.000Z"],
    [["00:00-24:00"], "UTC", "2026-11-23T12:00:00Z", "2026-11-24T12:00:00.000Z"],
  ])("%s in %s at %s end by %s", (hours, zone, time, end) => {
    expect(quietUntil(hours, zone, at(time)).toISOString()).toBe(end);
  });

  it("are never where none are set", () => {
    expect(isQuiet([], "UTC", at("2026-11-23T00:00:00Z"))).toBe(false);
  });
});
