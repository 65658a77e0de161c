import { describe, expect, it } from "vitest";
import { readGo } from "../../../worker/reports/go.ts";

const lines = (...events: (object | string)[]) =>
  events.map((event) => (typeof event === "string" ? event : JSON.stringify(event))).join("\n");
const of = (Action: string, Test?: string, Output?: string, Package = "example.com/a") => ({
  Action,
  Package,
  Test,
  Output,
});
const read = (text: string) => readGo(text, "/workspace/repo");
const namesOf = (text: string) => read(text).tests.map(({ name, status }) => `${status} ${name}`);

describe("readGo", () => {
  const text = lines(
    of("start"),
    of("run", "TestOk"),
    of("output", "TestOk", "=== RUN   TestOk\n"),
    of("pass", "TestOk"),
    of("run", "TestSum"),
    of("run", "TestSum/one_and_two"),
    of("output", "TestSum/one_and_two", "    sum_test.go:9: got -1\n"),
    of("fail", "TestSum/one_and_two"),
    of("fail", "TestSum"),
    of("run", "TestWait"),
    of("skip", "TestWait"),
    of("output", undefined, "FAIL\n"),
    of("fail"),
  );

  it("names a test by its package and the tests around it, and takes no package for a test that its tests explain", () => {
    expect(read(text)).toMatchObject({
      tests: [
        { name: "example.com/a > TestOk", status: "passed" },
        { name: "example.com/a > TestSum", status: "failed" },
        { name: "example.com/a > TestSum > one_and_two", status: "failed", message: "sum_test.go:9: got -1" },
        { name: "example.com/a > TestWait", status: "skipped" },
      ],
    });
  });

  it("says what go test would have said: not the output of what passed", () => {
    expect(read(text).said).toBe("    sum_test.go:9: got -1\nFAIL\n");
  });

  it("takes a package that was not built, and a test that never ended, for failed", () => {
    const unbuilt = lines(
      "# example.com/a",
      "./sum.go:3:1: syntax error",
      of("start"),
      of("output", undefined, "FAIL\texample.com/a [build failed]\n"),
      of("fail"),
      of("run", "TestPanic", undefined, "example.com/b"),
      of("fail", undefined, undefined, "example.com/b"),
    );

    expect(namesOf(unbuilt)).toEqual(["failed example.com/b > TestPanic", "failed example.com/a"]);
    expect(read(unbuilt).said).toContain("syntax error");
  });

  it("has no result where a package has no tests", () => {
    expect(namesOf(lines(of("start"), of("output", undefined, "?   \tx\t[no test files]\n"), of("skip")))).toEqual([]);
  });

  it("says that a line is broken off", () => {
    expect(read(`${lines(of("run", "TestA"), of("pass", "TestA"))}\n{"Action":"ru`)).toMatchObject({
      tests: [{ status: "passed" }],
      cut: "its last line is not whole",
    });
  });
});
