import type { CommitFiles } from "./checkout.ts";
import type { Instructions } from "./prompts/context.ts";

const names = ["AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md", "CONTRIBUTING"];
const mostCharacters = 32_000;
const importLine = /^[ \t]*@(?:\.\/)?(?:AGENTS\.md|CLAUDE\.md|CONTRIBUTING(?:\.md)?)[ \t]*\r?$/gm;

/**
 * What a repository tells those who work on it, at one commit: AGENTS.md, CLAUDE.md and CONTRIBUTING, at most 32,000
 * characters in all, with a note where something is left out. A text that stands in two files comes once; a line such as
 * `@AGENTS.md`, which brings in another of them, is left out. Links are not followed.
 */
export async function readInstructions(files: Pick<CommitFiles, "read">): Promise<Instructions[]> {
  const all = await Promise.all(
    names.map(async (name) => ({ name, text: ((await files.read(name)) ?? "").replaceAll(importLine, "").trim() })),
  );
  const own = all.filter(({ text }, index) => text !== "" && all.findIndex((other) => other.text === text) === index);
  let room = mostCharacters;
  return own.map(({ name, text }) => {
    const kept = text.slice(0, room).replace(/[\uD800-\uDBFF]$/, "");
    room -= kept.length;
    const left = text.length - kept.length;
    return { name, text: left === 0 ? kept : `${kept}\n[the rest, ${left} characters, was left out]` };
  });
}
