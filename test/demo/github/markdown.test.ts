import { expect, it } from "vitest";
import { renderMarkdown } from "../../../src/demo/github/markdown.ts";

it("shows GitHub's Markdown, with folded details", () => {
  const shown = renderMarkdown(
    "# T\n\n| a |\n|-|\n| `b` |\n\n<details><summary>More</summary>\n\n**bold**\n\n</details>\n",
  );

  for (const part of [
    "<h1>T</h1>",
    "<td><code>b</code></td>",
    "<details><summary>More</summary>",
    "<strong>bold</strong>",
  ])
    expect(shown).toContain(part);
});

it("hides comments, which carry our markers", () => {
  expect(renderMarkdown("<!-- agent-fix: {} -->\nworking")).not.toContain("agent-fix");
  expect(renderMarkdown("a <!-- inline --> b")).toBe("<p>a  b</p>\n");
});

it.each([
  "<script>alert(1)</script>",
  "a <script>alert(1)</script> b",
  '<img src="http://evil.test/x.png" onerror="alert(1)">',
  "<svg/onload=alert(1)>",
  '<details open ontoggle="alert(1)">x</details>',
  '<meta http-equiv="refresh" content="0;url=http://evil.test/">',
  "<iframe src=javascript:alert(1)></iframe>",
  "<style>body{display:none}</style>",
  "<form action=http://evil.test><button>x</button></form>",
  "<!-- x --><scr<!-- y -->ipt>alert(1)</script>",
  "</div></article><base href=http://evil.test>",
])("shows the text of %s, and no such tag", (text) => {
  const shown = renderMarkdown(text);

  expect(shown.replaceAll(/<\/?(?:p|summary)>|<\/?details>/g, "")).not.toContain("<");
});

it.each(["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", " javascript:alert(1)"])(
  "makes no link of %s",
  (href) => {
    const shown = renderMarkdown(`[click](<${href}>) ![see](<${href}>) <${href.trim()}>`);

    expect(shown).not.toContain("<a");
    expect(shown).toContain("click");
  },
);

it("loads no image, and links to it", () => {
  expect(renderMarkdown('![a "quoted" one](http://evil.test/x.png?a&b)')).toBe(
    '<p><a href="http://evil.test/x.png?a&amp;b">a &quot;quoted&quot; one</a></p>\n',
  );
});

it("keeps an address from leaving its attribute", () => {
  expect(renderMarkdown(`[x](<http://e.test/"onclick="alert(1)>)`)).not.toContain('"onclick');
});
