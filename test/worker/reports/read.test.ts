import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readReport } from "../../../worker/reports/read.ts";
import type { Format } from "../../../worker/reports/read.ts";

const formats: Format[] = ["junit", "tap", "go", "jest", "mocha", "any"];
const pieces = [
  "<testsuites>",
  "<testsuite name='a'",
  '<testcase name="b">',
  "<failure message='",
  "]]>",
  "<![CDATA[",
  "</testcase>",
  "&#x0;",
  "<!DOCTYPE",
  "<?",
  "/>",

  "TAP version 13\n",
  "ok 1 - a",
  "not ok",
  " # SKIP",
  "    ",
  "\n",
  "  ---\n",
  "  ...\n",
  "1..2\n",
  "Bail out!",
  "# tests 1\n",
  "# pass 1\n",

  '{"Action":"run","Package":"p","Test":"T/a"}\n',
  '{"Action":"fail","Package":"p"}\n',
  '{"testResults":[',
  '{"name":"a","assertionResults":[]}',
  "]}",
  '{"passes":[],"failures":[],"pending":[]}',
  "\uD800",
  "\u0000",
  "\u2028",
  "__proto__",
  "a".repeat(600),
];

describe("readReport", () => {
  it("never throws, and keeps its bounds, whatever the bytes", () => {
    const text = fc.oneof(
      fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string()), { maxLength: 60 }).map((parts) => parts.join("")),
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.json(),
    );
    const bytes = fc.oneof(
      text.map((one) => Buffer.from(one)),
      fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one)),
    );
    fc.assert(
      fc.property(bytes, fc.constantFrom(...formats), (input, format) => {
        const { tests } = readReport(format, input, "/workspace/repo");
        for (const { name, file, status, message } of tests) {
          expect(name).toMatch(/^[^\p{Cc}]+$/u);
          expect(name.length).toBeLessThanOrEqual(500);
          expect(file?.length ?? 1).toBeLessThanOrEqual(300);
          expect(message?.length ?? 1).toBeLessThanOrEqual(2000);
          expect(["passed", "failed", "skipped"]).toContain(status);
        }
        expect(new Set(tests.map(({ name, file }) => `${file}\0${name}`)).size).toBe(tests.length);
      }),
      { numRuns: 2000 },
    );
  });

  // A reader that looks at each byte a number of times that grows with the input would not come to an end here.
  it.each<[string, Format, string]>([
    ["one tag of attributes", "junit", `<testcase ${"a='b' ".repeat(500_000)}`],
    ["open brackets", "junit", "<".repeat(4_000_000)],
    ["suites in suites", "junit", "<testsuite name='a'>".repeat(400_000)],
    [
      "tests with long suites",
      "junit",
      `<testsuite name='${"n".repeat(2_000_000)}'>${"<testcase name='t'/>".repeat(40_000)}`,
    ],
    ["a comment without end", "junit", `<!--${"-".repeat(4_000_000)}`],
    ["spaces in a line", "tap", `ok ${" ".repeat(4_000_000)}x`],
    ["directives", "tap", `ok 1 ${"# ".repeat(2_000_000)}`],
    [
      "nested points",
      "tap",
      Array.from({ length: 200_000 }, (_, n) => `${" ".repeat(4 * (n % 60))}ok ${n} - a`).join("\n"),
    ],
    ["an open block", "tap", `not ok 1\n  ---\n${"  x\n".repeat(1_000_000)}`],
    ["a test's many levels", "go", `{"Action":"run","Package":"p","Test":"${"a/".repeat(1_000_000)}"}`],
    ["brackets", "jest", '{"testResults":'.repeat(500_000)],
  ])("takes %s in one pass", (_what, format, text) => {
    expect(readReport(format, Buffer.from(text), "/").tests.length).toBeLessThanOrEqual(200_000);
  });

  it.each<[string, string]>([
    ["junit", '\uFEFF <testsuite><testcase name="a"/></testsuite>'],
    ["tap", "TAP version 14\nok 1 - a\n1..1\n"],
    ["tap without a version", "1..1\nok 1 - a\n"],
    ["go", '{"Action":"pass","Package":"p","Test":"a"}\n'],
    ["jest", '{"testResults":[{"name":"f","assertionResults":[{"title":"a","status":"passed"}]}]}'],
    ["mocha", '{"stats":{},"passes":[{"title":"a","fullTitle":"a"}],"failures":[],"pending":[]}'],
  ])("knows %s by its looks", (_format, text) => {
    expect(readReport("any", Buffer.from(text), "/").tests).toMatchObject([
      { name: expect.stringMatching(/a$/), status: "passed" },
    ]);
  });
});
