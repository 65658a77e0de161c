import { describe, expect, it } from "vitest";
import { findTestTampering } from "../../../worker/tamper/tests.ts";
import { pairsFrom } from "./support.ts";

/** A test file of two tests in each language, and what is done to it. */
interface Sample {
  path: string;
  head?: string;
  one: string;
  two: string;
  tail?: string;
  /** The first test, skipped. */
  skipped: string;
  /** The first test without its assertions. */
  empty: string;
  /** The first test, with an assertion turned into a weaker one. */
  weaker: string;
  comment: (text: string) => string;
}

const hash = (text: string) => text.replaceAll(/^/gm, "# ");
const block = (text: string) => `/* ${text} */`;

const samples: Record<string, Sample> = {
  "JavaScript with Vitest, Jest, Mocha and node:test": {
    path: "src/sum.test.ts",
    head: `import { it, expect } from "vitest";\n`,
    one: `it("adds two", () => {\n  expect(sum(1, 2)).toBe(3);\n  expect(sum(2, 2)).toBe(4);\n});\n`,
    two: `test("adds none", async () => {\n  assert.equal(sum(), 0);\n  expect(/["'\`]/.test(x)).toBe(true);\n});\n`,
    skipped: `it.skip("adds two", () => {\n  expect(sum(1, 2)).toBe(3);\n  expect(sum(2, 2)).toBe(4);\n});\n`,
    empty: `it("adds two", () => {\n  sum(1, 2);\n});\n`,
    weaker: `it("adds two", () => {\n  expect(sum(1, 2)).toBeDefined();\n  expect(sum(2, 2)).toBe(4);\n});\n`,
    comment: block,
  },
  "JavaScript with tape": {
    path: "test/sum.js",
    head: `const test = require("tape");\n`,
    one: `test("adds two", (t) => {\n  t.equal(sum(1, 2), 3);\n  t.ok(sum(2, 2));\n  t.end();\n});\n`,
    two: `test('adds none', (t) => {\n  t.deepEqual(sum(), []);\n  t.throws(() => sum(null));\n  t.end();\n});\n`,
    skipped: `test("adds two", { skip: true }, (t) => {\n  t.equal(sum(1, 2), 3);\n  t.ok(sum(2, 2));\n  t.end();\n});\n`,
    empty: `test("adds two", (t) => {\n  t.end();\n});\n`,
    weaker: `test("adds two", (t) => {\n  t.ok(sum(1, 2));\n  t.ok(sum(2, 2));\n  t.end();\n});\n`,
    comment: block,
  },
  "Python with pytest": {
    path: "tests/test_sum.py",
    one: `def test_two():\n    """Adds it's two."""\n    assert sum(1, 2) == 3\n    assert sum(2, 2) == 4\n\n`,
    two: `async def test_none():\n    with pytest.raises(ValueError):\n        sum()\n    self.assertEqual(sum(0), "assert # no")\n\n`,
    skipped: `@pytest.mark.skip(reason="flaky")\ndef test_two():\n    assert sum(1, 2) == 3\n    assert sum(2, 2) == 4\n\n`,
    empty: `def test_two():\n    sum(1, 2)\n\n`,
    weaker: `def test_two():\n    assert sum(1, 2)\n    assert sum(2, 2) == 4\n\n`,
    comment: hash,
  },
  Go: {
    path: "sum_test.go",
    head: "package sum\n\n",
    one: `func TestTwo(t *testing.T) {\n\tif Sum(1, 2) != 3 {\n\t\tt.Errorf("got %q", \`"\`)\n\t}\n\tassert.Equal(t, 1, '"')\n}\n`,
    two: `func TestNone(t *testing.T) {\n\trequire.NoError(t, err)\n\tt.Fatal("x")\n}\n`,
    skipped: `func TestTwo(t *testing.T) {\n\tt.Skip("later")\n\tif Sum(1, 2) != 3 {\n\t\tt.Errorf("got %q", \`"\`)\n\t}\n\tassert.Equal(t, 1, '"')\n}\n`,
    empty: `func TestTwo(t *testing.T) {\n\tSum(1, 2)\n}\n`,
    weaker: `func TestTwo(t *testing.T) {\n\tif Sum(1, 2) != 3 {\n\t\tt.Errorf("got %q", \`"\`)\n\t}\n\tassert.NotNil(t, 1)\n}\n`,
    comment: block,
  },
  "Rust in tests/": {
    path: "tests/sum.rs",
    one: `#[test]\nfn two<'a>() {\n    assert_eq!(sum(1, 2), 3);\n    assert!(sum(2, 2) == 4, "it's");\n}\n`,
    two: `#[tokio::test]\nasync fn none() {\n    assert_ne!(sum(0), '"');\n    assert!(true);\n}\n`,
    skipped: `#[test]\n#[ignore]\nfn two<'a>() {\n    assert_eq!(sum(1, 2), 3);\n    assert!(sum(2, 2) == 4, "it's");\n}\n`,
    empty: `#[test]\nfn two<'a>() {\n    sum(1, 2);\n}\n`,
    weaker: `#[test]\nfn two<'a>() {\n    assert!(sum(1, 2) > 0);\n    assert!(sum(2, 2) == 4, "it's");\n}\n`,
    comment: block,
  },
  "Rust beside the source": {
    path: "src/sum.rs",
    head: "pub fn sum(a: u8, b: u8) -> u8 { a + b }\n\n#[cfg(test)]\nmod tests {\n",
    one: `#[test]\nfn two() {\n    assert_eq!(sum(1, 2), 3);\n    assert_eq!(sum(2, 2), 4);\n}\n`,
    two: `#[test]\nfn none() {\n    assert_ne!(sum(0), 1);\n    assert!(true);\n}\n`,
    tail: "}\n",
    skipped: `#[test]\n#[ignore = "slow"]\nfn two() {\n    assert_eq!(sum(1, 2), 3);\n    assert_eq!(sum(2, 2), 4);\n}\n`,
    empty: `#[test]\nfn two() {\n    sum(1, 2);\n}\n`,
    weaker: `#[test]\nfn two() {\n    assert_ne!(sum(1, 2), 0);\n    assert_eq!(sum(2, 2), 4);\n}\n`,
    comment: block,
  },
  "Ruby with RSpec": {
    path: "spec/sum_spec.rb",
    one: `it "adds two" do\n  expect(sum(1, 2)).to eq(3)\n  expect(sum(2, 2)).to eq(4)\nend\n`,
    two: `it 'adds none' do\n  expect { sum }.to raise_error\n  is_expected.to be\nend\n`,
    skipped: `xit "adds two" do\n  expect(sum(1, 2)).to eq(3)\n  expect(sum(2, 2)).to eq(4)\nend\n`,
    empty: `it "adds two" do\n  sum(1, 2)\nend\n`,
    weaker: `it "adds two" do\n  expect(sum(1, 2)).to be\n  expect(sum(2, 2)).to eq(4)\nend\n`,
    comment: hash,
  },
  "Ruby with Minitest": {
    path: "test/sum_test.rb",
    one: `def test_two\n  assert_equal 3, sum(1, 2)\n  assert_equal 4, sum(2, 2)\nend\n`,
    two: `def test_none\n  refute_nil sum\n  assert sum\nend\n`,
    skipped: `def test_two\n  skip\n  assert_equal 3, sum(1, 2)\n  assert_equal 4, sum(2, 2)\nend\n`,
    empty: `def test_two\n  sum(1, 2)\nend\n`,
    weaker: `def test_two\n  assert sum(1, 2)\n  assert_equal 4, sum(2, 2)\nend\n`,
    comment: hash,
  },
  "Java with JUnit": {
    path: "src/test/java/SumTest.java",
    one: `@Test\nvoid addsTwo() {\n  assertEquals(3, sum(1, 2));\n  assertThat(sum(2, 2)).isEqualTo(4);\n}\n`,
    two: `@Test\nvoid addsNone() {\n  assertThrows(X.class, () -> sum('"'));\n  fail("x");\n}\n`,
    skipped: `@Disabled("later")\n@Test\nvoid addsTwo() {\n  assertEquals(3, sum(1, 2));\n  assertThat(sum(2, 2)).isEqualTo(4);\n}\n`,
    empty: `@Test\nvoid addsTwo() {\n  sum(1, 2);\n}\n`,
    weaker: `@Test\nvoid addsTwo() {\n  assertNotNull(sum(1, 2));\n  assertThat(sum(2, 2)).isEqualTo(4);\n}\n`,
    comment: block,
  },
  "C# with xUnit": {
    path: "Sum.Tests/SumTests.cs",
    one: `[Fact]\npublic void AddsTwo() {\n  Assert.Equal(3, Sum(1, 2));\n  Sum(2, 2).Should().Be(4);\n}\n`,
    two: `[Fact]\npublic async Task AddsNone() {\n  Assert.Throws<X>(() => Sum(@"\\"));\n  Assert.True(true);\n}\n`,
    skipped: `[Fact(Skip = "later")]\npublic void AddsTwo() {\n  Assert.Equal(3, Sum(1, 2));\n  Sum(2, 2).Should().Be(4);\n}\n`,
    empty: `[Fact]\npublic void AddsTwo() {\n  Sum(1, 2);\n}\n`,
    weaker: `[Fact]\npublic void AddsTwo() {\n  Assert.NotNull(Sum(1, 2));\n  Sum(2, 2).Should().Be(4);\n}\n`,
    comment: block,
  },
  "PHP with PHPUnit": {
    path: "tests/SumTest.php",
    head: "<?php\nfinal class SumTest extends TestCase {\n",
    one: `public function testTwo(): void {\n  $this->assertSame(3, sum(1, 2));\n  self::assertSame(4, sum(2, 2));\n}\n`,
    two: `public function testNone(): void {\n  $this->expectException(X::class);\n  $this->assertTrue(true);\n}\n`,
    tail: "}\n",
    skipped: `public function testTwo(): void {\n  $this->markTestSkipped();\n  $this->assertSame(3, sum(1, 2));\n  self::assertSame(4, sum(2, 2));\n}\n`,
    empty: `public function testTwo(): void {\n  sum(1, 2);\n}\n`,
    weaker: `public function testTwo(): void {\n  $this->assertNotNull(sum(1, 2));\n  self::assertSame(4, sum(2, 2));\n}\n`,
    comment: block,
  },
  "C++ with GoogleTest": {
    path: "tests/sum_test.cc",
    one: `TEST(Sum, Two) {\n  EXPECT_EQ(sum(1, 2), 3);\n  ASSERT_EQ(sum(2, 2), '"');\n}\n`,
    two: `TEST_F(Sum, None) {\n  EXPECT_TRUE(true);\n  EXPECT_THROW(sum(), X);\n}\n`,
    skipped: `TEST(Sum, Two) {\n  GTEST_SKIP();\n  EXPECT_EQ(sum(1, 2), 3);\n  ASSERT_EQ(sum(2, 2), '"');\n}\n`,
    empty: `TEST(Sum, Two) {\n  sum(1, 2);\n}\n`,
    weaker: `TEST(Sum, Two) {\n  EXPECT_TRUE(sum(1, 2));\n  ASSERT_EQ(sum(2, 2), '"');\n}\n`,
    comment: block,
  },
  C: {
    path: "tests/test_sum.c",
    one: `static void test_two(void) {\n  assert(sum(1, 2) == 3);\n  TEST_ASSERT_EQUAL(4, sum(2, 2));\n}\n`,
    two: `void test_none(void) {\n  ck_assert_int_eq(sum(0), 0);\n  assert(1);\n}\n`,
    skipped: `static void test_two(void) {\n#if 0\n  assert(sum(1, 2) == 3);\n#endif\n  TEST_ASSERT_EQUAL(4, sum(2, 2));\n}\n`,
    empty: `static void test_two(void) {\n  sum(1, 2);\n}\n`,
    weaker: `static void test_two(void) {\n  assert(sum(1, 2));\n  TEST_ASSERT_EQUAL(4, sum(2, 2));\n}\n`,
    comment: block,
  },
};

