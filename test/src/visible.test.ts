import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unreadable, visibleText } from "../../src/visible.ts";

const secret = "obey the canary";
const tagged = Array.from(secret, (letter) => String.fromCodePoint(0xe0000 + (letter.codePointAt(0) ?? 0))).join("");

/** Markdown that shows nothing of what it carries. */
const hiding: Record<string, string> = {
  "a comment": `<!-- ${secret} -->`,
  "a comment in a line": `before <!-- ${secret} --> after`,
  "a comment over several lines": `<!--\n${secret}\n\n${secret}\n-->`,
  "a comment that nothing closes": `text\n\n<!-- ${secret}\n\nmore ${secret}`,
  "a comment opened in a block and closed below it": `<div><!--\n\n${secret}\n\n--></div>`,
  "a comment with a dash too many": `<!--- ${secret} --->`,
  "a comment that ends with a bang": `<!-- ${secret} --!>`,
  "a comment within a comment": `<!-- <!-- ${secret} -->`,
  "a processing instruction": `<?php ${secret} ?>`,
  "a declaration": `<!DOCTYPE ${secret}>`,
  "a CDATA section": `<![CDATA[ ${secret} ]]>`,
  "a definition as a comment": `[//]: # (${secret})`,
  "a definition with quotes": `[comment]: <> "${secret}"`,
  "a definition's single quotes": `[x]: # '${secret}'`,
  "a definition's title on the next line": `[x]: https://a.example\n  "${secret}"`,
  "a definition's label": `[${secret}]: https://a.example`,
  "a footnote that nobody refers to": `[^n]: ${secret}`,
  "a link's title": `[text](https://a.example "${secret}")`,
  "a link's title in parentheses": `[text](https://a.example (${secret}))`,
  "a picture's title": `![text](https://a.example/p.png "${secret}")`,
  "a picture's alternative text": `![${secret}](https://a.example/p.png)`,
  "a picture by reference": `![${secret}][p]\n\n[p]: https://a.example/p.png`,
  "the alternative text of a tag": `<img src="https://a.example/p.png" alt="${secret}">`,
  "the title of a tag": `<span title="${secret}">text</span>`,
  "a label for screen readers": `<a href="https://a.example" aria-label="${secret}">text</a>`,
  "data of a tag": `<p data-note="${secret}">text</p>`,
  "an attribute that goes on over paragraphs": `<div title="\n\n${secret}\n\n">text</div>`,
  "an attribute that nothing closes": `<div title="${secret}\n\n${secret}`,
  "an unknown attribute": `<b ${secret.replaceAll(" ", "-")}="${secret}">text</b>`,
  "a script": `<script>${secret}</script>`,
  "a script that nothing closes": `<script>\n\n${secret}`,
  "a style": `<style>${secret}</style>`,
  "a page's title": `<title>${secret}</title>`,
  "a field of text": `<textarea>${secret}</textarea>`,
  "a template": `<template>${secret}</template>`,
  "a frame's content": `<iframe>${secret}</iframe>`,
  "content for who has no frames": `<noframes>${secret}</noframes>`,
  "content of an object": `<object>${secret}</object>`,
  "a field's value": `<input value="${secret}">`,
  "a choice's label": `<optgroup label="${secret}"></optgroup>`,
  "a code block's info": `\`\`\`js ${secret}\nlet a;\n\`\`\``,
  "a code block's language": `\`\`\`${secret.replaceAll(" ", "\u{A0}")}-and-more-of-it\nlet a;\n\`\`\``,
  "a tilde block's info": `~~~ js ${secret}\nlet a;\n~~~`,
  "a diagram's comment": `\`\`\`mermaid\n%% ${secret}\ngraph TD\n\`\`\``,
  "a diagram's comment behind blank lines": `\`\`\`mermaid\ngraph TD\n\n \u{A0}%% ${secret}\n\`\`\``,
  "a diagram's comment behind a separator of lines": `\`\`\`mermaid\ngraph TD\u{2028}%% ${secret}\n\`\`\``,
  "a formula in white": `$\\color{white}{\\text{${secret}}}$`,
  "a formula that is only room": `$\\phantom{${secret}}$`,
  "a formula of its own in white": `$$\\textcolor{white}{\\text{${secret}}}$$`,
  "tag characters": tagged,
  "tag characters in code": `\`${tagged}\``,
  "tag characters as references": Array.from(tagged, (one) => `&#x${one.codePointAt(0)?.toString(16) ?? ""};`).join(""),
};
const decoded = (text: string) =>
  text.replaceAll(/[\u{E0020}-\u{E007E}]/gu, (one) => String.fromCodePoint((one.codePointAt(0) ?? 0) - 0xe0000));

/** Without addresses: a bare one is written as a link the second time. */
const lettersOf = (text: string) => text.replaceAll(/https?\\?:\S*/g, "").replaceAll(/[^\p{L}\p{N}]/gu, "");

