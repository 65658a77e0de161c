import * as fc from "fast-check";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm } from "micromark-extension-gfm";

export type Tree = ReturnType<typeof fromMarkdown>;
export type Node = Tree | Tree["children"][number];

/** As the code host reads it. */
export function parse(body: string): Tree {
  return fromMarkdown(body, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
}

export function nodesOf(node: Node): Node[] {
  return [node, ...("children" in node ? node.children.flatMap(nodesOf) : [])];
}

const plain = "root paragraph strong inlineCode code html list listItem table tableRow tableCell".split(" ");

/** What a code host would make more than text of, beside nodes of these types and texts that are ours. */
export function acting(tree: Tree, { types = [], ours }: { types?: string[]; ours?: RegExp } = {}): string[] {
  return nodesOf(tree).flatMap((node) => {
    if (node.type !== "text") return [...plain, ...types].includes(node.type) ? [] : [node.type];
    return ours?.test(node.value) === true || !/@[\p{L}\d]|#\d|GH-\d|:\/\//iu.test(node.value) ? [] : [node.value];
  });
}

const fragments = [
  "`",
  "``",
  "```",
  "~~~",
  "\\",
  "\n",
  "\n\n",
  " ",
  "    ",
  "\t",
  "\r",
  "\u{2028}",
  "\u{202E}",
  "\u{200B}",
  "\u{200D}",
  "\0",
  "\u{D83D}",
  "\u{DE00}",
  "<img src=x>",
  "<!-- ",
  "-->",
  "</details>",
  "<details>",
  "</summary>",
  "<br>",
  "<script>",
  "<?",
  "<![CDATA[",
  "&lt;b&gt;",
  "&#64;ada",
  "&commat;ada",
  "&#35;12",
  "@ada",
  "@o/team",
  "@",
  "ada@example.com",
  "#12",
  "#",
  "12",
  "GH-12",
  "o/r#3",
  "fixes ",
  "Closes: ",
  "resolved\n",
  "fix",
  "FIXED:",
  "https://github.com/o/r/issues/1",
  "http://",
  "https://",
  "www.evil.example",
  "mailto:a@b.example",
  "[x](http://evil)",
  "![x](y)",
  "[x]: http://evil",
  "[^1]",
  "[^1]: x",
  "[ ] ",
  "# ",
  "## x",
  "- ",
  "+ ",
  "* ",
  "1. ",
  "1) ",
  "> ",
  "---",
  "===",
  "***",
  "___",
  "| x | y |",
  "|---|---|",
  "|",
  ":-",
  "**",
  "_",
  "~~",
  "$x$",
  ":+1:",
  "word",
  "x".repeat(200),
];
/** What a model, a test or a repository may write: the fragments in any order, some of them many times, and other text between them. */
export const foreign = fc
  .array(
    fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...fragments) }, fc.string({ unit: "binary", maxLength: 8 })),
    { maxLength: 14 },
  )
  .map((parts) => parts.join(""));
