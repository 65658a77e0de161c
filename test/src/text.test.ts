import * as fc from "fast-check";
import { marked } from "marked";
import { describe, expect, it } from "vitest";
import {
  boundedBody,
  closingNothing,
  cut,
  fencedText,
  inlineCode,
  inlineText,
  plainText,
  tailOf,
} from "../../src/text.ts";

describe("inlineText", () => {
  it.each([
    ["@team", /@\p{L}/u],
    ["fixes #12 and closes o/r#3", /(fixes|closes) \S*#\d/i],
    ["fixes GH-12", /fixes GH-\d/i],
    ["fixes https://github.com/o/r/issues/1", /fixes https?:/i],
    ["fixes http://https://github.com/o/r/issues/1", /fixes https?:/i],
    ["fixes:#12", /fixes:#\d/],
    ["&#64;team &commat;team", /(?<!\\)&[#c]/],
    ["hugh-1 fixGH-1", /GH-\d/i],
    ["_www.evil.example", /www\./],
    ["# heading", /^#/],
    ["- item", /^-/],
    ["1. item", /^1\./],
    ["~~~", /(?<!\\)~/],
    ["<img src=x>", /(?<!\\)</],
    ["![x](http://evil)", /(?<!\\)\[/],
    ["<!-- hidden", /(?<!\\)<!--/],
    ["a\u{E0041}\u{200B}b\u{202E}c", /[\u{E0000}-\u{E007F}\u{202E}]/u],
    ["line\n# heading", /\n/],
  ])("takes the force out of %j", (hostile, force) => {
    expect(inlineText(hostile)).not.toMatch(force);
  });

  it("keeps code between backticks, as people and models write it", () => {
    expect(inlineText("`parse()` drops `<T>` of a_b")).toBe(
      String.raw`\`parse()\` drops \`<T>\` of a\_b`.replaceAll("\\`", "`"),
    );
  });

  it("renders nothing but text and code, whatever is put together", () => {
    const parts = fc.constantFrom(
      "`",
      "``",
      "\\",
      "<img src=x>",
      "</code>",
      "[a](http://b)",
      "![",
      "@team",
      "#1",
      "a",
      " ",
      "*",
      "<!--",
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 12 }), (texts) => {
        const html = marked.parseInline(inlineText(texts.join("")), { async: false });
        expect(html.replaceAll(/<\/?code>|&lt;/g, "")).not.toMatch(/</);
        expect(html.replaceAll(/<code>.*?<\/code>/g, "")).not.toMatch(/@team|#1/);
      }),
      { numRuns: 2000 },
    );
  });

  it("is one line whatever comes in", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(inlineText(text)).not.toMatch(/[\n\r\u{2028}]/u);
      }),
    );
  });
});

describe("plainText", () => {
  it("keeps an ordinary title and cuts a long one", () => {
    expect(plainText("Mend `parse()` for <T>")).toBe("Mend `parse()` for <T>");
    expect(plainText("x".repeat(100), 72)).toHaveLength(72);
  });
});

describe("closingNothing", () => {
  it("keeps what it is of several lines, and closes nothing that stands in it", () => {
    expect(closingNothing("a\n\tb  c\n")).toBe("a\n\tb  c\n");
    expect(closingNothing("Fixes\n\0#12, closes o/r#3, resolved: GH-4")).toBe(
      "Fixes\nno. 12, closes see o/r#3, resolved: see GH-4",
    );
  });

  it("reads a megabyte of addresses that are those of no issue", () => {
    const text = "close:https://".repeat(70_000);

    expect(closingNothing(text) === text).toBe(true);
  });
});

describe("cut", () => {
  it("keeps a character whole or leaves it out", () => {
    expect([cut("ab\u{1F600}", 3), cut("ab\u{1F600}", 4), cut("ab", 9)]).toEqual(["ab", "ab\u{1F600}", "ab"]);
  });
});

describe("inlineCode", () => {
  it("is code in one line, which a table's cell can hold", () => {
    expect(inlineCode("a`|\nb fixes #1")).toBe("`a b fixes no. 1`");
    expect(inlineCode("")).toBe("` `");
  });
});

describe("fencedText", () => {
  it("has a fence of 101 backticks at most", () => {
    expect(fencedText("`".repeat(5000))).toHaveLength(101 + 1 + 100 + 1 + 101);
  });

  it("cannot be closed from inside", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("```", "````", "~~~", "a", "\n", "</details>")), (parts) => {
        const block = fencedText(parts.join(""));
        const fence = /^`+/.exec(block)?.[0] ?? "";
        expect(block.slice(fence.length, -fence.length)).not.toContain(fence);
      }),
    );
  });
});

describe("tailOf", () => {
  it("keeps a short text, and the end of a long one from a line's start", () => {
    expect(tailOf("short", 10)).toBe("short");
    expect(tailOf("\u{1F600}\u{1F600}", 3)).toBe("[…]\n\u{1F600}");
    expect(tailOf("first line\nsecond\nthird", 15)).toBe("[…]\nsecond\nthird");
  });
});

describe("boundedBody", () => {
  it("keeps what GitHub accepts, and says what it cut", () => {
    expect(boundedBody("fits")).toBe("fits");
    const cut = boundedBody("x".repeat(70_000));
    expect(cut.length).toBeLessThan(65_536);
    expect(cut).toContain("did not fit");
  });
});
