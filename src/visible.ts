import type { Element, Root, Text } from "hast";
import rehypeParse from "rehype-parse";
import rehypeRemark from "rehype-remark";
import rehypeSanitize, { defaultSchema } from "rehype-sanitize";
import remarkBreaks from "remark-breaks";
import remarkGfm from "remark-gfm";
import remarkParse from "remark-parse";
import remarkRehype from "remark-rehype";
import rehypeStringify from "rehype-stringify";
import remarkStringify from "remark-stringify";
import { unified } from "unified";
import { visit } from "unist-util-visit";
import { inTime } from "./in-time.ts";

/** A picture, or a file that was uploaded to the code host, which nobody has opened. */
export interface Attachment {
  name: string;
  /** "picture", or the ending of the file's name such as "log"; "file" where it has none. */
  type: string;
}

export interface Visible {
  /** Markdown that says what a person sees, and nothing else. */
  text: string;
  /** In the order of the text, each once. */
  attachments: Attachment[];
  /** What was left out because nobody sees it, in words. */
  removed: string[];
}

/** What is longer is cut: a parser has to read it, and no person will. */
const mostCharacters = 64 * 1024;

// Tags, variation selectors, Hangul fillers, joiners, marks of direction and controls have no shape of their own.
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]|(?![\n\t])\p{Cc}/gu;
// Formulas can be written in the page's own colour, or as nothing but room.
const hiddenFormula =
  /\$(\$?)[^$]*\\(?:[hv]?phantom|(?:text)?color|f?colorbox|tiny|scriptsize|transparent)\b[^$]*\$\1/g;
const uploads = /\/(?:user-attachments\/(?:assets|files)|assets\/\d+|files\/\d+)\/[^/]/;
const unseenElements = ["script", "style", "title", "textarea", "template", "iframe", "noembed", "noframes", "object"];
const schema = { ...defaultSchema, strip: unseenElements };

// The page is read as a whole, as a browser does: a comment or a quotation mark that one block opens hides the next.
const rendering = unified()
  .use(remarkParse)
  .use(remarkGfm)
  .use(remarkBreaks)
  .use(remarkRehype, { allowDangerousHtml: true })
  .use(rehypeStringify, { allowDangerousHtml: true })
  .freeze();

/** What stands for a text that no parser gets through: it takes too long, or is nested too deeply. */
export const unreadable: Visible = {
  text: "(This text could not be read: its Markdown is too complicated.)",
  attachments: [],
  removed: ["a text whose Markdown is too complicated to be read"],
};

/** A run's lock lasts ten seconds, and nothing renews it meanwhile. */
const mostMs = 4000;
/** Texts that were unreadable, so that nobody waits for them again. */
const givenUp = new Set<string>();
const mostGivenUp = 20;

/**
 * What a person sees of Markdown that somebody else wrote: it is rendered as the code host does (GFM, then the list of
 * HTML that GitHub allows), and turned back. Comments, attributes, reference definitions, what stands behind a code
 * block's language, and invisible characters are left out; a picture stands as its name. `unreadable` for what takes
 * more than `limitMs`.
 */
export function visibleText(markdown: string, limitMs = mostMs): Visible {
  const given = markdown.slice(0, mostCharacters).toWellFormed();
  if (givenUp.has(given)) return unreadable;
  const visible = tryRead(given, limitMs);
  if (visible !== undefined) return visible;
  const [oldest] = givenUp;
  if (oldest !== undefined && givenUp.size === mostGivenUp) givenUp.delete(oldest);
  givenUp.add(given);
  return unreadable;
}

