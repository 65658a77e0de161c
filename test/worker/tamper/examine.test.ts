import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedact } from "../../../src/redact.ts";
import { examineChange } from "../../../worker/tamper/examine.ts";
import { changeFrom } from "./support.ts";

const redact = createRedact(["a-secret-of-the-operator"]);
const examine = (files: Parameters<typeof changeFrom>[0], options = {}) => {
  const { changes, base } = changeFrom(files);
  return examineChange(changes, base, { redact, ...options });
};

describe("examineChange", () => {
  it("gives findings, size, claim and test files of a good change", async () => {
    const files = {
      "src/sum.ts": ["return a - b;\n", "return a + b;\n"],
      "src/sum.test.ts": ["", 'it("adds", () => { expect(sum(1, 2)).toBe(3); });\n'],
    } as const;

    const { findings, size, claim, testFiles } = await examine(files);

    expect(findings).toEqual([]);
    expect(size).toEqual({ source: { added: 1, removed: 1 }, test: { added: 1, removed: 0 }, question: undefined });
    expect(claim).toBe("with-tests");
    expect(testFiles.map(({ path }) => path)).toEqual(["src/sum.test.ts"]);
  });

  it("lists what blocks first, in the same order however the change is ordered", async () => {
    const files = {
      "package.json": ["{}", '{"name":"a"}'],
      ".github/workflows/ci.yml": ["a", "b"],
      "a.test.ts": ["it('x')", undefined],
      "secrets.sql": ["a", "b"],
    } as const;
    const { changes, base } = changeFrom(files);

    const one = await examineChange(changes, base, { redact, protect: ["*.sql"] });
    const other = await examineChange(changes.toReversed(), base, { redact, protect: ["*.sql"] });

    expect(one.findings.map(({ kind }) => kind)).toEqual([
      "edited-ci",
      "deleted-test-file",
      "protected-path",
      "changed-dependencies",
    ]);
    expect(other.findings).toEqual(one.findings);
  });

  it("lists at most 100 findings, and none that blocks is left out for one that does not", async () => {
    const advised = Array.from({ length: 300 }, (_one, at) => [`a${at}.snap`, ["a", "b"]] as const);

    const { findings } = await examine({ ...Object.fromEntries(advised), "z.test.ts": ["it('x')", undefined] });

    expect(findings).toHaveLength(101);
    expect(findings[0]?.kind).toBe("deleted-test-file");
    expect(findings.at(-1)?.detail).toBe("201 more findings are not listed");
  });

  const words = [
    "it.",
    "it.only(",
    "test(",
    "it",
    "expect.",
    "a.each",
    "def test",
    "assert ",
    "#[",
    "@Test",
    "func (",
    "TEST(",
    "/*",
    "*/",
    "//",
    '"""',
    "'''",
    "`",
    '"',
    "'",
    "\\",
    "\n",
    " ",
    "\t",
    ",/[",
    "=begin",
    'r#"',
    '@"',
    "#if 0",
    "-----BEGIN PRIVATE KEY-----",
    "ghp_",
    "eyJ",
    "eyJaaaaaaaaaa.",
    "-eyJaaaaaaaaaaaa",
    "secret",
    'secret = "',
    "SG.",
    "hooks.slack.com/services/T",
    "lines",
    "lines: 90",
    "--lines ",
    "NODE_ENV",
    "[tool.pytest",
    "[",
    "{",
    "\0",
    "é",
    "aaaaaaaaaa",
    "AIza",
    "ASIA",
  ] as const;
  const paths = [
    "a.test.ts",
    "test_a.py",
    "a_test.go",
    "src/a.rs",
    "a_spec.rb",
    "ATest.java",
    "ATests.cs",
    "ATest.php",
    "a_test.cc",
    "package.json",
    "pyproject.toml",
    "vitest.config.ts",
    "src/a.ts",
    "src/a.py",
    "README.md",
    "Makefile",
    ".github/x",
  ] as const;

  it("throws for no content", async () => {
    const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 5 })), { maxLength: 60 });
    const side = fc.option(
      text.map((parts) => parts.join("")),
      { nil: undefined },
    );
    const files = fc.dictionary(fc.constantFrom(...paths), fc.tuple(side, side), { maxKeys: 4 });

    await fc.assert(
      fc.asyncProperty(files, async (some) => {
        const { findings } = await examine(some);

        for (const { detail } of findings) expect(detail.length).toBeLessThan(600);
      }),
      { numRuns: 300 },
    );
  });

  // Each would take hours if its time grew with the square of the line.
  it.each(words)("comes to an end on a long line of %j, in every language", async (word) => {
    const line = word.repeat(Math.floor(200_000 / Buffer.byteLength(word)));
    const files = Object.fromEntries(paths.map((path) => [path, ["x", line]] as const));

    const { findings } = await examine(files);

    expect(findings.length).toBeGreaterThan(0);
  });

  it.each(['"', "'", "`", '@"', "/", 'r#"'])(
    "counts in a file of a megabyte that is one literal after %j",
    async (quote) => {
      const line = `x = ${quote}${"\\a".repeat(490_000)}`;

      for (const path of paths) expect((await examine({ [path]: ["x", line] })).size).toBeDefined();
    },
  );
});
