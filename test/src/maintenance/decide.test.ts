import { expect, it } from "vitest";
import { decideTask } from "../../../src/maintenance/decide.ts";
import type { Standing } from "../../../src/maintenance/decide.ts";
import type { TaskMemory } from "../../../src/maintenance/memory.ts";
import { defaultSettings, parseSettings } from "../../../src/settings.ts";

const now = new Date("2026-11-23T05:00:00Z");
const due = "2026-11-23T04:00:00.000Z";
const limits = defaultSettings.unattended;
const calm: Standing = { isLive: false, open: undefined, closed: undefined };
const open = { number: 4, url: "", title: "t", isEdited: false };
const closed = { number: 3, url: "", title: "t" };
const fresh: TaskMemory = { schedule: "0 5 * * 1 UTC", slot: "2026-11-21T12:00:00Z" };
const ignored = { ...fresh, isIgnored: true };
const edited = { ...open, isEdited: true };
const actor = { id: 1, login: "agent-fix[bot]" };
const run = { id: "r1", trigger: "slot-x", actor };
const last = { run: "r1", at: "2026-11-16T05:00:00Z", outcome: "no-change" as const };

function taskOf(lines: string) {
  const parsed = parseSettings(`maintenance:\n  tidy: {schedule: "0 5 * * 1", ${lines}}\n`);
  const task = parsed.ok ? parsed.settings.maintenance["tidy"] : undefined;
  if (task === undefined) throw new Error("the settings cannot be used");
  return task;
}
const text = taskOf('task: "Tidy up"');
const dependencies = taskOf("use: dependencies");

const start = { do: "start", trigger: `slot-${due}` };
const wait = (why: string) => ({ do: "wait", why, isOver: false });
const over = (why: string) => ({ do: "wait", why, isOver: true });

interface Case {
  known?: Partial<Parameters<typeof decideTask>[0]>;
  standing?: Partial<Standing>;
  room?: { open?: number; lastHour?: number };
  decision: object;
}

it.each<[string, Case]>([
  ["a task that is due starts", { decision: start }],
  ["one that is not due waits", { known: { due: undefined }, decision: wait("not-due") }],
  ["one at work is left to work", { standing: { isLive: true }, decision: wait("works") }],
  [
    "a run that the queue lost is queued again",
    { known: { memory: { ...fresh, run } }, decision: { do: "start-again" } },
  ],
  ["a run that has ended leaves the next its turn", { known: { memory: { ...fresh, run, last } }, decision: start }],
  ["a task that is ignored lets its time pass", { known: { memory: ignored }, decision: over("ignored") }],
  ["one whose pull request was turned down lets its time pass", { standing: { closed }, decision: over("closed") }],
  [
    "one of whose contents only one was turned down goes on",
    { standing: { closed: { ...closed, content: "a@2" } }, decision: start },
  ],
  ["one whose branch a person wrote to is theirs", { standing: { open: edited }, decision: over("edited") }],
  ["an open pull request that waits to be read does not grow", { standing: { open }, decision: over("open") }],
  ["one that tools made is brought up to date", { known: { task: dependencies }, standing: { open }, decision: start }],
  [
    "also beyond the limit of open ones",
    { known: { task: dependencies }, standing: { open }, room: { open: 2 }, decision: start },
  ],
  ["with two open, a third waits", { room: { open: 2 }, decision: wait("too-many-open") }],
  ["after one within the hour, the next waits", { room: { lastHour: 1 }, decision: wait("too-many-in-an-hour") }],
])("%s", (_what, { known, standing, room, decision }) => {
  const at = { task: text, memory: fresh, due, ...known };
  expect(decideTask(at, { ...calm, ...standing }, { now, open: 0, lastHour: 0, ...room }, limits)).toEqual(decision);
});

it("in quiet hours a task waits, and its time is not over", () => {
  const quiet = { ...limits, quiet: ["04:00-06:00"] };

  expect(decideTask({ task: text, memory: fresh, due }, calm, { now, open: 0, lastHour: 0 }, quiet)).toEqual(
    wait("quiet-hours"),
  );
});
