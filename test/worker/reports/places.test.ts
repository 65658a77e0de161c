import { expect, it } from "vitest";
import type { Format } from "../../../worker/reports/read.ts";
import { readReport } from "../../../worker/reports/read.ts";

const root = "/workspace/repo";

/** Where the one failing test of a report failed. */
function placeOf(format: Format, text: string): string | undefined {
  const { tests } = readReport(format, Buffer.from(text), root);
  const at = tests.find(({ status }) => status === "failed")?.at;
  return at && `${at.file}:${at.line}`;
}

function junit(failure: string, file = "test/a.js"): string {
  return `<testsuites><testcase name="t" file="${file}">${failure}</testcase></testsuites>`;
}
function jest(message: string): string {
  const test = { title: "t", status: "failed", failureMessages: [message] };
  return JSON.stringify({ testResults: [{ name: `${root}/a.test.js`, assertionResults: [test] }] });
}

it.each<[string, Format, string, string | undefined]>([
  [
    "node:test's stack, as JUnit",
    "junit",
    junit(
      `<failure message="1 is not 2">at TestContext.&lt;anonymous&gt; (${root}/test/a.js:7:10)\nat ${root}/test/a.js:2:1</failure>`,
    ),
    "test/a.js:7",
  ],
  [
    "a module's stack, whose files have addresses",
    "junit",
    junit(`<failure>at file://${root}/test/a.js:7:10</failure>`),
    "test/a.js:7",
  ],
  [
    "pytest's last line, below a message without a place",
    "junit",
    junit(
      '<failure message="assert 1 == 2">&gt; assert 1 == 2\nE assert 1 == 2\n\ntests/test_a.py:4: AssertionError</failure>',
      "tests/test_a.py",
    ),
    "tests/test_a.py:4",
  ],
  [
    "jest's and vitest's stack",
    "jest",
    jest(`Error: no\n    at Object.<anonymous> (${root}/a.test.js:3:9)`),
    "a.test.js:3",
  ],
  [
    "mocha's stack, below a helper's frame",
    "mocha",
    JSON.stringify({
      passes: [],
      pending: [],
      failures: [
        {
          title: "t",
          fullTitle: "t",
          file: `${root}/a.js`,
          err: { stack: `at (${root}/help.js:9:1)\nat (${root}/a.js:4:1)` },
        },
      ],
    }),
    "a.js:4",
  ],
  [
    "node:test's location, as TAP",
    "tap",
    `TAP version 13\nnot ok 1 - t\n  ---\n  location: '${root}/test/a.js:5:1'\n  ...\n1..1\n`,
    "test/a.js:5",
  ],
  [
    "tape's `at`, and not the packages around it",
    "tap",
    `TAP version 13\n# t\nnot ok 1 no\n  ---\n    stack: |-\n      at Test (${root}/node_modules/tape/a.js:1:1)\n    at: Test.<anonymous> (${root}/tape/a.js:6:3)\n  ...\n1..1\n`,
    "tape/a.js:6",
  ],
  [
    "go's line, in the folder of its package",
    "go",
    [
      { Action: "run", Package: "example.com/sum", Test: "T" },
      { Action: "output", Package: "example.com/sum", Test: "T", Output: "    sum_test.go:12: no\n" },
      { Action: "fail", Package: "example.com/sum", Test: "T" },
    ]
      .map((event) => `${JSON.stringify(event)}\n`)
      .join(""),
    "example.com/sum/sum_test.go:12",
  ],
  ["a place in another file", "junit", junit(`<failure>at ${root}/src/b.js:7:10</failure>`), undefined],
  [
    "a place outside of the repository",
    "tap",
    "TAP version 13\nnot ok 1 - t\n  ---\n  at: /usr/lib/a.js:5:1\n  ...\n1..1\n",
    undefined,
  ],
  ["a line that is none", "junit", junit("<failure>test/a.js:0: no, test/a.js:99999999: no</failure>"), undefined],
  ["no place at all", "junit", junit('<failure message="no"/>'), undefined],
])("tells where a test failed, or nothing: %s", (_what, format, text, place) => {
  expect(placeOf(format, text)).toBe(place);
});
