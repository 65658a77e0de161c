import { describe, expect, it } from "vitest";
import type { Check } from "../../worker/detect.ts";
import { orderChecks } from "../../worker/order.ts";

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

  it("takes one that is required out of the rest where no other could speak for the change", () => {
    const optional = { ...check("style", "docs"), required: false };
    const only = [optional, check("a", "packages/a"), check("b", "packages/b")];
    const [style, a, b] = only;

    expect(orderChecks(only, ["README.md"])).toEqual({ own: [], checks: [a, style, b], rest: new Set(["style", "b"]) });
    expect(orderChecks(only, ["docs/x.md"])).toEqual({ own: [style], checks: [style, a, b], rest: new Set(["b"]) });
  });
});
