import { describe, expect, it } from "vitest";
import { readJUnit } from "../../../worker/reports/junit.ts";

const root = "/workspace/repo";
const namesOf = (xml: string) => readJUnit(xml, root).tests.map(({ name, status }) => `${status} ${name}`);

describe("readJUnit", () => {
  it("reads node:test's report: nested suites, what is skipped or to do, and the file below the root", () => {
    const xml = `<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testcase name="top" time="0.001" classname="test" file="/workspace/repo/a.test.js"/>
	<testcase name="todo one" classname="test" failure="t">
		<skipped type="todo" message="true"/>
		<failure type="testCodeFailure" message="t">Error: t</failure>
	</testcase>
	<testsuite name="suite a" tests="2" failures="1">
		<testcase name="bad # hash" classname="suite a"><failure type="testCodeFailure" message="1 == 2">
Error [ERR_TEST_FAILURE]: 1 == 2 &lt;anonymous>
		</failure></testcase>
		<testsuite name="deep"><testcase name="y" classname="suite a.deep"/></testsuite>
	</testsuite>
	<!-- tests 4 -->
</testsuites>`;

    expect(readJUnit(xml, root)).toEqual({
      tests: [
        { name: "top", file: "a.test.js", status: "passed" },
        { name: "todo one", status: "skipped" },
        { name: "suite a > bad # hash", status: "failed", message: "1 == 2" },
        { name: "suite a > deep > y", status: "passed" },
      ],
    });
  });

  it.each([
    [
      "pytest",
      `<testsuites><testsuite name="pytest"><testcase classname="tests.test_a.TestB" name="test_c[1]" file="tests/test_a.py" line="3"><skipped type="pytest.skip" message="later"/></testcase></testsuite></testsuites>`,
      { name: "tests.test_a.TestB > test_c[1]", file: "tests/test_a.py", status: "skipped" },
    ],
    [
      "surefire",
      `<testsuite name="a.BTest"><testcase name="c" classname="a.BTest"><error type="java.lang.Error"><![CDATA[at <b>]]></error></testcase></testsuite>`,
      { name: "a.BTest > c", status: "failed", message: "at <b>" },
    ],
    [
      "ctest",
      `<testsuite name="Linux-c++"><testcase name="unit" classname="unit" status="notrun"/></testsuite>`,
      { name: "unit", status: "skipped" },
    ],
    [
      "cargo nextest",
      `<testsuites name="run"><testsuite name="krate"><testcase name="tests::adds" classname="krate" time="0.1"/></testsuite></testsuites>`,
      { name: "krate > tests::adds", status: "passed" },
    ],
    [
      "PHPUnit",
      `<testsuites><testsuite name="all"><testsuite name="App" file="/workspace/repo/tests/A.php"><testcase name="testB"/></testsuite></testsuite></testsuites>`,
      { name: "all > App > testB", file: "tests/A.php", status: "passed" },
    ],
  ])("reads what %s writes", (_writer, xml, test) => {
    expect(readJUnit(xml, root)).toEqual({ tests: [test] });
  });

  it("gives results of one name the worst status of them, but not those of two files", () => {
    const cases = ["", "<failure/>", "<skipped/>"].map((inner) => `<testcase name="same">${inner}</testcase>`);

    expect(namesOf(`<testsuite>${cases.join("")}</testsuite>`)).toEqual(["failed same"]);
    expect(namesOf(`<testsuite><testcase name="a" file="x"/><testcase name="a" file="y"/></testsuite>`)).toHaveLength(
      2,
    );
  });

  it("bears control characters of a test's output", () => {
    expect(
      namesOf(`<testsuite><testcase name="a"><failure>\u001B[31m red \u0000</failure></testcase></testsuite>`),
    ).toEqual(["failed a"]);
  });

  it("keeps what comes before a report's break, and says that it breaks", () => {
    const cut = readJUnit(`<testsuite name="s"><testcase name="a"/><testcase name="b"><fail`, root);

    expect(cut).toEqual({ tests: [{ name: "s > a", status: "passed" }], cut: "it ends in the middle" });
  });

  it("expands no entity and fetches none", () => {
    const bomb = `<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>
<testsuite><testcase name="&b;&c;&lt;"/></testsuite>`;

    expect(namesOf(bomb)).toEqual(["passed &b;&c;<"]);
  });

  it("stops at suites without end, at faults without end, and at 50,000 tests", () => {
    const deep = readJUnit(`<testsuite name="s">`.repeat(100_000), root);
    const faulty = readJUnit(`<testsuite>${"&x;".repeat(100_000)}`, root);
    const many = readJUnit(
      `<testsuite>${Array.from({ length: 60_000 }, (_, n) => `<testcase name="${n}"/>`).join("")}</testsuite>`,
      root,
    );

    expect(deep.cut).toBe("it has elements more than 200 levels deep");
    expect(faulty.cut).toBe("it is not well-formed XML");
    expect([many.tests.length, many.cut]).toEqual([50_000, "it has more than 50000 tests"]);
  });

  it("keeps long names apart and short, and messages short and few", () => {
    const long = "x".repeat(100_000);
    const cases = ["1", "2"].map((end) => `<testcase name="${long}${end}"><failure message="${long}"/></testcase>`);
    const { tests } = readJUnit(`<testsuite name="${long}">${cases.join("")}</testsuite>`, root);

    expect(tests.map(({ name, message }) => [name.length <= 500, message?.length])).toEqual([
      [true, 2000],
      [true, 2000],
    ]);
    expect(tests[0]?.name).not.toBe(tests[1]?.name);
  });
});
