import { describe, expect, it } from "vitest";
import { claimOf, testFilesOf } from "../../../worker/tamper/claim.ts";
import { changeFrom, pairsFrom } from "./support.ts";

const claim = async (files: Parameters<typeof pairsFrom>[0], request?: string, updates?: boolean) =>
  claimOf(await pairsFrom(files), { request, updates });

describe("claimOf", () => {
  it("sees documentation, comments among it", async () => {
    const files = {
      "README.md": ["a", "b"],
      "src/a.ts": ["f(); // a\n", "/* b\n*/\nf();  \n"],
      "a.py": ["x = 1\n", "# why\nx = 1\n"],
    } as const;

    expect(await claim(files)).toBe("documentation");
  });

  it.each([
    ["a.ts", 'x = "a"', 'x = "b"'],
    ["a.ts", 'x = "http://a"', 'x = "http://b"'],
    ["a.ts", "x = /[/*]a/", "x = /[/*]b/"],
    ["a.py", "if x:\n  y\nz", "if x:\n  y\n  z"],
    ["a.go", "//go:build linux\nx", "//go:build darwin\nx"],
    ["a.rs", "x", { mode: "100755", text: "x" } as const],
    ["a.xyz", "// a", "// b"],
  ])("does not take a change of what runs for documentation: %s %s", async (path, was, is) => {
    expect(await claim({ [path]: [was, is] })).toBe("without-tests");
  });

  it("tells the other kinds of change by their files", async () => {
    const [source, tests] = [["a", "b"] as const, [undefined, 'it("a", f)'] as const];

    expect(await claim({ "src/a.ts": source, "a.test.ts": tests })).toBe("with-tests");
    expect(await claim({ "src/a.ts": source, "a.snap": ["a", "b"] })).toBe("with-tests");
    expect(await claim({ "src/a.ts": source })).toBe("without-tests");
    expect(await claim({ "src/a.ts": source, "a.test.ts": ["it()", undefined] })).toBe("without-tests");
    expect(await claim({ "a.test.ts": tests, "README.md": source })).toBe("tests");
    expect(await claim({ "package-lock.json": source, "package.json": source })).toBe("dependencies");
    expect(await claim({ "src/a.ts": source, "package.json": source })).toBe("without-tests");
  });

  it("sees tests that stand in the source", async () => {
    const test = "fn f() {}\n#[test]\nfn g() { assert!(true); }\n";

    expect(await claim({ "src/a.rs": ["fn f() {}\n", test] })).toBe("with-tests-inside");
    expect(await claim({ "src/a.rs": [test, `${test}fn h() {}\n`] })).toBe("without-tests");
  });

  it("takes files that only moved for a refactoring", async () => {
    expect(await claim({ "src/a.ts": ["code", undefined], "src/b/a.ts": [undefined, "code"] })).toBe("refactoring");
    expect(await claim({ "src/a.ts": ["code", undefined], "src/b/a.ts": [undefined, "cods"] })).toBe("without-tests");
  });

  it.each([
    ["Refactor the parser", "refactoring"],
    ["refactor: split the parser", "refactoring"],
    ["Remove unused exports", "refactoring"],
    ["Rename `foo` to `bar`", "refactoring"],
    ["Crash while renaming a folder", "without-tests"],
    ["Fix the clean up of files", "without-tests"],
    ["", "without-tests"],
  ])("takes the word of who asked: %s", async (request, expected) => {
    expect(await claim({ "src/a.ts": ["a", "b"] }, request)).toBe(expected);
    expect(await claim({ "src/a.ts": ["a", "b"], "a.test.ts": ["", "it('a')"] }, request)).toBe("with-tests");
  });

  it("takes code for brought in line with its dependencies only where those were to be updated, and did change", async () => {
    const code = { "src/a.ts": ["a", "b"] } as const;
    const both = { ...code, "package.json": ["{}", "{ }"] } as const;

    expect(await claim(both, "", true)).toBe("adaptation");
    expect(await claim(both, "", false)).toBe("without-tests");
    expect(await claim(code, "", true)).toBe("without-tests");
    expect(await claim({ ...both, "a.test.ts": ["", "it('a')"] }, "", true)).toBe("with-tests");
    expect(await claim({ ...both, "a.test.ts": ["it('a')", undefined] }, "", true)).toBe("without-tests");
  });
});

describe("a task that is to make tests steady", () => {
  const steadying = async (files: Parameters<typeof pairsFrom>[0]) =>
    claimOf(await pairsFrom(files), { request: "", steadies: true });
  const code = { "src/a.ts": ["a", "b"] } as const;

  it("asks for no test that fails without it, whether the reason was in the source or in the test", async () => {
    expect(await steadying(code)).toBe("steadying");
    expect(await steadying({ ...code, "a.test.ts": ["it('a')", "it('a', f)"] })).toBe("steadying");
    expect(await steadying({ "a.test.ts": ["it('a')", "it('a', f)"] })).toBe("tests");
  });

  it("is no other than what it shows where it changes no code", async () => {
    expect(await steadying({ "README.md": ["a", "b"] })).toBe("documentation");
    expect(await steadying({ "package.json": ["{}", "{ }"] })).toBe("dependencies");
  });
});

describe("testFilesOf", () => {
  it("gives added and changed tests, what they need, and snapshots", () => {
    const { changes } = changeFrom({
      "src/a.ts": ["a", "b"],
      "src/a.test.ts": ["a", "b"],
      "test/support/x.ts": [undefined, "b"],
      "test/fixtures/package.json": [undefined, "{}"],
      "src/__snapshots__/a.snap": ["a", "b"],
      "src/gone.test.ts": ["a", undefined],
      "vitest.config.ts": ["a", "b"],
    });

    expect(testFilesOf(changes).map(({ path }) => path)).toEqual([
      "src/a.test.ts",
      "test/support/x.ts",
      "test/fixtures/package.json",
      "src/__snapshots__/a.snap",
    ]);
  });
});