describe.each(Object.entries(samples))("findTestTampering in %s", (_language, sample) => {
  const { path, head = "", one, two, tail = "" } = sample;
  const file = (...tests: string[]) => `${head}${tests.join("\n")}${tail}`;
  const found = async (is: string | undefined, was = file(one, two)) => {
    const findings = findTestTampering(await pairsFrom({ [path]: [was, is] }));
    return findings.map(({ kind, weight }) => `${weight}: ${kind}`);
  };

  it("has nothing against a test that is added", async () => {
    expect(await found(file(one, two), file(one))).toEqual([]);
  });

  it("finds a test that was deleted", async () => {
    expect(await found(file(one))).toContain("block: deleted-test");
  });

  it("finds a test that is a comment now", async () => {
    expect(await found(file(one, sample.comment(two)))).toContain("block: deleted-test");
  });

  it("finds a test that is skipped now, and does not take it for deleted", async () => {
    const findings = await found(file(sample.skipped, two));

    expect(findings).toContain("block: skipped-test");
    expect(findings).not.toContain("block: deleted-test");
  });

  it("finds assertions that are gone", async () => {
    expect(await found(file(sample.empty, two))).toEqual(["advise: fewer-assertions"]);
  });

  it("finds an assertion that says something else now", async () => {
    expect(await found(file(sample.weaker, two))).toEqual(["advise: changed-assertions"]);
  });

  it("finds a file without tests where there were some", async () => {
    expect(await found(`${head}${tail}`)).toEqual(["block: gutted-test-file"]);
  });

  it("finds a file whose tests say nothing any more", async () => {
    expect(await found(file(sample.empty), file(one))).toEqual(["block: gutted-test-file"]);
  });

  it("does not count what stands in comments", async () => {
    expect(await found(file(one, two, sample.comment(one)))).toEqual([]);
  });
});

