import OpenAI, { APIConnectionError, APIError } from "openai";
import type { Stream } from "openai/core/streaming";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import type { Log } from "../../src/log.ts";
import { createAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { createClient } from "./client.ts";
import type { Connection, Streaming } from "./client.ts";
import type { Wanted } from "./discover.ts";
import { RefusedRequest, createFetch, createGet } from "./http.ts";
import { defaultLimits } from "./limits.ts";
import type { ModelLimits } from "./limits.ts";
import { ModelError } from "./model.ts";
import type { ModelClient } from "./model.ts";
import { toModelError } from "./refusal.ts";
import { createRepetitionGuard } from "./repetition.ts";
import { realDelay } from "./retry.ts";
import type { Delay } from "./retry.ts";

export interface ModelClientOptions extends Wanted {
  apiKey: string;
  log?: Log | undefined;
  limits?: Partial<ModelLimits>;
  delay?: Delay;
  random?: () => number;
}

const lookUpMs = 30_000;

/** A model behind any OpenAI-compatible server; reads nothing from the environment. */
export function createModelClient(options: ModelClientOptions): ModelClient {
  const { log, delay = realDelay, random = Math.random } = options;
  const limits = { ...defaultLimits, ...options.limits };
  return createClient(connect(options, limits), options, { log, limits, delay, random });
}

/** The server as the SDK and plain requests reach it. */
function connect({ baseUrl, apiKey }: ModelClientOptions, limits: ModelLimits): Connection {
  const fetch = createFetch();
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: limits.callMs + 60_000,
    logLevel: "off",
    fetch,
  });
  const api = createGet(fetch, baseUrl, apiKey);

  async function stream({ body, tools, ids, headers, signal, watch, reached, onCut }: Streaming): Promise<Answer> {
    const answer = createAnswer(ids, tools);
    const guard = createRepetitionGuard();
    try {
      // `chat.completions.create` would write the whole conversation down anew with every request.
      const chunks = await client.post<Stream<ChatCompletionChunk>>("/chat/completions", {
        body,
        headers: { ...headers, "content-type": "application/json" },
        signal: AbortSignal.any([signal, watch.signal]),
        stream: true,
      });
      reached();
      for await (const chunk of chunks) {
        watch.alive();
        answer.add(chunk);
        // Leaving the loop closes the connection, so that the server stops too.
        if (guard.repeats(textOf(chunk))) throw repetition(baseUrl);
      }
      // An aborted stream ends like a complete one: https://github.com/openai/openai-node/blob/main/src/core/streaming.ts
      signal.throwIfAborted();
      watch.signal.throwIfAborted();
    } catch (error) {
      const text = answer.soFar();
      if (signal.aborted && text !== "") onCut(text);
      throw toModelError(withoutSdk(error), { baseUrl, signal, late: watch.signal.aborted });
    } finally {
      watch.stop();
    }
    return complete(answer.finished(), baseUrl);
  }

  return {
    stream,
    async api(path, signal) {
      const timeout = AbortSignal.timeout(Math.min(limits.firstMs, lookUpMs));
      return api(path, AbortSignal.any([signal, timeout])).catch((error: unknown) => {
        throw toModelError(error, { baseUrl, signal, late: timeout.aborted });
      });
    },
    beside: createGet(fetch, baseUrl.replace(/\/v1\/?$/, ""), apiKey),
  };
}

/** An error that came as an event of a stream, as if it had come with a status. */
function withoutSdk(error: unknown): unknown {
  if (!(error instanceof APIError) || error instanceof APIConnectionError) return error;
  const told: unknown = error.error ?? error.message;
  const code = typeof told === "object" && told !== null && "code" in told ? Number(told.code) : Number.NaN;
  const status = code >= 400 && code < 600 ? code : 500;
  return new RefusedRequest({ status, body: JSON.stringify(told), headers: new Headers() });
}

/** Broken pieces are not for this to judge. */
function textOf({ choices }: ChatCompletionChunk): string {
  const delta = choices?.[0]?.delta;
  const calls = delta?.tool_calls ?? [];
  return [delta?.content, ...calls.map((call) => call.function?.arguments)]
    .filter((piece) => typeof piece === "string")
    .join("");
}

function complete(answer: Answer, baseUrl: string): Answer {
  const { finish } = answer;
  // Newer builds of vLLM watch for it themselves.
  if (finish === "repetition") throw repetition(baseUrl);
  if (finish !== undefined && !["error", "abort"].includes(finish)) return answer;
  throw new ModelError("server-error", `The model server at ${baseUrl} ended its answer before it was complete`);
}

function repetition(baseUrl: string): ModelError {
  return new ModelError("repetition", `The model at ${baseUrl} repeated the same text over and over`);
}
