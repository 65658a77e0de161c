import { randomUUID } from "node:crypto";
import { z } from "zod";
import { RefusedRequest } from "../../../worker/agent/http.ts";
import { refusalError, toModelError } from "../../../worker/agent/refusal.ts";
import type { WireTool } from "../../../worker/agent/schema.ts";
import { createExtensions, toBody, toHeaders } from "../../../worker/agent/wire.ts";

/** A call as the server streamed it: nothing is mended. */
export interface RawCall {
  name: string;
  /** The joined pieces. */
  arguments: string;
}

/** What came back; `refused` and `failed` say why in words that name the remedy. */
export type Answer =
  | {
      kind: "answer";
      text: string;
      reasoning: string;
      calls: RawCall[];
      finish: string | undefined;
      usage: { prompt: number; completion: number; cached: number | undefined } | undefined;
      ms: number;
    }
  | { kind: "refused"; body: string; saw: string; overflow: boolean }
  | { kind: "failed"; saw: string };

export interface Question {
  prompt: string;
  tools: readonly WireTool[] | undefined;
  maxTokens: number;
  limitMs: number;
}

/** One model on one server, asked as a run asks it, but read as it comes. */
export interface Wire {
  ask(question: Question): Promise<Answer>;
}

const piece = z.object({
  content: z.string().nullish(),
  reasoning: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  tool_calls: z
    .array(
      z.object({
        index: z.number().nullish(),
        id: z.string().nullish(),
        function: z
          .object({ name: z.string().nullish(), arguments: z.union([z.string(), z.looseObject({})]).nullish() })
          .nullish(),
      }),
    )
    .nullish(),
});
const chunk = z.object({
  error: z.unknown().optional(),
  choices: z.array(z.object({ delta: piece.nullish(), finish_reason: z.string().nullish() })).nullish(),
  usage: z
    .object({
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
});
type Chunk = z.output<typeof chunk>;

/** `session`: the same for all questions, so that a router brings them to one server. */
export function createWire(to: {
  fetch: typeof fetch;
  baseUrl: string;
  apiKey: string;
  model: string;
  session: string;
}): Wire {
  const { fetch, baseUrl, apiKey, model, session } = to;
  const extensions = createExtensions();

  async function read({ prompt, tools = [], maxTokens }: Question, signal: AbortSignal): Promise<Answer> {
    const started = performance.now();
    const messages = [{ role: "user" as const, text: prompt }];
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${apiKey}`,
        ...toHeaders(randomUUID(), session),
      },
      body: JSON.stringify(toBody({ model, messages, tools, maxTokens }, extensions)),
      signal,
    });
    const chunks = readChunks(await response.text(), baseUrl);
    return { ...joined(chunks), ms: Math.round(performance.now() - started) };
  }

  async function ask(question: Question): Promise<Answer> {
    const signal = AbortSignal.timeout(question.limitMs);
    return read(question, signal).catch((error: unknown): Answer | Promise<Answer> => {
      if (signal.aborted) return { kind: "failed", saw: `no answer was complete within ${question.limitMs / 1000} s` };
      const { kind, message } = toModelError(error, { baseUrl, signal, late: false });
      if (!(error instanceof RefusedRequest)) return { kind: "failed", saw: message };
      if (extensions.refusedBy(error.body)) return ask(question);
      return { kind: "refused", body: error.body, saw: message, overflow: kind === "overflow" };
    });
  }

  return { ask };
}

function readChunks(stream: string, baseUrl: string): Chunk[] {
  const events = stream.split(/\r?\n/).flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []);
  const chunks = events.filter((event) => event !== "[DONE]").map(parseChunk);
  const broken = chunks.find(({ error }) => error !== undefined && error !== null);
  if (broken !== undefined)
    throw refusalError({ status: 500, headers: new Headers(), body: JSON.stringify(broken) }, baseUrl);
  if (!chunks.some(({ choices }) => typeof choices?.[0]?.finish_reason === "string"))
    throw new Error("the stream ended without a `finish_reason`, so a proxy or the engine cut it");
  return chunks;
}

function parseChunk(event: string): Chunk {
  try {
    return chunk.parse(JSON.parse(event));
  } catch (cause) {
    throw new Error("the stream has lines that are no JSON of a chunk", { cause });
  }
}

function joined(chunks: readonly Chunk[]) {
  const choices = chunks.flatMap((chunk) => chunk.choices?.[0] ?? []);
  const deltas = choices.flatMap(({ delta }) => delta ?? []);
  const counted = chunks.flatMap(({ usage }) => usage ?? []).at(-1);
  return {
    kind: "answer" as const,
    text: deltas.map(({ content }) => content ?? "").join(""),
    reasoning: deltas.map(({ reasoning, reasoning_content: older }) => (reasoning ?? "") + (older ?? "")).join(""),
    calls: joinedCalls(deltas),
    finish: choices.flatMap(({ finish_reason: finish }) => finish ?? []).at(-1),
    usage: counted && {
      prompt: counted.prompt_tokens,
      completion: counted.completion_tokens,
      cached: counted.prompt_tokens_details?.cached_tokens ?? undefined,
    },
  };
}

function joinedCalls(deltas: readonly z.output<typeof piece>[]): RawCall[] {
  const calls: RawCall[] = [];
  const open = new Map<number, { call: RawCall; id: string | undefined }>();
  const parts = deltas.flatMap((delta) => [...(delta.tool_calls ?? []).entries()]);
  for (const [position, part] of parts) {
    const index = part.index ?? position;
    const id = part.id ?? undefined;
    let known = open.get(index);
    if (known === undefined || (id !== undefined && id !== "" && id !== known.id)) {
      known = { call: { name: "", arguments: "" }, id };
      open.set(index, known);
      calls.push(known.call);
    }
    known.call.name ||= part.function?.name ?? "";
    known.call.arguments += textOf(part.function?.arguments ?? "");
  }
  return calls;
}

function textOf(given: string | object): string {
  return typeof given === "string" ? given : JSON.stringify(given);
}
