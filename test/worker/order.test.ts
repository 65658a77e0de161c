import { describe, expect, it } from "vitest";
import type { Check } from "../../worker/detect.ts";
import { isUnder, orderChecks } from "../../worker/order.ts";

const check = (name: string, ...paths: string[]): Check => ({ name, run: name, required: true, paths });
const checks = [
  check("docs", "docs"),
  check("all"),
  check("a", "packages/a"),
  check("b", "packages/b/**"),
  check("lint"),
];
const ordered = (...changed: string[]) => {
  const { checks: sorted, rest } = orderChecks(checks, changed);
  return [sorted.map(({ name }) => name).join(" "), [...rest].join(" ")];
};

describe("orderChecks", () => {
  it("puts what is about the change first, what is about everything next, and the rest last, each in its order", () => {
    expect(ordered("packages/b/src/x.ts")).toEqual(["b all lint docs a", "docs a"]);
    expect(ordered("packages/b/x", "docs/index.md")).toEqual(["docs b all lint a", "a"]);
    expect(ordered("README.md")).toEqual(["all lint docs a b", "docs a b"]);
  });

  it("leaves none for the rest where no other could speak for the change", () => {
    const only = [check("a", "packages/a"), check("b", "packages/b")];

    expect(orderChecks(only, ["README.md"])).toEqual({ checks: only, rest: new Set() });
  });
});

describe("isUnder", () => {
  it.each([
    ["packages/a/x.ts", "packages/a", true],
    ["packages/a/x.ts", "./packages/a/", true],
    ["packages/a", "packages/a", true],
    ["packages/ab/x.ts", "packages/a", false],
    ["packages/a/src/x.ts", "packages/*/src", true],
    ["packages/a/x.ts", "**/*.ts", true],
    ["packages/a/x.js", "**/*.ts", false],
  ])("%s under %s: %s", (path, pattern, expected) => {
    expect(isUnder(path, pattern)).toBe(expected);
  });
});
