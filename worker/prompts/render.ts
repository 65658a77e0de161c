import { readFileSync } from "node:fs";
import { disarm } from "../agent/markup.ts";

export type PromptName =
  | "system"
  | "issue"
  | "review"
  | "review-applied"
  | "review-late"
  | "question"
  | "checks"
  | "merge"
  | "maintenance"
  | "begun"
  | "flaky"
  | "dependencies"
  | "context"
  | "instructions"
  | "reminder"
  | "announced"
  | "empty"
  | "unread-call"
  | "comment"
  | "baseline"
  | "limit-near"
  | "limit-reached"
  | "summarize"
  | "summary"
  | "submit-checklist"
  | "submit-empty"
  | "gate-failed"
  | "test-missing"
  | "moved"
  | "earlier"
  | "plan-only";

/**
 * A prompt file with its holes (`{{name}}`) filled. Values are taken as they are, whatever looks like a hole in them;
 * holes and values must match exactly.
 */
export function renderPrompt(name: PromptName, values: Readonly<Record<string, string>>): string {
  const template = readFileSync(new URL(`${name}.md`, import.meta.url), "utf8").trim();
  return fillHoles(template, values, name);
}

/** Text in which every hole is filled with its value; `name` is what an error calls the text. */
export function fillHoles(template: string, values: Readonly<Record<string, string>>, name: string): string {
  const holes = new Set([...template.matchAll(hole)].map((match) => match[1] ?? ""));
  const missing = [...holes].filter((key) => !Object.hasOwn(values, key));
  const unused = Object.keys(values).filter((key) => !holes.has(key));
  if (missing.length > 0) throw new Error(`Prompt ${name}: nothing was given for ${missing.join(", ")}`);
  if (unused.length > 0) throw new Error(`Prompt ${name} has no hole for ${unused.join(", ")}`);
  const empty = [...holes].filter((key) => values[key] === "");
  const closed = empty.reduce((text, key) => text.replaceAll(`\n\n{{${key}}}`, ""), template);
  return disarm(closed.replaceAll(hole, (_hole, key: string) => values[key] ?? ""));
}

const hole = /\{\{(\w+)\}\}/g;
export const mostBytes = 64 * 1024;
const mostLabel = 400;

/**
 * Text from outside between delimiters that it cannot imitate, because it cannot know the nonce; at most `most` bytes
 * (64 KB), without chat markup or invisible characters. The label, which may name a file or a person, has none either.
 */
export function quoteUntrusted(label: string, text: string, nonce: string, most = mostBytes): string {
  const clean = visible(text, nonce);
  const name = visible(label, nonce).replaceAll(/\s+/g, " ").slice(0, mostLabel).toWellFormed();
  const bytes = Buffer.from(clean);
  const kept = bytes.byteLength <= most ? clean : cutBytes(bytes, most);
  const note = kept === clean ? "" : `\n[the rest, ${bytes.byteLength - Buffer.byteLength(kept)} bytes, was left out]`;
  return `[BEGIN ${name} ${nonce}]\n${kept}${note}\n[END ${name} ${nonce}]`;
}

// Markup last: what is taken out of the middle of a tag could complete it.
function visible(text: string, nonce: string): string {
  const plain = text
    .toWellFormed()
    .replaceAll(/\r\n?/g, "\n")
    .replaceAll(/[^\P{Cc}\n\t]|[\u{200B}-\u{200F}\u{202A}-\u{202E}\u{2060}-\u{2069}\u{E0000}-\u{E007F}\u{FEFF}]/gu, "")
    .replaceAll(nonce, "");
  return disarm(plain);
}

// A cut within a character leaves replacement characters at the end, which streaming mode holds back instead.
function cutBytes(bytes: Buffer, most: number): string {
  return new TextDecoder().decode(bytes.subarray(0, most), { stream: true });
}
