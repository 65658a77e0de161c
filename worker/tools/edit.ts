import { posix } from "node:path";
import { z } from "zod";
import { rearm } from "../agent/markup.ts";
import { createTool } from "../agent/tool.ts";
import type { Tool, ToolResult } from "../agent/tool.ts";
import { readText, writeText } from "./files.ts";
import type { Files, Place } from "./files.ts";
import { linesAround, linesOf, shorten, splitLines, withLineEnds } from "./lines.ts";
import { rewrittenTag } from "./rewritten.ts";
import { noMatch, view } from "./view.ts";

const path = z.string().trim().min(1, "it is empty").max(4096, "it is longer than 4096 characters");
const parameters = z.object({
  command: z.enum(["view", "create", "str_replace", "insert"]).describe("What to do."),
  path: path.describe("Absolute path of a file, or for view also of a folder."),
  view_range: z.string().optional().describe('For view: first and last line, such as "10-40".'),
  insert_line: z.int().optional().describe("For insert: the line after which new_str is put; 0 is the top."),
  old_str: z.string().optional().describe("For str_replace: the text to replace, exactly as it stands in the file."),
  new_str: z.string().optional().describe("For str_replace and insert: the new text."),
  file_text: z.string().optional().describe("For create: the content of the new file."),
});
type Args = z.output<typeof parameters>;

/** Views files, and edits those below `root` by exact text, keeping their line ends. */
export function createEditor({ sandbox, root, limit }: { sandbox: Files; root: string; limit: number }): Tool {
  return createTool({
    name: "str_replace_editor",
    description: `Views files, and creates and edits those below ${root}. view shows a file with line numbers, or what is in a folder. create writes a new file. str_replace replaces old_str, which must occur exactly once in the file, including white space: give enough lines around the place. insert puts new_str after a line. Where a text has the tags of a call in it, write ‹ for their <, as in ‹/parameter>, ‹/function> or ‹/tool_call>: the file gets a real <.`,
    parameters,
    async call(args, signal) {
      const place = { sandbox, path: posix.resolve(root, args.path), signal, limit };
      if (args.command === "view") return view(place, args.view_range);
      if (place.path !== root && !place.path.startsWith(`${root}/`))
        return failed(
          `Nothing was written: ${place.path} is not below ${root}, the checkout. Only files in it become part of the change; write others with bash.`,
        );
      switch (args.command) {
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

async function create(place: Place, { file_text: content }: Args): Promise<ToolResult> {
  if (content === undefined) return failed("create needs file_text, the content of the new file.");
  const file = await readText(place);
  if (file.kind === "directory") return failed(file.problem);
  if (file.kind !== "missing" && !(file.kind === "text" && file.text === ""))
    return failed(`${place.path} exists already. Change it with str_replace, or remove it with bash first.`);
  // The model's call format takes the last line end of a value away.
  const text = rearm(content === "" || content.endsWith("\n") ? content : `${content}\n`);
  const problem = await writeText(place, text);
  if (problem !== undefined) return failed(problem);
  return { text: `Created ${place.path}: ${describe(text)}${rewrittenTag(text, place.path)}` };
}

async function replace(place: Place, { old_str: old, new_str: fresh = "" }: Args): Promise<ToolResult> {
  if (old === undefined || old === "") return failed("str_replace needs old_str, the text to replace.");
  if (old === fresh) return failed("old_str and new_str are the same: nothing to do.");
  const file = await readText(place);
  if (file.kind !== "text") return failed(file.problem);
  const exact = rearm(old);
  const wanted = [exact, withLineEnds(exact, file.text)].find((form) => file.text.includes(form));
  if (wanted === undefined)
    return failed(`${noMatch(file.text, exact, place.path)}${rewrittenTag(exact, place.path, file.text)}`);
  const found = linesOf(file.text, wanted);
  const [first = 1] = found;
  if (found.length > 1)
    return failed(
      `old_str occurs ${found.length} times in ${place.path}, at lines ${found.slice(0, 10).join(", ")}. Add lines around the place until it is unique.`,
    );
  const at = file.text.indexOf(wanted);
  // In a file with mixed line ends, the lines that were found say which to write.
  const put = withLineEnds(rearm(fresh), wanted.includes("\n") ? wanted : file.text);
  const text = file.text.slice(0, at) + put + file.text.slice(at + wanted.length);
  return save(place, { text, before: file.text, first, put });
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
  return save(place, { text, before: file.text, first: line + 1, put });
}

async function save(
  place: Place,
  { text, before, first, put }: { text: string; before: string; first: number; put: string },
): Promise<ToolResult> {
  const problem = await writeText(place, text);
  if (problem !== undefined) return failed(problem);
  const around = { from: first - 3, to: first + put.split("\n").length + 2 };
  const shown = text === "" ? "" : `\nAround the change it now reads:\n${linesAround(splitLines(text), around)}`;
  return { text: `Edited ${place.path}: ${describe(text)}${shown}${rewrittenTag(put, place.path, before)}` };
}

/** What a file holds after writing, so that a text that was cut on its way is noticed. */
function describe(text: string): string {
  const lines = splitLines(text);
  const bytes = Buffer.byteLength(text);
  const last = shorten(lines.at(-1) ?? "", 200);
  return lines.length === 0
    ? "it is empty now."
    : `${lines.length} ${lines.length === 1 ? "line" : "lines"}, ${bytes} bytes; the last line is: ${last}`;
}

function failed(text: string): ToolResult {
  return { text, failed: true };
}