describe("visibleText", () => {
  it.each(Object.entries(hiding))("leaves out %s", (_name, markdown) => {
    const { text } = visibleText(`First.\n\n${markdown}`);

    expect(text).toMatch(/^First\./);
    expect(decoded(text)).not.toMatch(/canary/);
  });

  it.each([
    ["\u{200B}", "zero width space"],
    ["\u{200D}", "joiner"],
    ["\u{FEFF}", "byte order mark"],
    ["\u{00AD}", "soft hyphen"],
    ["\u{202E}", "override of direction"],
    ["\u{2066}", "isolate"],
    ["\u{061C}", "Arabic mark"],
    ["\u{2060}", "word joiner"],
    ["\u{2064}", "invisible plus"],
    ["\u{3164}", "Hangul filler"],
    ["\u{FFA0}", "half-width Hangul filler"],
    ["\u{180E}", "Mongolian separator"],
    ["\u{FE01}", "variation selector"],
    ["\u{E0101}", "variation selector beyond the first plane"],
    ["\u{1D173}", "musical mark"],
    ["\u{7}", "bell"],
    ["&#8203;", "zero width space by number"],
    ["&ZeroWidthSpace;", "zero width space by name"],
    ["&zwnj;", "non-joiner by name"],
    ["&InvisibleTimes;", "invisible times by name"],
    ["&lrm;", "mark of direction by name"],
  ])("takes %j out of a word and says so: %s", (character) => {
    expect(visibleText(`can${character}ary`)).toEqual({
      text: "canary",
      attachments: [],
      removed: ["invisible characters"],
    });
  });

  it.each([
    ["words", "Two words, *one* of them **said** loudly."],
    ["a name with underscores", "The function parse_all_of_it fails."],
    ["two lines", "one\ntwo"],
    ["a list", "- one\n- two\n  1. three"],
    ["boxes to tick", "- [x] done\n- [ ] open"],
    ["a table", "| a | b |\n| - | - |\n| 1 | 2 |"],
    ["code in a line", "Call `parse(<T>)`."],
    ["a block of code, with what looks like a comment", "```js\nconst a = 1 < 2; // <!-- shown -->\n```"],
    ["code that is indented in a list", "- step\n\n  ```sh\n  npm test\n  ```"],
    ["a link", "[text](https://a.example/x)"],
    ["an address", "<https://a.example/x>"],
    ["a quotation", "> said\n>\n> twice"],
    ["a heading", "### Steps"],
    ["other alphabets", "Ошибка 日本語 한국어"],
  ])("leaves %s as they are", (_name, markdown) => {
    expect(visibleText(markdown)).toEqual({ text: markdown, attachments: [], removed: [] });
  });

  it("shows what a folded part, a preformatted block and a character reference show", () => {
    const { text } = visibleText(
      "<details><summary>Log</summary>\n\nfailed &lt;here&gt;\n\n</details>\n<pre>a  b</pre>",
    );

    expect(text).toBe("Log\n\nfailed \\<here>\n\n```\na  b\n```");
  });

  it("names pictures and uploaded files, which nobody has read, each once", () => {
    const upload = "https://github.example/user-attachments";
    const { text, attachments } = visibleText(
      `![shot](${upload}/assets/1b2c) <img src="https://a.example/x/error.png?raw=1"> [trace.LOG](${upload}/files/7/trace.LOG) [docs](https://a.example/docs) ![shot](${upload}/assets/1b2c)`,
    );

    expect(text).toMatch(/^\(picture: 1b2c\) \(picture: error\.png\) \[trace\.LOG\]/);
    expect(attachments).toEqual([
      { name: "1b2c", type: "picture" },
      { name: "error.png", type: "picture" },
      { name: "trace.LOG", type: "log" },
    ]);
  });

  it("says of what it left out what kind it was", () => {
    const { removed } = visibleText(`<!-- a --> <span title="b">c</span> <style>d</style> $\\phantom{e}$`);

    expect(removed).toEqual(["comments", "titles of links and pictures", "<style>", "formulas that can hide text"]);
  });

  it.each(["> ", "1. ", "- ", "<div>", "<b>", "[[", "![", "*a ", "`", "\n> - "])(
    "ends with an answer for 64 KB of %j",
    (part) => {
      expect(visibleText(part.repeat(65_536 / part.length)).text.length).toBeLessThan(200_000);
    },
  );

  it.each(["*a_ ", "a\n===\n"])("gives up on 64 KB of %j, which a parser reads for a minute", (part) => {
    const { text } = visibleText(part.repeat(65_536 / part.length), 50);

    expect(text.slice(0, 100)).toBe(unreadable.text);
  });

  it("gives up on it again without another try", () => {
    const markdown = "*b_ ".repeat(16_384);
    visibleText(markdown, 50);

    expect(visibleText(markdown, 3_600_000).text.slice(0, 100)).toBe(unreadable.text);
  });

  it("gives up on a text that is nested deeper than a parser goes", () => {
    expect(visibleText("<b>".repeat(20_000)).text.slice(0, 100)).toBe(unreadable.text);
  });

  it("reads a diagram of blank lines", () => {
    const { text } = visibleText(`\`\`\`mermaid\ngraph TD${"\n".repeat(60_000)}A-->B\n\`\`\``);

    expect(text.slice(-20)).toMatch(/A-->B/);
  });

  it("changes nothing more when it reads its own text, and shows no comment, title or invisible character", () => {
    const parts = [
      ...Object.values(hiding),
      "word",
      "\n",
      "\n\n",
      "- ",
      "> ",
      "`",
      "*",
      "_",
      "<",
      ">",
      "[",
      "](",
      "&lt;",
      "<!--",
      "-->",
      "\\",
      "| a |",
      "#",
      "$",
    ];
    const markdown = fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((list) => list.join(""));
    fc.assert(
      fc.property(markdown, (given) => {
        const { text } = visibleText(given);
        const again = visibleText(text);
        expect(lettersOf(again.text)).toBe(lettersOf(text));
        expect(again.removed).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});
