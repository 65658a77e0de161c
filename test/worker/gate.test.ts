import { expect, it } from "vitest";
import { describeEnd } from "../../worker/container.ts";

it("names each way in which a check was stopped", () => {
  const limits = { totalMs: 30 * 60_000, idleMs: 20 * 60_000, outputBytes: 256 * 2 ** 20 };
  const reason = "the tree grew over 16384 MB, its limit, and everything was ended";

  expect(
    ["timed-out", "idle", "flooded", "out-of-memory", "killed"].map((end) => describeEnd({ end }, limits)),
  ).toEqual([
    "stopped at its time limit of 30 minutes",
    "stopped: no output for 20 minutes",
    "stopped: it wrote more than 256 MB",
    "ran out of memory",
    "killed",
  ]);
  expect(describeEnd({ end: "killed", reason }, limits)).toBe(`killed because ${reason}`);
});
