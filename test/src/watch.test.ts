import { describe, expect, it } from "vitest";
import type { Check } from "../../src/forge.ts";
import { decideWatch, isInfrastructure, mergeKey } from "../../src/watch.ts";
import type { Watched } from "../../src/watch.ts";

const check = (name: string, state: Check["state"]): Check => ({
  name,
  app: "ci",
  state,
  since: "2026-01-01T11:00:00Z",
  url: `http://host/${name}`,
  run: 1,
});
const red: Watched = {
  isOurs: true,
  isOpen: true,
  settings: { fix: true, attempts: 3 },
  head: "a".repeat(40),
  base: "b".repeat(40),
  isHeadOurs: true,
  conflicts: "clean",
  checks: [check("lint", "failed"), check("unit", "passed")],
  redOnBase: [],
  infrastructure: [],
  isBusy: false,
  before: undefined,
  now: new Date("2026-01-01T12:00:00Z"),
};
const started = decideWatch(red);
const key = started.do === "start" ? started.key : "";

describe("what is done about the checks of a pull request", () => {
  it("is a run on what fails because of our change", () => {
    expect(started).toMatchObject({ do: "start", failing: [{ name: "lint" }] });
    expect(decideWatch({ ...red, checks: red.checks.toReversed() })).toEqual(started);
    expect(decideWatch({ ...red, head: "c".repeat(40) })).not.toMatchObject({ key });
  });

  it("is a merge of a base that conflicts, whatever the checks say", () => {
    const decision = decideWatch({ ...red, conflicts: "conflict" });

    expect(decision).toEqual({ do: "start", what: "merge", key: mergeKey(red.head, red.base) });
    expect(decideWatch({ ...red, conflicts: "conflict", base: "c".repeat(40) })).not.toEqual(decision);
  });

  it("waits for no check that has been pending for longer than a day", () => {
    const checks = [...red.checks, check("e2e", "pending")];

    expect(decideWatch({ ...red, checks, now: new Date("2026-01-02T10:59:59Z") })).toMatchObject({ why: "waiting" });
    expect(decideWatch({ ...red, checks, now: new Date("2026-01-02T11:00:01Z") })).toEqual(started);
  });

  it("counts only what is not red on the base as well, and what is no fault of a machine", () => {
    const checks = ["lint", "types", "e2e"].map((name) => check(name, "failed"));
    const decision = decideWatch({ ...red, checks, redOnBase: ["types"], infrastructure: ["e2e"] });

    expect(decision).toMatchObject({ do: "start", failing: [{ name: "lint" }], key });
  });

  it.each([
    ["not-ours", { isOurs: false }],
    ["not-ours", { isOpen: false }],
    ["disabled", { settings: { fix: false, attempts: 3 } }],
    ["waiting", { checks: [...red.checks, check("e2e", "pending")] }],
    ["green", { checks: [check("unit", "passed"), check("deploy", "neutral")] }],
    ["no-verdict", { checks: [] }],
    ["no-verdict", { checks: [check("deploy", "neutral")] }],
    ["infrastructure", { infrastructure: ["lint"] }],
    ["all-failing-on-base", { redOnBase: ["lint"] }],
    ["human-commit", { isHeadOurs: false }],
    ["already-handled", { before: { attempts: 1, handled: key } }],
    ["attempts-used-up", { before: { attempts: 3, handled: "before" } }],
    ["busy", { isBusy: true }],
    ["needs-maintainer", { checks: [check("deploy", "action-required"), check("unit", "passed")] }],
    ["human-commit", { conflicts: "conflict", isHeadOurs: false }],
    ["already-handled", { conflicts: "conflict", before: { attempts: 1, handled: mergeKey(red.head, red.base) } }],
    ["attempts-used-up", { conflicts: "conflict", before: { attempts: 3, handled: "before" } }],
  ] as const)("is nothing, named %s, where %j", (why, more) => {
    expect(decideWatch({ ...red, ...more })).toMatchObject({ do: "nothing", why });
  });

  it.each([
    ["the machine's fault, with the link", { infrastructure: ["lint"] }, "[lint](http://host/lint)"],
    ["what is red on the base", { redOnBase: ["lint"] }, "so I leave them alone"],
    ["the end of our attempts", { before: { attempts: 3, handled: "before" } }, "I tried 3 times"],
    [
      "a check that waits for a person",
      { checks: [check("deploy", "action-required")] },
      "[deploy](http://host/deploy)",
    ],
  ])("says of %s", (_what, more, says) => {
    expect(decideWatch({ ...red, ...more })).toMatchObject({
      tells: { summary: expect.stringContaining(says) as string },
    });
  });
});

it.each([
  [["The self-hosted runner lost communication with the server."], true],
  [["No space left on device"], true],
  [["502 Bad Gateway"], true],
  [["expected 1 to be 2"], false],
  [["No space left on device", "expected 1 to be 2"], false],
  [[], false],
])("annotations %j tell of a machine's failure: %s", (messages, told) => {
  const annotations = messages.map((message) => ({ title: "", message, level: "failure" }));

  expect(isInfrastructure([...annotations, { title: "", message: "Node 16 is old", level: "warning" }])).toBe(told);
});
