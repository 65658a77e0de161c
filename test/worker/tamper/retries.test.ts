import { describe, expect, it } from "vitest";
import { findRetries } from "../../../worker/tamper/retries.ts";
import { pairsFrom } from "./support.ts";

const found = async (files: Parameters<typeof pairsFrom>[0]) =>
  findRetries(await pairsFrom(files)).map(({ kind, path, weight }) => `${weight}: ${kind}: ${path}`);

describe("findRetries", () => {
  it.each([
    ["a.test.ts", "it('a', f);", "it('a', { retry: 3 }, f);"],
    ["a.test.js", "it('a', f);", "it('a', function () { this.retries(2); });"],
    ["a.test.js", "it('a', f);", "jest.retryTimes(3);\nit('a', f);"],
    ["vitest.config.ts", "export default { test: {} };", "export default { test: { retry: 2 } };"],
    ["playwright.config.ts", "export default {};", "export default { retries: 2 };"],
    ["package.json", '{"scripts":{"unit":"mocha"}}', '{"scripts":{"unit":"mocha --retries 3"}}'],
    ["pytest.ini", "[pytest]\n", "[pytest]\naddopts = --reruns 3\n"],
    ["tests/test_a.py", "def test_a(): pass\n", "@pytest.mark.flaky(reruns=3)\ndef test_a(): pass\n"],
    ["src/test/java/ATest.java", "@Test void a() {}", "@RepeatedIfExceptionsTest(repeats = 3) void a() {}"],
    ["src/test/java/ATest.java", "@Test void a() {}", "@RetryingTest(3) void a() {}"],
    ["a.test.ts", undefined, "it('a', { retry: 3 }, f);"],
  ])("finds a test of %s that runs again until it passes", async (path, was, is) => {
    expect(await found({ [path]: [was, is] })).toEqual([`block: retried-test: ${path}`]);
  });

  it.each([
    ["a.test.ts", "it('a', { retry: 3 }, f);", "it('a', f);"],
    ["a.test.ts", "it('a', { retry: 3 }, f);", "it('a', { retry: 3 }, g);"],
    ["a.test.ts", "it('a', f);", "// no retry: 3 here\nit('a', g);"],
    ["a.test.ts", "it('a', f);", "it('retries', () => { expect(client.retry).toBe(f); });"],
    ["src/client.ts", "get(url);", "get(url, { retry: 3 });"],
    ["README.md", "", "`--retries 3`"],
  ])("finds none in %s: %s, then %s", async (path, was, is) => {
    expect(await found({ [path]: [was, is] })).toEqual([]);
  });
});
