import { isMap, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { Document, YAMLError } from "yaml";
import { inlineCode, inlineText } from "./text.ts";

export type SettingsFile =
  | { ok: true; value: unknown; document: Document; lines: LineCounter }
  /** In sentences of Markdown, each with its line. */
  | { ok: false; problems: string[] };

/** In bytes. Whoever can write to one repository is not to keep the process busy that serves all. */
const mostBytes = 64 * 1024;
/** In groups, lists and keys that one is in; settings have eight. */
const mostDepth = 40;
/** Of several problems with the YAML itself, the later ones follow from the first. */
const mostProblems = 3;

/** Reads YAML of whoever may write to a repository: in time that grows with its length alone, and never by throwing. */
export function readSettingsFile(file: string): SettingsFile {
  const bytes = Buffer.byteLength(file);
  if (bytes > mostBytes) return { ok: false, problems: [`line 1: ${tooLarge(bytes)}`] };
  const lines = new LineCounter();
  const document = parseDocument(file, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "error",
    // It would compare each key with all others of its group.
    uniqueKeys: false,
    stringKeys: true,
  });
  const found = document.errors.length > 0 ? document.errors.map(explain) : structureProblems(document);
  const problems = found.slice(0, mostProblems).map(({ at, says }) => `line ${lines.linePos(at).line}: ${says}`);
  if (problems.length > 0) return { ok: false, problems };
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: 20 }) ?? {}, document, lines };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { ok: false, problems: ["line 1: its aliases (`*name`) stand for too much. Write the values out."] };
  }
}

function tooLarge(bytes: number): string {
  const kilo = (count: number) => `${Math.ceil(count / 1024)} kB`;
  return `the file has ${kilo(bytes)}, and at most ${kilo(mostBytes)} are read. Take out what it does not need.`;
}

interface Problem {
  /** The offset in the file. */
  at: number;
  says: string;
}

function explain({ code, message, pos: [at] }: YAMLError): Problem {
  const other = `it is no YAML: ${inlineText(message)}. Look at brackets, quotes and indentation, here and above.`;
  return { at, says: syntax[code] ?? other };
}

const tooDeep = "this is nested deeper than any setting. Look at brackets and dashes.";
const syntax: Partial<Record<YAMLError["code"], string>> = {
  RESOURCE_EXHAUSTION: tooDeep,
  NON_STRING_KEY: "a key is a list or a group. Write a text.",
  TAB_AS_INDENT: "a tab indents it. Use spaces.",
  MULTIPLE_DOCS: "a second document begins. Take the `---` out.",
};

function structureProblems(document: Document): Problem[] {
  const problems: Problem[] = [];
  const anchors = new Set<string | undefined>();
  visit(document, {
    Scalar(_key, { anchor }) {
      anchors.add(anchor);
    },
    Alias(_key, { source, range }) {
      if (anchors.has(source)) return;
      const text = inlineCode(`*${source}`);
      problems.push({ at: range?.[0] ?? 0, says: `${text} stands for nothing above it. A text goes into quotes.` });
    },
    Collection(_key, node, path) {
      anchors.add(node.anchor);
      if (path.length > mostDepth) {
        problems.push({ at: node.range?.[0] ?? 0, says: tooDeep });
        return visit.BREAK;
      }
      const seen = new Set<unknown>();
      for (const { key } of isMap(node) ? node.items : []) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) problems.push({ at: key.range?.[0] ?? 0, says: "the key is there twice. Keep one." });
        seen.add(key.value);
      }
      return undefined;
    },
  });
  return problems;
}
