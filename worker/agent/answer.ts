import { z } from "zod";
import type { Usage } from "../../src/runlog.ts";
import { cutJson, isRecord, parseJson, toJson } from "./json-text.ts";
import type { BrokenCall, ToolCall } from "./model.ts";
import { recoverToolCalls } from "./recover.ts";
import type { CallableTool } from "./recover.ts";

const callDelta = z.object({
  index: z.number().nullish(),
  id: z.string().nullish(),
  function: z
    .object({
      name: z.string().nullish(),
      // Pieces of text, or with some servers the object itself.
      arguments: z.unknown().optional(),
    })
    .nullish(),
});
const reasoning = z.string().nullish().catch(undefined);
/** What we read of a chunk; servers add fields of their own, and those are left. */
const chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            reasoning,
            reasoning_content: reasoning,
            tool_calls: z.array(callDelta).nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z
    .object({
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
});

const closers = ["</parameter>", "</function>", "</tool_call>"];
const markup = /[<>=\n]/;

interface Part {
  id: string;
  name: string;
  arguments: string;
}

/** A streamed answer, put together from its chunks. */
export interface Answer {
  /** What comes before the calls. */
  text: string;
  /** What comes after them, which has no place in a history. */
  after?: string;
  calls: ToolCall[];
  /** How many of the calls the server had left in the text. */
  recovered: number;
  /** The text shows where the last call ends, so that it was not cut, however long the answer is. */
  endSeen: boolean;
  /** Undefined when the stream broke off. */
  finish: string | undefined;
  /** Undefined when the server counts nothing. */
  usage: Usage | undefined;
}

/** The ids of a conversation's calls, and the beginning of new ones: a call that comes without an id of its own gets one. */
export interface Ids {
  prefix: string;
  taken: ReadonlySet<string>;
}

/** Collects the chunks of one answer to a request with `tools`. */
export function createAnswer(
  ids: Ids,
  tools: readonly CallableTool[],
): {
  add(data: unknown): void;
  /** What was said as it came, calls too. */
  soFar(): string;
  finished(): Answer;
} {
  const parts: Part[] = [];
  const byIndex = new Map<number, Part>();
  /** Before the first call, after the first, after the second, and so on. */
  const texts: string[] = [];
  let reasoning = "";
  let finish: string | undefined;
  let usage: Usage | undefined;

  function addCall(delta: z.output<typeof callDelta>, position: number) {
    const index = delta.index ?? position;
    const id = delta.id ?? "";
    const name = (delta.function?.name ?? "").trim();
    const known = byIndex.get(index);
    const part = known === undefined || isNext(known, id, name) ? { id, name, arguments: "" } : known;
    if (part !== known) {
      parts.push(part);
      byIndex.set(index, part);
    }
    part.id ||= id;
    part.name ||= name;
    const piece = delta.function?.arguments ?? "";
    part.arguments += typeof piece === "string" ? piece : (toJson(piece) ?? "");
  }

  return {
    add(data) {
      const { choices, usage: counted } = chunk.parse(data);
      const choice = choices?.[0];
      const { content, reasoning: reason, reasoning_content: older, tool_calls: calls } = choice?.delta ?? {};
      texts[parts.length] = (texts[parts.length] ?? "") + (content ?? "");
      reasoning += reason ?? older ?? "";
      for (const [position, delta] of (calls ?? []).entries()) addCall(delta, position);
      finish = choice?.finish_reason ?? finish;
      if (counted !== null && counted !== undefined) usage = toUsage(counted);
    },
    soFar: () => [...texts, ...parts.map((part) => `${part.name} ${part.arguments}`)].filter(Boolean).join("\n").trim(),
    finished() {
      const [text = ""] = texts;
      const found =
        parts.length > 0 ? structured(parts, texts, ids) : recover([text, reasoning], { idPrefix: ids.prefix, tools });
      return { ...found, finish, usage };
    },
  };
}

/**
 * The calls of an answer that may have had `maxTokens` tokens, where it reached them with its last call marked: that
 * one may have been cut even where it reads well.
 */
export function markCut(answer: Answer, maxTokens: number): { calls: ToolCall[]; truncated: boolean } {
  const { calls, endSeen, finish, usage } = answer;
  // vLLM says "tool_calls" also when it cut the last call: only the count tells.
  const truncated = finish === "length" || (usage?.completionTokens ?? 0) >= maxTokens;
  const last = calls.at(-1);
  if (!truncated || endSeen || last === undefined || last.broken === "cut-by-tag") return { calls, truncated };
  return { calls: [...calls.slice(0, -1), { ...last, broken: "cut", cutAt: maxTokens }], truncated };
}

