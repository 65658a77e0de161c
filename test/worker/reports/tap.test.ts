import { describe, expect, it } from "vitest";
import { isTap, readTap } from "../../../worker/reports/tap.ts";

const read = (text: string) => {
  const { tests, cut } = readTap(text, "/workspace/repo");
  return { tests: tests.map(({ name, status }) => `${status} ${name}`), cut };
};

describe("readTap", () => {
  it("reads node:test's nested subtests; a suite is a result only where it failed by itself", () => {
    const text = `TAP version 13
# Subtest: top
ok 1 - top
  ---
  duration_ms: 0.9
  ...
# Subtest: skip it
ok 2 - skip it # SKIP why
# Subtest: todo one
not ok 3 - todo one # TODO
# Subtest: suite a
    # Subtest: bad \\# hash
    not ok 1 - bad \\# hash
      ---
      error: 'msg'
      stack: |-
        not ok 7 - no result
      ...
    # Subtest: deep
        # Subtest: y
        ok 1 - y
        1..1
    ok 2 - deep
      ---
      type: 'suite'
      ...
    1..2
not ok 4 - suite a
# Subtest: parent
    # Subtest: child
    ok 1 - child
    1..1
not ok 5 - parent
1..5
# tests 5
# suites 2
# pass 2
`;

    expect(read(text)).toEqual({
      tests: [
        "passed top",
        "skipped skip it",
        "skipped todo one",
        "failed suite a > bad # hash",
        "passed suite a > deep > y",
        "passed parent > child",
        "failed parent",
      ],
      cut: undefined,
    });
  });

  it("takes the assertions of one of tape's tests as one result", () => {
    const text = `
> it@1.0.0 test
> tape test.js

TAP version 13
# one
ok 1 yes
ok 2 should be strictly equal
# two
ok 3 yes
not ok 4 eq
  ---
    operator: equal
  ...
# three
ok 5 later # SKIP

1..5
# tests 5
# pass  4
# fail  1
`;

    expect(read(text)).toEqual({ tests: ["passed one", "failed two", "skipped three"], cut: undefined });
    expect(readTap(text, "/").tests[1]?.message).toContain("operator: equal");
  });

  it.each([
    [
      "a plan at the start, no description, times",
      "1..3\nok\nok 2\nnot ok 3 - c # time=3ms\n",
      ["passed (no name)", "failed c"],
    ],
    ["output between the lines", "TAP version 14\nhello\nokay 1\nok 1 - a\r\n1..1\n", ["passed a"]],
    ["a directive in any letters", "1..2\nok 1 a # skip: no net\nok 2 b #ToDo\n", ["skipped a", "skipped b"]],
  ])("reads %s", (_what, text, tests) => {
    expect(read(text)).toEqual({ tests, cut: undefined });
  });

  it("lets no line of a test's own output hide the results that follow", () => {
    const text =
      "TAP version 13\nok 1 - a\nhello\n  ---\nnot ok 2 - b\n---\nnot ok 3 - c\n  ---\n    ...\n    ok 4\n  ...\n1..3\n";

    expect(read(text)).toEqual({ tests: ["passed a", "failed b", "failed c"], cut: undefined });
  });

  it.each([
    ["bails out", "TAP version 13\nok 1 - a\nBail out! no database\nok 2 - b\n", "it bailed out no database"],
    ["ends without its plan", "TAP version 13\nok 1 - a\n", "it ends without its plan"],
    ["has fewer results than planned", "1..3\nok 1 - a\n", "it has 1 of 3 results"],
    ["ends within a subtest", "1..1\nok 1 - a\n    ok 1 - b\n", "it ends within a subtest"],
  ])("says where the report %s", (_what, text, cut) => {
    expect(read(text)).toMatchObject({ tests: expect.arrayContaining(["passed a"]), cut });
  });

  it("reads a line that begins with 400 KB of tabs", () => {
    expect(read(`1..1\nok${"\t".repeat(400_000)}a\u2028b\n`)).toEqual({ tests: ["passed a b"], cut: undefined });
  });

  it("is asked only about output that says so", () => {
    expect([isTap("> test\nTAP version 13\nok 1"), isTap("ok 1 - done\n1..1")]).toEqual([true, false]);
  });
});
