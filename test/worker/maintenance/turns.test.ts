import { describe, expect, it } from "vitest";
import type { Plan, Update } from "../../../worker/maintenance/plan.ts";
import { failedAfter, nothingLeftOut, turnsOf } from "../../../worker/maintenance/turns.ts";
import { leadingOf } from "../../../worker/maintenance/versions.ts";

const step = (name: string, from: string, to: string, folder = ""): Update => ({ name, folder, from, to, prefix: "^" });
const plan = (minors: Update[], majors: Update[]): Plan => ({ minors, majors, deprecated: [], left: [] });
const all = plan(
  [step("b", "1.0.0", "1.4.0"), step("a", "1.0.0", "1.1.0")],
  [step("z", "1.0.0", "3.0.0"), step("a", "1.0.0", "2.1.0"), step("m", "0.4.0", "0.5.1")],
);
const versionsOf = (content: string, of = all) =>
  turnsOf(of, nothingLeftOut).turns.find((turn) => turn.content === content)?.versions ?? "";

describe("the turns of a plan", () => {
  it.each<[string, Parameters<typeof turnsOf>[1], string[]]>([
    ["are minor updates, then major ones by name", nothingLeftOut, ["minor", "a@2", "m@0.5", "z@3"]],
    [
      "go on without the minor ones that were turned down",
      { turnedDown: ["minor"], failed: {} },
      ["a@2", "m@0.5", "z@3"],
    ],
    ["begin with what is asked for first", { ...nothingLeftOut, first: "m@0.5" }, ["m@0.5", "minor", "a@2", "z@3"]],
    ["go on without a major one that was turned down", { turnedDown: ["a@2"], failed: {} }, ["minor", "m@0.5", "z@3"]],
    [
      "have a further major version of what was turned down",
      { turnedDown: ["z@2"], failed: {} },
      ["minor", "a@2", "m@0.5", "z@3"],
    ],
    [
      "go on without what did not pass",
      { turnedDown: [], failed: { minor: versionsOf("minor"), "a@2": versionsOf("a@2") } },
      ["m@0.5", "z@3"],
    ],
    [
      "take up again what did not pass with other versions",
      { turnedDown: [], failed: { minor: "0", "a@2": "0" } },
      ["minor", "a@2", "m@0.5", "z@3"],
    ],
  ])("%s", (_how, leftOut, contents) => {
    expect(turnsOf(all, leftOut).turns.map(({ content }) => content)).toEqual(contents);
  });

  it("are one for all manifests that have a package", () => {
    const { turns } = turnsOf(
      plan([], [step("a", "1.0.0", "2.0.0"), step("a", "1.1.0", "2.0.0", "web")]),
      nothingLeftOut,
    );

    expect(turns).toMatchObject([{ content: "a@2", updates: [{ folder: "" }, { folder: "web" }] }]);
  });

  it("name the versions, in whichever order they come", () => {
    const [one, other] = [step("a", "1.0.0", "1.1.0"), step("b", "1.0.0", "1.4.0")];

    expect(versionsOf("minor", plan([one, other], []))).toBe(versionsOf("minor", plan([other, one], [])));
    expect(versionsOf("minor", plan([one, other], []))).not.toBe(versionsOf("minor", plan([one], [])));
  });

  it("say of what is left out why", () => {
    const { left } = turnsOf(all, { turnedDown: ["z@3"], failed: { "a@2": versionsOf("a@2") } });

    expect(left).toEqual([
      { name: "a", why: "it did not pass the last time, and nothing newer is published (`2.1.0`)" },
      { name: "z", why: "a pull request with that was closed unmerged (`3.0.0`)" },
    ]);
  });
});

describe("what did not pass", () => {
  const turn = { content: "a@2", versions: "v2" };
  const before = { "a@2": "v1", minor: "m1" };

  it.each([
    ["gave-up", "gate rejected", { minor: "m1", "a@2": "v2" }],
    ["gave-up", "out of steps", { minor: "m1", "a@2": "v2" }],
    ["needs-input", "install script", { minor: "m1", "a@2": "v2" }],
    ["no-change", "the measure did not improve", { minor: "m1", "a@2": "v2" }],
    ["published", undefined, { minor: "m1" }],
    ["gave-up", "model away", before],
    ["gave-up", "the gate broke", before],
    ["needs-input", "branch moved", before],
    ["cancelled", undefined, before],
    ["no-change", "dry run", before],
  ] as const)("after %s (%s)", (outcome, cause, failed) => {
    expect(failedAfter(before, turn, { outcome, cause })).toEqual(failed);
  });

  it("is as it was where a run took no turn", () => {
    expect(failedAfter(before, undefined, { outcome: "gave-up", cause: "gate rejected" })).toBe(before);
  });

  it("is forgotten, the oldest first, where it grows too long", () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`p${n}@2`, "v"]));

    const failed = failedAfter(many, turn, { outcome: "gave-up", cause: "gate rejected" });

    expect(Object.keys(failed)).toHaveLength(50);
    expect(failed).toMatchObject({ "a@2": "v2", "p59@2": "v" });
  });
});

it.each([
  ["2.1.0", "2"],
  ["0.5.1", "0.5"],
  ["0.0.4", "0.0.4"],
  ["0.0.0", "0.0.0"],
  ["==", ""],
])("%s leads with %s", (version, leading) => {
  expect(leadingOf(version)).toBe(leading);
});