function tryRead(given: string, limitMs: number): Visible | undefined {
  try {
    return inTime(() => read(given), limitMs);
  } catch (error) {
    // The parsers call themselves for every level.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function read(given: string): Visible {
  const attachments = new Map<string, Attachment>();
  const removed = new Set<string>();
  const seen = given.replaceAll("\r", "").replaceAll(invisible, "");
  if (seen !== given.replaceAll("\r", "")) removed.add("invisible characters");
  const reading = unified()
    .use(rehypeParse, { fragment: true })
    .use(() => (tree: Root) => noteUnseen(tree, removed))
    .use(rehypeSanitize, schema)
    .use(() => (tree: Root) => keepSeen(tree, { attachments, removed }))
    .use(rehypeRemark)
    .use(remarkGfm)
    .use(remarkStringify, { bullet: "-", rule: "-", handlers: { break: () => "\n" } });
  const text = String(reading.processSync(String(rendering.processSync(shallow(seen))))).trim();
  return { text, attachments: [...attachments.values()], removed: [...removed] };
}

const marker = String.raw`[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))`;
const nested = new RegExp(`^((?:${marker}){40})(?:${marker})+`, "gm");

/** Of quotes and lists in one another, forty stay: a parser takes time by the square of their depth. */
function shallow(markdown: string): string {
  return markdown.replaceAll(nested, "$1");
}

function noteUnseen(tree: Root, removed: Set<string>): void {
  visit(tree, (node) => {
    if (node.type === "comment" && node.value.trim() !== "") removed.add("comments");
    if (node.type !== "element") return;
    if (unseenElements.includes(node.tagName)) removed.add(`<${node.tagName}>`);
    if (typeof node.properties["title"] === "string") removed.add("titles of links and pictures");
  });
}

interface Found {
  attachments: Map<string, Attachment>;
  removed: Set<string>;
}

function keepSeen(tree: Root, found: Found): void {
  visit(tree, (node, index, parent) => {
    if (node.type === "text") keepSeenText(node, found);
    if (node.type !== "element") return;
    delete node.properties["title"];
    if (node.tagName === "code") keepSeenCode(node, found);
    if (node.tagName === "a") noteUpload(node, found);
    if (node.tagName !== "img" || parent === undefined || index === undefined) return;
    const address = textOf(node.properties["src"]);
    const name = nameOf(address);
    found.attachments.set(address, { name, type: "picture" });
    parent.children[index] = { type: "text", value: `(picture: ${name})` };
  });
}

/** Character references can bring in what was taken out of the source. */
function keepSeenText(node: Text, { removed }: Found): void {
  const seen = node.value.replaceAll(invisible, "");
  if (seen !== node.value) removed.add("invisible characters");
  node.value = seen.replaceAll(hiddenFormula, () => {
    removed.add("formulas that can hide text");
    return "(formula)";
  });
}

/** A diagram's comments are not drawn. */
function keepSeenCode(node: Element, { removed }: Found): void {
  const classes = node.properties["className"];
  const [language] = (Array.isArray(classes) ? classes : []).map((one) => textOf(one).replace("language-", ""));
  if (language !== undefined && !/^[\w+#.-]{1,20}$/.test(language)) node.properties["className"] = [];
  const [content] = node.children;
  if (language !== "mermaid" || content?.type !== "text") return;
  const lines = content.value.split(/[\n\u2028\u2029]/);
  const drawn = lines.filter((line) => !line.trimStart().startsWith("%%"));
  if (drawn.length < lines.length) removed.add("comments");
  content.value = drawn.join("\n");
}

function noteUpload({ properties, children }: Element, { attachments }: Found): void {
  const address = textOf(properties["href"]);
  if (!uploads.test(address)) return;
  const [label] = children;
  const name = label?.type === "text" && /\.\w{1,10}$/.test(label.value) ? label.value : nameOf(address);
  attachments.set(address, { name, type: /\.(\w{1,10})$/.exec(name)?.[1]?.toLowerCase() ?? "file" });
}

/** The last part of an address's path. */
function nameOf(address: string): string {
  const [path = ""] = address.split(/[?#]/, 1);
  const name = path.split("/").findLast(Boolean) ?? "";
  return name === "" ? "without a name" : name.slice(0, 100);
}

function textOf(value: Element["properties"][string]): string {
  return typeof value === "string" ? value : "";
}
