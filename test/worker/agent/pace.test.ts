import { expect, test } from "vitest";
import { createPace } from "../../../worker/agent/pace.ts";

const base = { callMs: 1_200_000, firstMs: 180_000, idleMs: 60_000 };
const assumed = { readsPerSecond: 500, writesPerSecond: 50 };
const large = { promptTokens: 100_000, maxTokens: 1000, holdsCalls: false };

test("the first piece is waited for three times as long as the server needs for such a prompt", () => {
  const pace = createPace(assumed);
  const before = pace.limits(base, large);

  for (let turn = 0; turn < 20; turn++)
    pace.measured({ newTokens: 10_000, firstMs: 5000, completionTokens: 10, ms: 6000 });
  const after = pace.limits(base, large);

  expect(before.firstMs).toBe(180_000 + 3 * 200_000);
  expect(after.firstMs).toBeCloseTo(180_000 + 3 * 50_000, -2);
});

test("a prompt that was cached, or a short answer, says nothing about the pace", () => {
  const pace = createPace(assumed);

  pace.measured({ newTokens: 200, firstMs: 1, completionTokens: 20, ms: 2 });

  expect(pace.limits(base, large)).toEqual(createPace(assumed).limits(base, large));
});

test("silence is borne as long as a whole answer may be held back", () => {
  const pace = createPace(assumed);
  const heldMs = 2 * 20_000;

  const streams = pace.limits(base, large);
  const holds = pace.limits(base, { ...large, holdsCalls: true });

  expect([streams.idleMs, holds.idleMs]).toEqual([60_000 + heldMs, 60_000 + heldMs]);
  expect(holds.firstMs - streams.firstMs).toBe(heldMs);
});
