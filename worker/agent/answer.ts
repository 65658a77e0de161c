import { z } from "zod";
import type { Usage } from "../../src/runlog.ts";
import type { ToolCall } from "./model.ts";

const callDelta = z.object({
  index: z.number().nullish(),
  id: z.string().nullish(),
  function: z
    .object({
      name: z.string().nullish(),
      arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
    })
    .nullish(),
});
/** What we read of a chunk; servers add fields of their own, such as `reasoning`, and those are left. */
const chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish(), tool_calls: z.array(callDelta).nullish() }).nullish(),
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

interface Part {
  id: string;
  name: string;
  arguments: string;
}

/** A streamed answer, put together from its chunks. */
export interface Answer {
  text: string;
  calls: ToolCall[];
  /** Undefined when the stream broke off. */
  finish: string | undefined;
  /** Undefined when the server counts nothing. */
  usage: Usage | undefined;
}

/** Collects the chunks of one answer; `idPrefix` makes the ids of calls that came without a good one. */
export function createAnswer(idPrefix: string): { add(data: unknown): void; finished(): Answer } {
  const parts: Part[] = [];
  const byIndex = new Map<number, Part>();
  let text = "";
  let finish: string | undefined;
  let usage: Usage | undefined;

  function addCall(delta: z.output<typeof callDelta>, position: number) {
    const index = delta.index ?? position;
    const id = delta.id ?? "";
    let part = byIndex.get(index);
    // Some servers count every call as number 0: a new id after arguments is a new call.
    if (part === undefined || (id !== "" && part.id !== "" && id !== part.id && part.arguments !== "")) {
      part = { id, name: "", arguments: "" };
      parts.push(part);
      byIndex.set(index, part);
    }
    part.id ||= id;
    part.name ||= (delta.function?.name ?? "").trim();
    const piece = delta.function?.arguments ?? "";
    part.arguments += typeof piece === "string" ? piece : JSON.stringify(piece);
  }

  return {
    add(data) {
      const { choices, usage: counted } = chunk.parse(data);
      const choice = choices?.[0];
      text += choice?.delta?.content ?? "";
      for (const [position, delta] of (choice?.delta?.tool_calls ?? []).entries()) addCall(delta, position);
      finish = choice?.finish_reason ?? finish;
      if (counted !== null && counted !== undefined) usage = toUsage(counted);
    },
    finished: () => ({ text: text.trim(), calls: toCalls(parts, idPrefix), finish, usage }),
  };
}

function toUsage(counted: NonNullable<z.output<typeof chunk>["usage"]>): Usage {
  return {
    promptTokens: counted.prompt_tokens,
    completionTokens: counted.completion_tokens,
    cachedTokens: counted.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

function toCalls(parts: readonly Part[], idPrefix: string): ToolCall[] {
  const ids = new Set<string>();
  return parts.map((part, position) => {
    const id = part.id === "" || ids.has(part.id) ? `${idPrefix}_${position}` : part.id;
    ids.add(id);
    const text = part.arguments.trim() === "" ? "{}" : part.arguments;
    // A server refuses a history with anything but an object in it, for the rest of the run.
    return isObject(text)
      ? { id, name: part.name, arguments: text }
      : { id, name: part.name, arguments: "{}", broken: "not-an-object" };
  });
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
