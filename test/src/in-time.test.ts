import { describe, expect, it } from "vitest";
import { inTime } from "../../src/in-time.ts";

describe("inTime", () => {
  it("gives what the work returns, or throws what it throws", () => {
    const error = new RangeError("too deep");

    expect(inTime(() => "done", 1000)).toBe("done");
    expect(() =>
      inTime(() => {
        throw error;
      }, 1000),
    ).toThrow(error);
  });

  it.each([
    [
      "a loop without end",
      () => {
        for (;;);
      },
    ],
    ["an expression that tries every way", () => /^(?:a|a)*$/.test(`${"a".repeat(60)}b`)],
    ["one that catches what stops it", () => catching()],
  ])("stops %s, and others work after it", (_what, work) => {
    expect(inTime<unknown>(work, 20)).toBeUndefined();
    expect(inTime(() => 1, 1000)).toBe(1);
  });
});

function catching(): void {
  for (;;) {
    try {
      for (;;);
    } catch {
      continue;
    }
  }
}
