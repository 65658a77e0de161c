import { posix } from "node:path";
import { z } from "zod";
import { rearm } from "../agent/markup.ts";
import { createTool } from "../agent/tool.ts";
import type { Tool, ToolResult } from "../agent/tool.ts";
import { listFolder, readText, writeText } from "./files.ts";
import type { Files, Place } from "./files.ts";
import { linesOf, nearestLine, numberLines, splitLines, withLineEnds } from "./lines.ts";

const viewLines = 400;
const viewLength = 24_000;
const lineLength = 1000;

const parameters = z.object({
  command: z.enum(["view", "create", "str_replace", "insert"]).describe("What to do."),
  path: z.string().trim().min(1, "it is empty").describe("Absolute path of a file, or for view also of a folder."),
  view_range: z.string().optional().describe('For view: first and last line, such as "10-40".'),
  insert_line: z.int().optional().describe("For insert: the line after which new_str is put; 0 is the top."),
  old_str: z.string().optional().describe("For str_replace: the text to replace, exactly as it stands in the file."),
  new_str: z.string().optional().describe("For str_replace and insert: the new text."),
  file_text: z.string().optional().describe("For create: the content of the new file."),
});
type Args = z.output<typeof parameters>;

/** Views and edits files below `root` by exact text, keeping their line ends. */
export function createEditor({ sandbox, root }: { sandbox: Files; root: string }): Tool {
  return createTool({
    name: "str_replace_editor",
    description: `Views, creates and edits files below ${root}. view shows a file with line numbers, or what is in a folder. create writes a new file. str_replace replaces old_str, which must occur exactly once in the file, including white space: give enough lines around the place. insert puts new_str after a line.`,
    parameters,
    async call(args, signal) {
      const path = posix.normalize(args.path);
      const inside = path === root || path.startsWith(`${root}/`);
      if (!inside) return failed(`${args.path} is not below ${root}. ${adviceFor(args.path, root)}`);
      const place = { sandbox, path: path.replace(/(?<=.)\/$/, ""), signal };
      switch (args.command) {
        case "view":
          return view(place, args);
        case "create":
          return create(place, args);
        case "str_replace":
          return replace(place, args);
        case "insert":
          return insert(place, args);
      }
    },
  });
}

async function view(place: Place, { view_range: range }: Args): Promise<ToolResult> {
  const file = await readText(place);
  if (file.kind === "directory") return listFolder(place);
  if (file.kind !== "text") return failed(file.problem);
  const lines = splitLines(file.text);
  if (lines.length === 0) return { text: `${place.path} is empty.` };
  const wanted = rangeOf(range, lines.length);
  if (wanted === undefined)
    return failed(`view_range "${range}" does not fit: ${place.path} has ${lines.length} lines. Write it like "1-40".`);
  const short = lines.map(shorten);
  const to = lastShown(short, wanted);
  const rest = to < wanted.to || (range === undefined && to < lines.length);
  const note = rest ? `\n[Lines ${wanted.from} to ${to} of ${lines.length}. Use view_range for the others.]` : "";
  return { text: `${place.path}:\n${numberLines(short, wanted.from, to)}${note}` };
}

async function create(place: Place, { file_text: content }: Args): Promise<ToolResult> {
  if (content === undefined) return failed("create needs file_text, the content of the new file.");
  const file = await readText(place);
  if (file.kind === "directory") return failed(file.problem);
  if (file.kind !== "missing" && !(file.kind === "text" && file.text === ""))
    return failed(`${place.path} exists already. Change it with str_replace, or remove it with bash first.`);
  // The model's call format takes the last line end of a value away.
  const text = content === "" || content.endsWith("\n") ? content : `${content}\n`;
  const problem = await writeText(place, rearm(text));
  if (problem !== undefined) return failed(problem);
  const lines = splitLines(text).length;
  return { text: `Created ${place.path} with ${lines} ${lines === 1 ? "line" : "lines"}.` };
}