// Some servers count every call as number 0.
function isNext(part: Part, id: string, name: string): boolean {
  const isOther = id !== "" && part.id !== "" && id !== part.id;
  return isOther && (part.arguments !== "" || (name !== "" && part.name !== ""));
}

function toUsage(counted: NonNullable<z.output<typeof chunk>["usage"]>): Usage {
  return {
    promptTokens: counted.prompt_tokens,
    completionTokens: counted.completion_tokens,
    cachedTokens: counted.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

type Found = Pick<Answer, "text" | "after" | "calls" | "recovered" | "endSeen">;

/** The calls as the server found them. */
function structured(parts: readonly Part[], texts: readonly string[], { prefix, taken }: Ids): Found {
  const [before = ""] = texts;
  // Of a text that came first, what it ends with tells: it may be the rest of any call.
  const misplaced = closers.some((closer) => before.trimEnd().endsWith(closer));
  const ids = new Set(parts.map((part) => part.id));
  const used = new Set(taken);
  const calls = parts.map((part, position): ToolCall => {
    let id = part.id;
    for (let number = position; id === "" || used.has(id); number++) {
      const made = `${prefix}_${number}`;
      if (!ids.has(made)) id = made;
    }
    used.add(id);
    const isCut = misplaced || closers.some((closer) => texts[position + 1]?.includes(closer));
    return { id, ...readCall(part, isCut) };
  });
  const after = texts.slice(1).join("").trim();
  return { text: misplaced ? "" : before.trim(), ...(after !== "" && { after }), calls, recovered: 0, endSeen: false };
}

/** A server refuses a history with anything but an object in it, for the rest of the run: so nothing broken is kept. */
function readCall({ name, arguments: given }: Part, isCut: boolean): Omit<ToolCall, "id"> {
  const text = given.trim() === "" ? "{}" : given;
  const args = parseJson(text);
  const broken = isCut ? "cut-by-tag" : whatIsBroken(name, text, args);
  if (broken === undefined) return { name, arguments: text };
  const isWhole = broken === "cut-by-tag" && isRecord(args);
  return { name: /[\w.-]+/.exec(name)?.[0] ?? "unknown", arguments: isWhole ? text : "{}", broken };
}

function whatIsBroken(name: string, text: string, args: unknown): BrokenCall | undefined {
  const keys = isRecord(args) ? Object.keys(args) : [];
  if ([name, ...keys].some((word) => markup.test(word))) return "malformed";
  if (isRecord(args)) return undefined;
  const start = text.length - text.trimStart().length;
  const begins = text[start] === "{";
  return begins && cutJson(text, { from: start, to: text.length }) === undefined ? "cut" : "not-an-object";
}

/** The calls that the server left in the first of the texts that has any. */
function recover(
  [text, reasoning]: readonly [string, string],
  { idPrefix, tools }: { idPrefix: string; tools: readonly CallableTool[] },
): Found {
  for (const source of [text, reasoning]) {
    if (!source.includes("<tool_call>") && !source.includes("<function")) continue;
    const { content, calls } = recoverToolCalls(source, tools);
    if (calls.length === 0) continue;
    const isWhole = calls.every((call) => call.complete);
    const rest = textBehind(source);
    const after = source === text && isWhole && rest !== source.trim() ? rest : "";
    return {
      text: source === text ? (content ?? "") : text.trim(),
      ...(after !== "" && { after }),
      calls: calls.map(({ name, arguments: args, complete }, position): ToolCall => {
        const id = `${idPrefix}_${position}`;
        const json = toJson(args);
        if (json === undefined) return { id, name, arguments: "{}", broken: "not-an-object" };
        return complete ? { id, name, arguments: json } : { id, name, arguments: json, broken: "cut" };
      }),
      recovered: calls.length,
      endSeen: isWhole && rest === "",
    };
  }
  return { text: text.trim(), calls: [], recovered: 0, endSeen: false };
}

/** What stands behind the last closing tag; all of it where there is none. */
function textBehind(source: string): string {
  const ends = closers.filter((closer) => source.includes(closer)).map((one) => source.lastIndexOf(one) + one.length);
  return source.slice(Math.max(0, ...ends)).trim();
}
