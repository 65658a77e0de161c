import { once } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { repeat } from "../../src/repeat.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("works at once and again, never twice at a time", async () => {
  vi.useFakeTimers();
  const works: PromiseWithResolvers<void>[] = [];
  const work = () => {
    const begun = Promise.withResolvers<void>();
    works.push(begun);
    return begun.promise;
  };
  const repeating = repeat(1000, work);

  await vi.advanceTimersByTimeAsync(5000);
  expect(works).toHaveLength(1);
  works[0]?.resolve();
  await vi.advanceTimersByTimeAsync(2000);
  expect(works).toHaveLength(2);

  works[1]?.resolve();
  await repeating[Symbol.asyncDispose]();
});

test("disposing aborts the work at hand, waits for it, and begins none after", async () => {
  vi.useFakeTimers();
  let [begun, ended] = [0, 0];
  const repeating = repeat(1000, async (signal) => {
    begun++;
    await once(signal, "abort");
    ended++;
  });

  await repeating[Symbol.asyncDispose]();
  await vi.advanceTimersByTimeAsync(5000);

  expect([begun, ended]).toEqual([1, 1]);
});