async function replace(place: Place, { old_str: old, new_str: fresh = "" }: Args): Promise<ToolResult> {
  if (old === undefined || old === "") return failed("str_replace needs old_str, the text to replace.");
  if (old === fresh) return failed("old_str and new_str are the same: nothing to do.");
  const file = await readText(place);
  if (file.kind !== "text") return failed(file.problem);
  const exact = rearm(old);
  const wanted = [exact, withLineEnds(exact, file.text)].find((form) => file.text.includes(form));
  if (wanted === undefined) return failed(noMatch(file.text, old, place.path));
  const found = linesOf(file.text, wanted);
  const [first = 1] = found;
  if (found.length > 1)
    return failed(
      `old_str occurs ${found.length} times in ${place.path}, at lines ${found.slice(0, 10).join(", ")}. Add lines around the place until it is unique.`,
    );
  const at = file.text.indexOf(wanted);
  // In a file with mixed line ends, the lines that were found say which to write.
  const put = wanted === exact && exact.includes("\n") ? rearm(fresh) : withLineEnds(rearm(fresh), file.text);
  const text = file.text.slice(0, at) + put + file.text.slice(at + wanted.length);
  return save(place, text, first, put);
}

async function insert(place: Place, { insert_line: line, new_str: fresh }: Args): Promise<ToolResult> {
  if (line === undefined || fresh === undefined) return failed("insert needs insert_line and new_str.");
  const file = await readText(place);
  if (file.kind !== "text") return failed(file.problem);
  const count = splitLines(file.text).length;
  if (line < 0 || line > count)
    return failed(`insert_line must be from 0 to ${count}, the last line of ${place.path}.`);
  const lines = file.text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const before = lines.slice(0, line).join("");
  const put = withLineEnds(rearm(fresh.endsWith("\n") ? fresh : `${fresh}\n`), file.text);
  const gap = before === "" || before.endsWith("\n") ? "" : withLineEnds("\n", file.text);
  const text = before + gap + put + lines.slice(line).join("");
  return save(place, text, line + 1, put);
}

async function save(place: Place, text: string, first: number, put: string): Promise<ToolResult> {
  const problem = await writeText(place, text);
  if (problem !== undefined) return failed(problem);
  const lines = splitLines(text);
  const from = Math.max(1, first - 3);
  const to = Math.min(lines.length, first + Math.min(put.split("\n").length, 40) + 2);
  return { text: `Edited ${place.path}. It now reads:\n${numberLines(lines.map(shorten), from, to)}` };
}

function noMatch(text: string, old: string, path: string): string {
  const lines = splitLines(text);
  const [wanted = ""] = splitLines(old).filter((line) => line.trim() !== "");
  const number = nearestLine(lines, wanted);
  const hint =
    number === undefined
      ? "No line of the file is like it; view the file first."
      : `The line most like its beginning is line ${number}; around it the file reads:\n${numberLines(lines.map(shorten), Math.max(1, number - 2), number + 4)}`;
  return `old_str does not occur in ${path}. It must match exactly, including white space. ${hint}`;
}

/** First and last line of "10-40", "10-" or "10"; undefined when it does not fit the file. */
function rangeOf(range: string | undefined, count: number): { from: number; to: number } | undefined {
  if (range === undefined) return { from: 1, to: Math.min(count, viewLines) };
  const match = /^\D*(\d+)(?:\s*[-,:]\s*(-?\d*))?\D*$/.exec(range);
  const from = Number(match?.[1] ?? 0);
  const last = match?.[2] === undefined ? from : Number(match[2]);
  const to = last <= 0 ? count : Math.min(count, last);
  return from >= 1 && from <= to ? { from, to } : undefined;
}

/** The last line that fits into one answer; at least one does. */
function lastShown(lines: readonly string[], { from, to }: { from: number; to: number }): number {
  let length = 0;
  for (let line = from; line <= to; line++) {
    length += (lines[line - 1]?.length ?? 0) + 8;
    if (length > viewLength) return Math.max(from, line - 1);
  }
  return to;
}

function shorten(line: string): string {
  return line.length > lineLength ? `${line.slice(0, lineLength).replace(/[\uD800-\uDBFF]$/, "")} [line cut]` : line;
}

function adviceFor(path: string, root: string): string {
  return path.startsWith("/")
    ? "Only files of the repository become part of the change; for others use bash."
    : `Use an absolute path, such as ${posix.join(root, path)}.`;
}

function failed(text: string): ToolResult {
  return { text, failed: true };
}
