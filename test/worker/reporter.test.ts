import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LimitedError } from "../../src/errors.ts";
import { parseStatus } from "../../src/status.ts";
import type { Progress } from "../../worker/progress.ts";
import { createReporter } from "../../worker/reporter.ts";
import type { ReportTarget } from "../../worker/reporter.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const marker = { run: "run-1", state: "working" as const, trigger: "label-1" };
const headerOf = (body: string) => /\*\*(.*)\*\*/.exec(body)?.[1] ?? "";

/** A reporter whose edits, by default, end at once; `shows` is what the run's log says. */
function startReporter(more: Partial<ReportTarget> = {}) {
  const edits: { at: number; body: string }[] = [];
  const began = performance.now();
  const shows: Progress = { header: "one", lines: [] };
  const take = async (body: string) => void edits.push({ at: performance.now() - began, body });
  const reporter = createReporter({
    writer: { tell: take, end: take },
    marker,
    everyMs: 20_000,
    guard: async () => {},
    progress: () => ({ ...shows }),
    facts: () => [],
    ...more,
  });
  const told = () => edits.map(({ at, body }) => [Math.round(at / 1000), headerOf(body)]);
  return { reporter, edits, shows, told, last: () => edits.at(-1)?.body ?? "" };
}

/** Edits that end only when the test lets them. */
function slowly() {
  const begun: string[] = [];
  const waiting: (() => void)[] = [];
  const write = async (body: string) => {
    begun.push(headerOf(body));
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    await promise;
  };
  return { begun, writer: { tell: write, end: write }, release: () => waiting.shift()?.() };
}

describe("the pace of a status comment", () => {
  it("has the first news at once, and what comes soon after in one edit when 20 seconds are over", async () => {
    const { reporter, shows, told } = startReporter();

    reporter.say();
    await vi.advanceTimersByTimeAsync(1000);
    for (const header of ["two", "three", "four"]) {
      shows.header = header;
      reporter.say();
      await vi.advanceTimersByTimeAsync(1000);
    }
    await vi.advanceTimersByTimeAsync(60_000);

    expect(told()).toEqual([
      [0, "one"],
      [20, "four"],
    ]);
    await reporter[Symbol.asyncDispose]();
  });

  it("is never faster than an edit in 20 seconds, however much there is to say", async () => {
    const { reporter, shows, edits } = startReporter();

    for (let second = 0; second < 120; second++) {
      shows.header = `second ${second}`;
      reporter.say();
      await vi.advanceTimersByTimeAsync(1000);
    }
    await reporter[Symbol.asyncDispose]();

    expect(edits.map(({ at }) => Math.round(at / 1000))).toEqual([0, 20, 40, 60, 80, 100, 120]);
  });

  it("shows every five minutes that the run lives, also without news", async () => {
    const { reporter, shows, told } = startReporter();

    reporter.say();
    await vi.advanceTimersByTimeAsync(100_000);
    shows.header = "still at it";
    await vi.advanceTimersByTimeAsync(800_000);
    await reporter[Symbol.asyncDispose]();

    expect(told()).toEqual([
      [0, "one"],
      [300, "still at it"],
      [600, "still at it"],
      [900, "still at it"],
    ]);
  });

  it("says nothing by itself before there was news", async () => {
    const { reporter, edits } = startReporter();

    await vi.advanceTimersByTimeAsync(3_600_000);
    await reporter[Symbol.asyncDispose]();

    expect(edits).toEqual([]);
  });

  it("has at most one edit under way, and the next one says what holds by then", async () => {
    const { begun, writer, release } = slowly();
    const { reporter, shows } = startReporter({ writer });

    reporter.say();
    await vi.advanceTimersByTimeAsync(30_000);
    for (const header of ["two", "three", "four"]) {
      shows.header = header;
      reporter.say();
    }
    await vi.advanceTimersByTimeAsync(30_000);
    expect(begun).toEqual(["one"]);
    release();
    await vi.advanceTimersByTimeAsync(0);

    expect(begun).toEqual(["one", "four"]);
    release();
    await reporter[Symbol.asyncDispose]();
  });

  it("leaves out what is in between while the code host wants to be left alone", async () => {
    const limited = new LimitedError(new Date(Date.now() + 600_000));
    const { reporter, shows, told } = startReporter({ guard: refusingOnce(limited) });

    reporter.say();
    await vi.advanceTimersByTimeAsync(0);
    for (let minute = 1; minute <= 11; minute++) {
      shows.header = `minute ${minute}`;
      reporter.say();
      await vi.advanceTimersByTimeAsync(60_000);
    }
    await reporter[Symbol.asyncDispose]();

    expect(told()).toEqual([
      [600, "minute 10"],
      [620, "minute 11"],
    ]);
  });

  it("makes up for an edit that failed with the next", async () => {
    const { reporter, shows, told } = startReporter({ guard: refusingOnce(new Error("502")) });

    reporter.say();
    await vi.advanceTimersByTimeAsync(5000);
    shows.header = "two";
    reporter.say();
    await vi.advanceTimersByTimeAsync(20_000);
    await reporter[Symbol.asyncDispose]();

    expect(told()).toEqual([[20, "two"]]);
  });
});

