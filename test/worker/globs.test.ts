import { posix } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isUnder } from "../../worker/globs.ts";

describe("isUnder", () => {
  it.each([
    ["packages/a/x.ts", "packages/a", true],
    ["packages/a/x.ts", "./packages/a/", true],
    ["packages/a", "packages/a", true],
    ["packages/ab/x.ts", "packages/a", false],
    ["packages/a/src/x.ts", "packages/*/src", true],
    ["packages/a/x.ts", "**/*.ts", true],
    ["packages/a/x.js", "**/*.ts", false],
    ["packages/a/.env", "packages/a", true],
    ["packages/.hidden/x.ts", "packages/*/x.ts", true],
    ["a/b/c/x.ts", "a/**/x.ts", true],
    ["a/x.ts", "a/**/x.ts", true],
    ["ab/x.ts", "a/**/x.ts", false],
    ["x.ts", "**", true],
    ["a/b.ts", "a*", true],
    ["a/b.ts", "?", true],
    ["a/b.ts", "*.ts", false],
    ["src/a.ts", "src/*.{js,ts}", true],
    ["src/a.css", "src/*.{js,ts}", false],
    ["lib/a/b.ts", "{src,lib/{a,c}}/*.ts", true],
    ["lib/b/b.ts", "{src,lib/{a,c}}/*.ts", false],
    ["v1/a", "v[0-9]", true],
    ["va/a", "v[!0-9]", true],
    ["v-/a", "v[a-]", true],
    ["[id]/page.tsx", "\\[id\\]", true],
    ["[id/page.tsx", "[id", true],
    ["{a/b", "{a", true],
    ["a", "", false],
    ["ä/b", "?", true],
  ])("%s under %s: %s", (path, pattern, expected) => {
    expect(isUnder(path, pattern)).toBe(expected);
  });

  it("agrees with Node's own globs, where those know of no hidden files", () => {
    const names = fc.stringMatching(/^[ab]{1,3}$/);
    const paths = fc.array(names, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const globs = fc.constantFrom(
      "a",
      "b",
      "ab",
      "*",
      "a*",
      "*b",
      "?",
      "a?",
      "**",
      "[ab]",
      "[!a]b",
      "{a,b}",
      "{a,b*}b",
    );
    const patterns = fc.array(globs, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(paths, patterns, (path, pattern) => {
        const expected = posix.matchesGlob(path, pattern) || posix.matchesGlob(path, `${pattern}/**`);
        expect(isUnder(path, pattern)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["a".repeat(255), `${"*a".repeat(90)}b`],
    ["a/".repeat(500), `${"**/a/".repeat(40)}b`],
    ["x", "{a,b}".repeat(40)],
    ["x", `${"{".repeat(90)}a${"}".repeat(90)}`],
    ["a".repeat(200), "{a,aa}".repeat(30)],
  ])("answers where trying every way would take for ever: %#", (path, pattern) => {
    expect(isUnder(path, pattern)).toBe(false);
  });
});
