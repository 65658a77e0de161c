import { describe, expect, it } from "vitest";
import { startUpkeep } from "./support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1"}\n';
const noon = "2026-11-21T12:00:00Z";

describe("a sweep looks after a repository", () => {
  it("that it never saw, and again when that was long ago", async () => {
    await using on = await startUpkeep(weekly);
    expect(await on.needsLook(noon)).toBe(true);

    await on.at(noon);

    expect(await on.needsLook("2026-11-21T12:25:00Z")).toBe(false);
    expect(await on.needsLook("2026-11-21T12:30:00Z")).toBe(true);
  });

  it("as soon as a task is due, and as long as it is held back", async () => {
    await using on = await startUpkeep(`${weekly}unattended: {quiet: ["04:00-06:00"]}\n`);
    await on.at("2026-11-23T04:45:00Z");

    expect(await on.needsLook("2026-11-23T04:59:00Z")).toBe(false);
    expect(await on.needsLook("2026-11-23T05:00:00Z")).toBe(true);
    await on.at("2026-11-23T05:00:00Z");
    expect(await on.needsLook("2026-11-23T05:05:00Z")).toBe(true);
    await on.at("2026-11-23T06:00:00Z");
    expect(await on.needsLook("2026-11-23T06:05:00Z")).toBe(false);
  });

  it("whose run the queue lost, and not one whose run waits", async () => {
    await using on = await startUpkeep(weekly);
    await on.at(noon);
    await on.at("2026-11-23T05:00:00Z");
    expect(await on.needsLook("2026-11-23T05:05:00Z")).toBe(false);
    const [run] = await on.waiting();

    await on.deps.queues.removeWaiting(run?.runId ?? "");

    expect(await on.needsLook("2026-11-23T05:05:00Z")).toBe(true);
  });

  it("when a run has ended since", async () => {
    await using on = await startUpkeep(weekly);
    await on.at(noon);
    await on.at("2026-11-23T05:00:00Z");
    expect(await on.needsLook("2026-11-23T05:05:00Z")).toBe(false);

    await on.work();

    expect(await on.needsLook("2026-11-23T05:05:00Z")).toBe(true);
  });

  it("not for the tasks that a fork has from its parent", async () => {
    await using on = await startUpkeep(weekly);
    Object.assign(on.github.state.repositories.get("ann/shop") ?? {}, { fork: true });
    await on.at(noon);

    expect(await on.needsLook("2026-11-21T12:05:00Z")).toBe(false);
  });
});
