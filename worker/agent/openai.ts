import OpenAI, { APIConnectionError, APIError } from "openai";
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { z } from "zod";
import { messageOf } from "../../src/errors.ts";
import type { Log } from "../../src/log.ts";
import { createAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { ModelError } from "./model.ts";
import type { Message, ModelClient, ModelRequest, Reply } from "./model.ts";
import { RefusedRequest, fetchOrThrow, refusalError } from "./refusal.ts";
import { realDelay, withRetry } from "./retry.ts";
import type { Delay } from "./retry.ts";
import { wireTools } from "./schema.ts";
import { createPromptSizes, textTokens } from "./size.ts";
import { createWatch } from "./watch.ts";
import type { WatchLimits } from "./watch.ts";

export interface ModelClientOptions {
  /** Ends in `/v1`. */
  baseUrl: string;
  /** Default: the one model that the server serves. */
  name?: string | undefined;
  apiKey: string;
  /** The smaller of this and what the server says counts; without both it is 32,768. */
  contextTokens?: number | undefined;
  log?: Log | undefined;
  limits?: Partial<ModelLimits>;
  delay?: Delay;
  random?: () => number;
}

export interface ModelLimits extends WatchLimits {
  /** How long in all a server may be away or busy before a turn fails. */
  maxWaitMs: number;
  /** How often an answer is asked for that fails on the server. */
  attempts: number;
  /** Longest answer. */
  answerTokens: number;
}

const defaultLimits: ModelLimits = {
  callMs: 20 * 60_000,
  firstMs: 290_000,
  idleMs: 120_000,
  maxWaitMs: 15 * 60_000,
  attempts: 6,
  answerTokens: 16_384,
};
const defaultContext = 32_768;
/** The server adds tokens of its own around every message. */
const margin = 128;
/** Asked for even when the estimate leaves no room: the server counts exactly, and says so when it is too much. */
const leastAnswer = 512;

const modelList = z.object({
  data: z.array(z.object({ id: z.string(), max_model_len: z.number().int().positive().nullish() })),
});

interface Connection {
  client: OpenAI;
  options: ModelClientOptions;
  limits: ModelLimits;
}
interface Served {
  name: string;
  contextTokens: number;
}

/** A model behind any OpenAI-compatible server; reads nothing from the environment. */
export function createModelClient(options: ModelClientOptions): ModelClient {
  const { baseUrl, apiKey, log, delay = realDelay, random = Math.random } = options;
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    maxRetries: 0,
    logLevel: "off",
    fetch: fetchOrThrow,
  });
  const limits = { ...defaultLimits, ...options.limits };
  const connection = { client, options, limits };
  const sizes = createPromptSizes();
  const policy = { ...limits, delay, random };
  let served: Served | undefined;

  async function known(signal: AbortSignal): Promise<Served> {
    served ??= await readServed(connection, signal);
    return served;
  }

  function retrying<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const onWait = (error: ModelError, ms: number) =>
      log?.warn({ error: error.message, ms: Math.round(ms) }, "the model server is asked again");
    return withRetry({ ...policy, onWait }, signal, work);
  }

  async function ask(request: ModelRequest, started: number): Promise<Reply> {
    const { messages, tools, signal } = request;
    const waitedMs = Math.round(performance.now() - started);
    const model = await known(signal);
    const promptTokens = sizes.estimate(messages, tools);
    const maxTokens = roomFor(promptTokens, model, limits);
    const answer = await stream(connection, model, { ...request, maxTokens });
    if (answer.usage !== undefined) sizes.counted(messages, answer.usage);
    return toReply(answer, { promptTokens, maxTokens, waitedMs });
  }

  return {
    describe: (signal) => retrying(signal, () => known(signal)),
    async reply(request) {
      const started = performance.now();
      return retrying(request.signal, () =>
        ask(request, started).catch((error: unknown) => {
          // Another model may be served by now: looked up once more, which also finds out what is there instead.
          if (!(error instanceof ModelError) || error.kind !== "unknown-model" || served === undefined) throw error;
          served = undefined;
          return ask(request, started);
        }),
      );
    },
  };
}

async function readServed({ client, options, limits }: Connection, signal: AbortSignal): Promise<Served> {
  const { baseUrl, name, log, contextTokens } = options;
  const timeout = AbortSignal.timeout(Math.min(limits.firstMs, 30_000));
  const list = await client.models
    .list({ signal: AbortSignal.any([signal, timeout]) })
    .then((page) => modelList.parse({ data: page.data }).data)
    .catch((error: unknown): z.output<typeof modelList>["data"] => {
      const failure = toModelError(error, { baseUrl, signal, timeout });
      // Some servers have no such list; the name alone is enough then.
      if (failure.kind === "unknown-model" && name !== undefined) return [{ id: name }];
      throw failure;
    });
  const model = chooseModel(list, name, baseUrl);
  if (name !== undefined && name !== model.id)
    log?.warn({ configured: name, served: model.id }, "the model is served under another name");
  const sizes = [model.max_model_len, contextTokens].filter((size) => typeof size === "number");
  return { name: model.id, contextTokens: sizes.length > 0 ? Math.min(...sizes) : defaultContext };
}

