import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { UpdateFacts } from "../../../src/package-facts.ts";
import type { Stamped } from "../../../src/runlog.ts";
import { updateSubmission } from "../../../worker/maintenance/dependencies.ts";
import { updateFacts } from "../../../worker/maintenance/facts.ts";
import { acting, foreign, nodesOf, parse } from "../foreign.ts";

const one = (name: string, more: Partial<UpdateFacts["updated"][number]> = {}) => ({
  name,
  folder: "",
  from: "1.0.0",
  to: "1.1.0",
  fixes: [],
  changelog: "",
  ...more,
});
const bodyOf = (facts: Partial<UpdateFacts>) => {
  const all = { updated: [one("a")], later: [], deprecated: [], left: [], audited: true, ...facts };
  const events: Stamped[] = [{ n: 1, at: "", type: "updates", ...all }];
  return updateFacts(events).join("\n\n");
};

describe("what a pull request says of its updates", () => {
  it("is nothing where nothing was updated", () => {
    expect(updateFacts([])).toEqual([]);
    expect(bodyOf({ updated: [] })).toBe("");
  });

  it("names what an update does away with, and where the package stands", () => {
    const body = bodyOf({ updated: [one("a", { fixes: ["high: Prototype pollution"], folder: "packages/x" })] });

    expect(body).toContain(
      "| `a` in `packages/x` | `1.0.0` | `1.1.0` | – | no longer high: Prototype pollution | none found |",
    );
    expect(body).not.toContain("did not answer");
  });

  it.each([
    [undefined, "- No audit was made, since pip has none: no security facts."],
    [false, "- The registry did not answer the audit: no security facts."],
  ])("says that nothing is known of security where that is so (%s)", (audited, says) => {
    expect(bodyOf({ audited })).toContain(says);
    expect(bodyOf({ audited })).toContain("| not known |");
  });

  it("shows each package's changelog once, and leaves out those for which there is no room", () => {
    const changelog = `## 1.1.0\n\n${"- a line of some length\n".repeat(80)}`;
    const many = Array.from({ length: 40 }, (_, n) => one(`p${n}`, { changelog }));

    const body = bodyOf({ updated: [...many, one("p0", { changelog, folder: "packages/x" })] });

    expect(body.match(/^`p0`$/gm)).toHaveLength(1);
    expect(body.length).toBeLessThan(25_000);
  });

  it("does nothing of its own, whatever the registry and the packages say", () => {
    fc.assert(
      fc.property(foreign, (text) => {
        const body = bodyOf({
          updated: [one("a", { deprecated: text, fixes: [text], changelog: text, from: text, to: text, folder: text })],
          later: [{ name: text, from: text, to: text }],
          deprecated: [{ name: text, version: text, says: text }],
          left: [{ name: text, why: text }],
          audited: true,
        });
        const tree = parse(body);
        const html = nodesOf(tree).flatMap((node) => (node.type === "html" ? [node.value] : []));
        expect(html.filter((said) => !/^<\/?details>|^<details><summary>Changelogs/.test(said))).toEqual([]);
        expect(acting(tree)).toEqual([]);
        expect(body).not.toMatch(
          /\b(close[sd]?|fix(es|ed)?|resolve[sd]?)(\s*:\s*|\s+)([\w.-]+\/[\w.-]+)?(#|GH-|https?:\/\/\S+\/)\d/i,
        );
        expect(nodesOf(tree).filter(({ type }) => type === "table")).toHaveLength(1);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

it("a pull request of updates has its packages in its title and its first lines", () => {
  const several = Array.from({ length: 6 }, (_, n) => one(`p${n}`));
  const facts = { later: [], deprecated: [], left: [], audited: true };

  expect(updateSubmission({ ...facts, updated: [one("a"), one("a", { folder: "packages/x" })] })).toEqual({
    title: "Update a to 1.1.0",
    cause: "A newer version of a dependency is published.",
    change: "- a: 1.0.0 → 1.1.0",
  });
  expect(updateSubmission({ ...facts, updated: [one("a"), one("a", { from: "2.0.0", to: "2.1.0" })] })).toMatchObject({
    title: "Update a to 1.1.0 and 2.1.0",
    change: "- a: 1.0.0 → 1.1.0\n- a: 2.0.0 → 2.1.0",
  });
  expect(updateSubmission({ ...facts, updated: several })).toMatchObject({
    title: "Update 6 dependencies",
    change: "- p0: 1.0.0 → 1.1.0\n- p1: 1.0.0 → 1.1.0\n- p2: 1.0.0 → 1.1.0\n- 3 more, as the table says",
  });
});
