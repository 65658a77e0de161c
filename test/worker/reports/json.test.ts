import { describe, expect, it } from "vitest";
import { readJest, readMocha } from "../../../worker/reports/json.ts";

const root = "/workspace/repo";

describe("readJest", () => {
  it("reads the results of jest and vitest by file, and a file that could not run as a result", () => {
    const of = (title: string, status: string, failureMessages: string[] = []) => ({
      ancestorTitles: ["s"],
      title,
      status,
      failureMessages,
      duration: null,
    });
    const report = {
      success: false,
      testResults: [
        {
          name: `${root}/a.test.js`,
          status: "failed",
          message: "",
          assertionResults: [
            of("ok", "passed"),
            of("bad", "failed", ["Error: 1"]),
            of("off", "pending"),
            of("to do", "todo"),
          ],
        },
        { name: `${root}/b.test.js`, status: "failed", message: "SyntaxError", assertionResults: [] },
      ],
    };

    expect(readJest(JSON.stringify(report), root)).toEqual({
      tests: [
        { name: "s > ok", file: "a.test.js", status: "passed" },
        { name: "s > bad", file: "a.test.js", status: "failed", message: "Error: 1" },
        { name: "s > off", file: "a.test.js", status: "skipped" },
        { name: "s > to do", file: "a.test.js", status: "skipped" },
        { name: "(the file itself)", file: "b.test.js", status: "failed", message: "SyntaxError" },
      ],
    });
  });
});

describe("readMocha", () => {
  it("reads passing, pending and failing tests, hooks among them, and says what failed", () => {
    const of = (title: string, err: object = {}) => ({ title, fullTitle: `s t ${title}`, file: `${root}/a.js`, err });
    const report = {
      passes: [of("ok")],
      pending: [of("off")],
      failures: [
        of("bad", { message: "x", stack: "Error: x\n    at a.js:1" }),
        of('"before all" hook', { message: "h" }),
      ],
    };

    const read = readMocha(JSON.stringify(report), root);

    expect(read.tests).toEqual([
      { name: "s t > ok", file: "a.js", status: "passed" },
      { name: "s t > off", file: "a.js", status: "skipped" },
      {
        name: "s t > bad",
        file: "a.js",
        status: "failed",
        message: "Error: x\n    at a.js:1",
        at: { file: "a.js", line: 1 },
      },
      { name: 's t > "before all" hook', file: "a.js", status: "failed", message: "h" },
    ]);
    expect(read.said).toBe(`1 passing, 1 pending, 2 failing

s t > bad
Error: x
    at a.js:1

s t > "before all" hook
h
`);
  });
});

it.each([
  ["jest", readJest],
  ["mocha", readMocha],
])("says that a report is not %s's", (writer, read) => {
  for (const text of ["", "{", "null", "[]", '{"testResults": 1, "passes": [1]}', "[".repeat(1_000_000)]) {
    expect(read(text, root)).toEqual({ tests: [], cut: `it is not what ${writer} writes` });
  }
});