function chooseModel<T extends { id: string }>(list: readonly T[], name: string | undefined, baseUrl: string): T {
  const [first, ...others] = list;
  const ids = list.map((model) => model.id).join(", ");
  if (first === undefined)
    throw new ModelError("unknown-model", `The model server at MODEL_BASE_URL ${baseUrl} serves no model yet`);
  if (name === undefined) {
    if (others.length === 0) return first;
    throw new ModelError("unknown-model", `${baseUrl} serves several models: set MODEL_NAME to one of ${ids}`);
  }
  const same = (model: T) => model.id.split("/").at(-1) === name.split("/").at(-1);
  const found = list.find((model) => model.id === name) ?? list.find(same);
  if (found !== undefined) return found;
  throw new ModelError("unknown-model", `MODEL_NAME ${name} is not served at ${baseUrl}. It serves: ${ids}`);
}

function roomFor(promptTokens: number, model: Served, limits: ModelLimits): number {
  return Math.max(leastAnswer, Math.min(limits.answerTokens, model.contextTokens - promptTokens - margin));
}

async function stream(
  { client, options, limits }: Connection,
  model: Served,
  { messages, tools, signal, maxTokens }: ModelRequest & { maxTokens: number },
): Promise<Answer> {
  const watch = createWatch(limits);
  const answer = createAnswer(`call_${messages.length}`);
  try {
    const body = {
      model: model.name,
      messages: messages.map(toWire),
      ...(tools.length > 0 ? { tools: wireTools(tools) } : {}),
      temperature: 1,
      top_p: 0.95,
      // Not in OpenAI's own interface: vLLM, SGLang and llama.cpp read it from the body.
      top_k: 40,
      max_tokens: maxTokens,
      stream: true as const,
      stream_options: { include_usage: true },
    };
    const chunks = await client.chat.completions.create(body, { signal: AbortSignal.any([signal, watch.signal]) });
    for await (const chunk of chunks) {
      watch.alive();
      answer.add(chunk);
    }
    // An aborted stream ends like a complete one: https://github.com/openai/openai-node/blob/main/src/core/streaming.ts
    signal.throwIfAborted();
    watch.signal.throwIfAborted();
  } catch (error) {
    throw toModelError(error, { baseUrl: options.baseUrl, signal, timeout: watch.signal });
  } finally {
    watch.stop();
  }
  const finished = answer.finished();
  if (finished.finish !== undefined && !["error", "abort"].includes(finished.finish)) return finished;
  throw new ModelError(
    "server-error",
    `The model server at ${options.baseUrl} ended its answer before it was complete`,
  );
}

function toReply(answer: Answer, sent: { promptTokens: number; maxTokens: number; waitedMs: number }): Reply {
  const { text, calls, finish } = answer;
  const estimated = text.length > 0 || calls.length > 0 ? textTokens(text + calls.map((c) => c.arguments).join("")) : 0;
  const usage = answer.usage ?? { promptTokens: sent.promptTokens, completionTokens: estimated, cachedTokens: 0 };
  // vLLM says "tool_calls" also when it cut the last call: only the count tells.
  const truncated = finish === "length" || (answer.usage?.completionTokens ?? 0) >= sent.maxTokens;
  const last = calls.at(-1);
  if (truncated && last !== undefined) last.broken = "cut";
  return { text, calls, usage, truncated, waitedMs: sent.waitedMs };
}

function toWire(message: Message): ChatCompletionMessageParam {
  switch (message.role) {
    case "tool":
      return { role: "tool", tool_call_id: message.callId, content: message.text };
    case "assistant": {
      const { text, calls } = message;
      const wire = calls.map((call) => ({
        id: call.id,
        type: "function" as const,
        function: { name: call.name, arguments: call.arguments },
      }));
      return { role: "assistant", content: text, ...(wire.length > 0 ? { tool_calls: wire } : {}) };
    }
    case "system":
    case "user":
      return { role: message.role, content: message.text };
  }
}

function toModelError(
  error: unknown,
  { baseUrl, signal, timeout }: { baseUrl: string; signal: AbortSignal; timeout: AbortSignal },
): ModelError {
  signal.throwIfAborted();
  if (error instanceof ModelError) return error;
  const at = `The model server at MODEL_BASE_URL ${baseUrl}`;
  if (timeout.aborted) return new ModelError("away", `${at} did not answer in time`, { cause: error });
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof RefusedRequest) return refusalError(cause, baseUrl);
  if (error instanceof APIConnectionError)
    return new ModelError("away", `${at} is not reachable (${reasonOf(error)}): is it running?`, { cause: error });
  if (error instanceof APIError)
    return refusalError(
      { status: 500, body: JSON.stringify(error.error ?? error.message), headers: new Headers() },
      baseUrl,
    );
  return new ModelError("server-error", `${at} sent an answer that could not be read: ${messageOf(error)}`, {
    cause: error,
  });
}

function reasonOf(error: Error): string {
  const deepest = (candidate: Error): Error =>
    candidate.cause instanceof Error ? deepest(candidate.cause) : candidate;
  const found = deepest(error);
  return "code" in found && typeof found.code === "string" ? found.code : found.message;
}
