import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTerminal, parseStatus, renderStatus, statusMark } from "../../src/status.ts";

const states = ["queued", "working", "opened", "no-change", "needs-input", "gave-up", "cancelled"] as const;
const hostile = fc.oneof(
  fc.string(),
  fc
    .array(fc.constantFrom("-", "--", " -->", "<!--", "\\u002d", '"', "\n"), { maxLength: 8 })
    .map((all) => all.join("")),
);
const statuses = fc.record(
  {
    run: hostile,
    state: fc.constantFrom(...states),
    trigger: hostile,
    snapshot: hostile,
    head: hostile,
    cause: hostile,
  },
  { requiredKeys: ["run", "state", "trigger"] },
);

describe("the status comment's marker", () => {
  it("comes back as it was written, whatever stands in it and after it", () => {
    fc.assert(
      fc.property(statuses, fc.array(hostile), (status, lines) => {
        expect(parseStatus(renderStatus(status, "Queued", lines))).toEqual(status);
      }),
    );
  });

  it("is one hidden comment that nothing in it can end", () => {
    fc.assert(
      fc.property(statuses, (status) => {
        const [hidden = ""] = renderStatus(status, "Queued").split("\n\n**Queued**");

        expect(hidden.startsWith(statusMark)).toBe(true);
        expect(hidden.slice("<!--".length, -"-->".length)).not.toContain("--");
      }),
    );
  });

  it("has a state of its own on GitHub for a run that waits for its model", () => {
    const status = { run: "r", state: "waiting-model", trigger: "t", since: "2026-01-05T09:41:30Z" } as const;

    const body = renderStatus(status, "Waiting");

    expect(body).toContain('"state":"waiting-model"');
    expect(parseStatus(body)).toEqual(status);
    expect(isTerminal(parseStatus(body)?.state ?? "opened")).toBe(false);
  });

  it("is read as an older version wrote it, and without what a newer one adds", () => {
    const old = `${statusMark}{"run":"r","state":"opened","trigger":"label-1","head":"abc"} -->\n\n**Opened #9**`;
    const newer = `${statusMark}{"run":"r","state":"working","trigger":"t","mood":{"is":"good"}} -->`;

    expect(parseStatus(old)).toEqual({ run: "r", state: "opened", trigger: "label-1", head: "abc" });
    expect(parseStatus(newer)).toEqual({ run: "r", state: "working", trigger: "t" });
  });

  it("survives a text that is cut because it is too long", () => {
    const status = { run: "r", state: "gave-up", trigger: "t" } as const;

    const body = renderStatus(status, "Gave up", ["x".repeat(100_000)]);

    expect(body.length).toBeLessThan(65_536);
    expect(parseStatus(body)).toEqual(status);
  });

  it.each([
    "hello",
    "",
    `${statusMark}{broken -->`,
    `${statusMark}{}`,
    `${statusMark}{} -->`,
    `${statusMark}{"run":"r","state":"dancing","trigger":"t"} -->`,
  ])("is undefined in %j", (body) => {
    expect(parseStatus(body)).toBeUndefined();
  });
});

it("every state but waiting and working is the end", () => {
  expect(states.filter((state) => !isTerminal(state))).toEqual(["queued", "working"]);
});