describe("what a status comment says", () => {
  it("holds the marker, the header, and what is known by then", async () => {
    const facts: string[] = [];
    const { reporter, shows, last } = startReporter({ facts: () => facts });

    shows.lines = ["line"];
    facts.push("- A note.");
    reporter.say();
    await vi.advanceTimersByTimeAsync(0);

    expect(last()).toMatch(/\*\*one\*\*\n\nline\n\n- A note\.$/);
    expect(parseStatus(last())).toEqual(marker);
    await reporter[Symbol.asyncDispose]();
  });

  it("has a state of its own while the run waits for the model, with since when", async () => {
    const { reporter, shows, last } = startReporter();

    shows.waitingSince = "2026-01-05T09:41:30.000Z";
    reporter.say();
    await vi.advanceTimersByTimeAsync(0);

    expect(last()).toMatch(/"state":"waiting-model",.*"since":"2026-01-05T09:41:30.000Z"/);
    expect(parseStatus(last())).toEqual({ ...marker, state: "waiting-model", since: "2026-01-05T09:41:30.000Z" });
    await reporter[Symbol.asyncDispose]();
  });
});

describe("the end of a status comment", () => {
  it("is written after the edit under way, and nothing after it", async () => {
    const { begun, writer, release } = slowly();
    const { reporter } = startReporter({ writer });

    reporter.say();
    await vi.advanceTimersByTimeAsync(0);
    reporter.say();
    const finished = reporter.finish("opened", "Opened #9", ["link"], { covers: "label-2" });
    reporter.say();
    release();
    await vi.advanceTimersByTimeAsync(0);
    release();
    await finished;
    reporter.say();
    await vi.advanceTimersByTimeAsync(3_600_000);

    expect(begun).toEqual(["one", "Opened #9"]);
  });

  it("is written however short the time since the last edit is, with the state and the trigger that it covers", async () => {
    const { reporter, told, last } = startReporter();

    reporter.say();
    await vi.advanceTimersByTimeAsync(0);
    await reporter.finish("gave-up", "Stopped", [], { covers: "label-2", cause: "out of steps" });

    expect(told().at(-1)).toEqual([0, "Stopped"]);
    expect(parseStatus(last())).toEqual({ ...marker, state: "gave-up", trigger: "label-2", cause: "out of steps" });
  });

  it("is not written by a worker that lost the run, which it says", async () => {
    const { reporter, edits } = startReporter({ guard: () => Promise.reject(new Error("taken over")) });

    reporter.say();
    await vi.advanceTimersByTimeAsync(0);
    await expect(reporter.finish("opened", "Opened", [])).rejects.toThrow("taken over");

    expect(edits).toEqual([]);
  });

  it("leaves no edit under way and no timer behind", async () => {
    const { begun, writer, release } = slowly();
    const { reporter } = startReporter({ writer });
    let disposed = false;

    reporter.say();
    await vi.advanceTimersByTimeAsync(0);
    reporter.say();
    const closing = reporter[Symbol.asyncDispose]();
    void Promise.resolve(closing).then(() => (disposed = true));
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(disposed).toBe(false);
    release();
    await closing;

    expect(begun).toEqual(["one"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

function refusingOnce(error: Error): () => Promise<void> {
  let isFirst = true;
  return async () => {
    if (!isFirst) return;
    isFirst = false;
    throw error;
  };
}
