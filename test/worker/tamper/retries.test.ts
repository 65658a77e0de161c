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
    ["playwright.config.ts", "export default { retries: 0 };", "export default { retries: 5 };"],
    ["playwright.config.ts", "export default {};", "export default { retries: process.env.CI ? 2 : 0 };"],
    ["playwright.config.ts", "({ retries: isCi ? 2 : 0 })", "({ retries: isCi\n  ? 5\n  : 0 })"],
    [
      "playwright.config.ts",
      "export default {};",
      "export default {\n  retries:\n    Number(process.env.RETRIES),\n};",
    ],
    ["playwright.config.ts", "export default {};", "export default { retries: !process.env.CI ? 0 : 2 };"],
    ["playwright.config.ts", "export default {};", "export default { retries: (isCi ? 2 : 0) };"],
    ["a.test.ts", "it('a', { retry: 0 }, f);", "it('a', { retry: often }, f);"],
    ["a.test.ts", "it('a', { retry: 3 }, f);", "it('a', f);\nit('b', { retry: 4 }, f);"],
    ["a.test.js", "it('a', function () { this.retries(0); });", "it('a', function () { this.retries(2); });"],
    ["package.json", '{"scripts":{"unit":"mocha --retries 1"}}', '{"scripts":{"unit":"mocha --retries 9"}}'],
    ["package.json", '{"mocha":{"retries":0}}', '{"mocha":{"retries":2}}'],
    ["pytest.ini", "[pytest]\naddopts = --reruns=1\n", "[pytest]\naddopts = --reruns=3\n"],
    ["pyproject.toml", "[tool.pytest.ini_options]\nretries = 0\n", "[tool.pytest.ini_options]\nretries = 3\n"],
    ["tests/test_a.py", "@flaky(max_runs=2)\ndef test_a(): pass\n", "@flaky(max_runs=9)\ndef test_a(): pass\n"],
    ["src/test/java/ATest.java", "@RetryingTest(2) void a() {}", "@RetryingTest(9) void a() {}"],
  ])("finds a test of %s that runs again until it passes", async (path, was, is) => {
    expect(await found({ [path]: [was, is] })).toEqual([`block: retried-test: ${path}`]);
  });

  it.each([
    ["a.test.ts", "it('a', { retry: 3 }, f);", "it('a', f);"],
    ["a.test.ts", "it('a', { retry: 3 }, f);", "it('a', { retry: 3 }, g);"],
    ["a.test.ts", "it('a', f);", "// no retry: 3 here\nit('a', g);"],
    ["a.test.ts", "it('a', f);", "it('retries', () => { expect(client.retry).toBe(f); });"],
    ["a.test.ts", "it('a', { retry: 3 }, f);\nit('b', f);", "it('b', f);\nit('a', { retry:  3 }, f);"],
    ["a.test.ts", "it('a', { retry: 3 }, f);", "it('a', { retry: 0 }, f);"],
    [
      "a.test.ts",
      "it('a', f);",
      "it('retry: gives up', () => { const retry = vi.fn(); call({ retry, retries: vi.fn() }); });",
    ],
    ["a.test.ts", "it('a', f);", "function call(retries: number, retry?: boolean) { return retries === most; }"],
    ["a.test.ts", "it('a', f);", "const retry = () => f(); const retries = counted.length;"],
    ["a.test.ts", "it('a', f);", "call({ retry: () => f(), retries: async (n: number) => n });"],
    ["playwright.config.ts", "export default {};", "export default { retries: 0, timeout: 5 };"],
    ["playwright.config.ts", "export default { retries: 2 };", "export default { retries: 2, timeout: 5 };"],
    ["playwright.config.ts", "export default {};", "export default { retries: undefined };"],
    ["package.json", '{"dependencies":{}}', '{"dependencies":{"retry":"^0.13.1","async-retry":"1.3.3"}}'],
    ["package.json", '{"scripts":{"unit":"mocha"}}', '{"scripts":{"unit":"mocha --retries 0"}}'],
    ["pytest.ini", "[pytest]\n", "[pytest]\naddopts = --reruns 0 -q\n"],
    ["src/client.ts", "get(url);", "get(url, { retry: 3 });"],
    ["src/client.ts", "get(url, { retries: 0 });", "get(url, { retries: isCi ? 2 : 0 });"],
    ["README.md", "", "`--retries 3`"],
  ])("finds none in %s: %s, then %s", async (path, was, is) => {
    expect(await found({ [path]: [was, is] })).toEqual([]);
  });
});