describe("findTestTampering", () => {
  const two = `it("adds two", () => { expect(sum(1, 2)).toBe(3); });\n`;
  const none = `it("adds none", () => { expect(sum()).toBe(0); });\n`;
  const found = async (files: Parameters<typeof pairsFrom>[0]) => findTestTampering(await pairsFrom(files));
  const kinds = async (files: Parameters<typeof pairsFrom>[0]) => (await found(files)).map(({ kind }) => kind);

  it("names a deleted test file with its tests", async () => {
    expect(await found({ "a.test.ts": [two + none, undefined] })).toEqual([
      {
        kind: "deleted-test-file",
        path: "a.test.ts",
        detail: "is deleted, and adds two, adds none with it",
        weight: "block",
      },
    ]);
  });

  it("only mentions a test file that went with the source it is named for", async () => {
    const files = { "src/sum.ts": ["x", undefined], "test/sum.test.ts": [two, undefined] } as const;

    expect(await kinds(files)).toEqual(["tests-removed-with-source"]);
  });

  it("takes a test file that has another path now for moved", async () => {
    expect(await kinds({ "a.test.ts": [two, undefined], "b.test.ts": [undefined, two] })).toEqual([]);
    expect(await kinds({ "t/a.t": ["ok 1", undefined], "t/b.t": [undefined, "ok 1"] })).toEqual([]);
  });

  it("takes tests that stand in another file now for moved", async () => {
    expect(await kinds({ "a.test.ts": [two + none, two], "b.test.ts": [undefined, none] })).toEqual([]);
    expect(await kinds({ "a.test.ts": [two + none, undefined], "b.test.ts": [none, none + two] })).toEqual([
      "deleted-test-file",
    ]);
  });

  it("finds a test that stands elsewhere only once for two", async () => {
    const files = { "a.test.ts": [two, ""], "b.test.ts": [two, ""], "c.test.ts": ["", two] } as const;

    expect(await kinds(files)).toEqual(["gutted-test-file"]);
  });

  it("lets tests become rows of a table, and says that they are other tests now", async () => {
    const table = `it.each([[1, 2], [2, 2]])("adds %s and %s", (a, b) => { expect(sum(a, b)).toBe(3); });\n`;

    expect(await kinds({ "a.test.ts": [two + none, table] })).toEqual(["replaced-test", "fewer-assertions"]);
  });

  it("says that a test has another name, where as many are there", async () => {
    const renamed = two.replace("adds two", "adds 2");

    expect(await found({ "a.test.ts": [two, renamed] })).toEqual([
      { kind: "replaced-test", path: "a.test.ts", detail: "has other tests in place of adds two", weight: "advise" },
    ]);
  });

  it.each(["it.only(", "describe.only(", "test.concurrent.only(", "fit(", "fdescribe("])(
    "finds tests narrowed by %s, in a new file too",
    async (call) => {
      const narrowed = `${call}"adds", () => { expect(1).toBe(1); });\n`;

      expect(await kinds({ "a.test.ts": [two, two + narrowed] })).toEqual(["narrowed-tests"]);
      expect(await kinds({ "a.test.ts": [undefined, narrowed] })).toEqual(["narrowed-tests"]);
    },
  );

  it.each([
    ["a.test.ts", "xit('x', f);"],
    ["a.test.ts", "it.todo('x');"],
    ["a.test.ts", "describe.skip('x', () => {});"],
    ["a.test.ts", "test.skipIf(true)('x', f);"],
    ["a.test.ts", "test('x', (t) => { t.skip(); });"],
    ["a.test.ts", "test('x', { todo: 'later' }, f);"],
    ["test_a.py", "@pytest.mark.xfail\ndef test_x(): pass"],
    ["test_a.py", "def test_x():\n    pytest.skip('x')"],
    ["test_a.py", "@unittest.skipIf(True, 'x')\ndef test_x(self): pass"],
    ["conftest.py", "collect_ignore = ['test_b.py']"],
    ["a_test.go", "func TestX(t *testing.T) { t.SkipNow() }"],
    ["a_test.go", "//go:build never\n"],
    ["tests/a.rs", "#[cfg_attr(unix, ignore)]\nfn x() {}"],
    ["a_spec.rb", "pending 'x' do end"],
    ["a_spec.rb", "it 'x', :skip do end"],
    ["ATest.java", "@Ignore @Test void x() {}"],
    ["ATest.java", "@Test(enabled = false) void x() {}"],
    ["ATests.cs", '[Test, Explicit] [Ignore("x")] void X() {}'],
    ["ATest.php", "<?php $this->markTestIncomplete();"],
    ["a_test.cc", "TEST(A, DISABLED_b) {}"],
    ["a_test.cc", 'TEST_CASE("a", "[.]") {}'],
  ])("in %s finds the skip of: %s", async (path, text) => {
    expect(await kinds({ [path]: ["", text] })).toContain("skipped-test");
    expect(await kinds({ [path]: [undefined, text] })).toContain("skipped-new-test");
  });

  it.each([
    ["a.test.ts", "db.find({ skip: 5 }); items.only(); skip(); const todo = x.todo;"],
    ["a.test.ts", 'it("skips what it.skip( and it.only( mean", f);'],
    ["test_a.py", "x = 'pytest.skip()'  # pytest.mark.skip"],
    ["a_test.go", "func TestX(t *testing.T) { rows.Skip(2) }"],
    ["a_spec.rb", "list.skip(2)"],
  ])("in %s finds no skip in: %s", async (path, text) => {
    expect(await kinds({ [path]: ["", text] })).toEqual([]);
  });

  it("mentions a test file that ends the process", async () => {
    expect(await kinds({ "a.test.ts": [two, `${two}process.exit(0);\n`] })).toEqual(["ended-test-process"]);
  });

  it("mentions data of tests that changed, and not what is new", async () => {
    const files = { "test/fixtures/a.json": ["1", "2"], "test/data/b.txt": ["old", undefined] } as const;

    expect(await kinds({ ...files, "test/data/new.txt": [undefined, "new"] })).toEqual([
      "changed-test-data",
      "changed-test-data",
    ]);
  });

  it("says what it could not count, and holds nothing against it", async () => {
    const large = Buffer.alloc(1_000_001, "a");
    const files = {
      "a.test.ts": [two, Buffer.from("\0")],
      "b.test.ts": [two, large],
      "c.test.ts": [two, "/* without an end"],
      "d.test.ts": [two, "`without an end"],
      "e.t": ["1", "2"],
      "f.test.lua": [undefined, "1"],
    } as const;

    expect((await found(files)).map(({ kind, weight, path }) => [path, weight, kind])).toEqual(
      Object.keys(files).map((path) => [path, "advise", "unmeasured"]),
    );
  });

  it("finds the deletion of a test in a language that it does not know", async () => {
    expect(await kinds({ "t/a.t": ["ok 1", undefined] })).toEqual(["deleted-test-file"]);
  });
});
