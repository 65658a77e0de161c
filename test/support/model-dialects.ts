import { overflowMessage } from "../../src/demo/model/vllm.ts";

export type DialectName =
  | "vllm"
  | "sglang"
  | "ollama"
  | "lmstudio"
  | "mlx"
  | "llamacpp"
  | "ktransformers"
  | "transformers"
  | "generic";

/** Tokens of a request, and how many of them the server takes. */
export interface Sizes {
  prompt: number;
  wanted: number;
  limit: number;
}

interface Served {
  id: string;
  contextTokens: number;
}

/**
 * How a call is streamed. `growing`: id and name, then the text of the arguments as it grows. `members`: id and name,
 * then `{`, each member, `}`. `name-first`: id and name, then all arguments. `whole`: all in one delta.
 */
export type CallShape = "growing" | "members" | "name-first" | "whole";

/** What one server says otherwise than the others. */
export interface Dialect {
  /** An entry of `GET /v1/models`, beside `id` and `object`. */
  model: (served: Served) => object;
  /** Other documents that it answers a GET with, by path. */
  documents?: (served: Served) => Record<string, unknown>;
  /** Whether there is `POST /tokenize`, which counts messages and tools. */
  tokenize: boolean;
  /** Whether there is `GET /metrics` without a flag of its own. */
  metrics: boolean;
  /** Whether `usage` tells the cached tokens. */
  tellsCached: boolean;
  errorBody: (status: number, message: string) => unknown;
  /**
   * Its words for a request that is too long, the usual ones first. `cuts`: it leaves out the oldest messages and says
   * nothing; `ignores`: nothing is known.
   */
  overflow: { kind: "refuses"; counts: "prompt" | "both"; words: Words[] } | { kind: "cuts" } | { kind: "ignores" };
  /** What it does while the model is loading: the port is closed, or it answers 503 with this text. */
  loading: "refuses" | { message: string };
  call: CallShape;
  callId: string;
  /** The content of the first delta, which tells the role. */
  firstContent: "" | null;
  reasoning: "reasoning" | "reasoning_content";
  /** `finish_reason` of an answer that was cut in a call. */
  finishOfCutCall: "tool_calls" | "length";
  /** What its parser makes of a text in the arguments. */
  argument: (value: string) => unknown;
}

/** Text of a refusal, and what stands in its body beside it. */
type Words = (sizes: Sizes) => { message: string; type?: string; extra?: object };

const same = (value: string) => value;
const nullFromWord = (value: string) => (/^null$/i.test(value) ? null : value);
const openAiBody = (status: number, message: string) => ({
  error: { message, type: status === 404 ? "not_found_error" : "invalid_request_error", param: null, code: null },
});

const vllmTypes: Record<number, string> = { 400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError" };
const vllm: Dialect = {
  model: ({ id, contextTokens }) => ({ owned_by: "vllm", root: id, parent: null, max_model_len: contextTokens }),
  documents: () => ({ "/version": { version: "0.25.1" } }),
  tokenize: true,
  metrics: true,
  tellsCached: true,
  errorBody: (code, message) => ({
    error: { message, type: vllmTypes[code] ?? "InternalServerError", param: null, code },
  }),
  overflow: {
    kind: "refuses",
    counts: "both",
    words: [
      ({ prompt, wanted, limit }) => ({ message: overflowMessage({ contextTokens: limit, wanted, prompt }) }),
      ({ prompt, wanted, limit }) => ({
        message: `This model's maximum context length is ${limit} tokens. However, you requested ${prompt + wanted} tokens (${prompt} in the messages, ${wanted} in the completion). Please reduce the length of the messages or completion.`,
      }),
      ({ prompt, wanted, limit }) => ({
        message: `You passed ${prompt} input tokens and requested ${wanted} output tokens. However, the model's context length is only ${limit} tokens, resulting in a maximum input length of ${Math.max(0, limit - wanted)} tokens. Please reduce the length of the input prompt.`,
      }),
      ({ wanted, limit }) => ({
        message: `max_tokens=${wanted} cannot be greater than max_model_len=${limit}. Please request fewer output tokens.`,
      }),
    ],
  },
  loading: "refuses",
  call: "growing",
  callId: "chatcmpl-tool-",
  firstContent: "",
  reasoning: "reasoning",
  finishOfCutCall: "tool_calls",
  argument: same,
};

const sglang: Dialect = {
  model: ({ id, contextTokens }) => ({ owned_by: "sglang", root: id, parent: null, max_model_len: contextTokens }),
  tokenize: false,
  metrics: false,
  tellsCached: false,
  errorBody: (code, message) => ({
    object: "error",
    message,
    type: code === 400 ? "BadRequest" : "InternalServerError",
    param: null,
    code,
  }),
  overflow: {
    kind: "refuses",
    counts: "both",
    words: [
      ({ prompt, wanted, limit }) => ({
        message:
          prompt > limit
            ? `The input (${prompt} tokens) is longer than the model's context length (${limit} tokens).`
            : `Requested token count exceeds the model's maximum context length of ${limit} tokens. You requested a total of ${prompt + wanted} tokens: ${prompt} tokens from the input messages and ${wanted} tokens for the completion. Please reduce the number of tokens in the input messages or the completion to fit within the limit.`,
      }),
    ],
  },
  loading: "refuses",
  call: "members",
  callId: "call_",
  firstContent: "",
  reasoning: "reasoning_content",
  finishOfCutCall: "length",
  argument: nullFromWord,
};

const generic: Dialect = {
  model: () => ({ owned_by: "owner" }),
  tokenize: false,
  metrics: false,
  tellsCached: false,
  errorBody: openAiBody,
  overflow: { kind: "refuses", counts: "both", words: [() => ({ message: "context_length_exceeded" })] },
  loading: { message: "Service unavailable" },
  call: "name-first",
  callId: "call_",
  firstContent: "",
  reasoning: "reasoning_content",
  finishOfCutCall: "length",
  argument: same,
};

/**
 * The servers, as their sources and issue trackers show them. What is not known of one is as with `generic`; what was
 * only concluded or heard is left out.
 */
export const dialects: Record<DialectName, Dialect> = {
  vllm,
  sglang,
  // A fork of SGLang.
  ktransformers: sglang,
  ollama: {
    ...generic,
    model: () => ({ owned_by: "library" }),
    overflow: { kind: "cuts" },
    call: "whole",
    // Rewrites the call to XML before it reads it, and the values with it.
    argument: (value) => nullFromWord(value.replaceAll(/<(\w+)=([^>]+)>/g, '<$1 name="$2">')),
  },
  lmstudio: {
    ...generic,
    documents: ({ id, contextTokens }) => ({
      "/api/v0/models": {
        object: "list",
        data: [
          { id, object: "model", state: "not-loaded", max_context_length: 262_144 },
          {
            id,
            object: "model",
            state: "loaded",
            max_context_length: 262_144,
            loaded_context_length: contextTokens,
          },
        ],
      },
    }),
    errorBody: (_status, error) => ({ error }),
    overflow: {
      kind: "refuses",
      counts: "prompt",
      words: [
        () => ({
          message:
            "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input",
        }),
      ],
    },
    call: "whole",
  },
  mlx: {
    ...generic,
    errorBody: (_status, error) => ({ error }),
    overflow: { kind: "ignores" },
    call: "whole",
    argument: nullFromWord,
  },
  llamacpp: {
    ...generic,
    model: () => ({ owned_by: "llamacpp", meta: { n_ctx_train: 262_144 } }),
    documents: ({ contextTokens }) => ({
      "/props": { default_generation_settings: { n_ctx: contextTokens }, chat_template_caps: {} },
    }),
    errorBody: (code, message) => ({
      error: { code, message, type: code === 503 ? "unavailable_error" : "invalid_request_error" },
    }),
    overflow: {
      kind: "refuses",
      counts: "prompt",
      words: [
        ({ prompt, limit }) => ({
          message: `request (${prompt} tokens) exceeds the available context size (${limit} tokens), try increasing it`,
          type: "exceed_context_size_error",
          extra: { n_prompt_tokens: prompt, n_ctx: limit },
        }),
      ],
    },
    loading: { message: "Loading model" },
    call: "growing",
    firstContent: null,
  },
  transformers: {
    ...generic,
    errorBody: (_status, detail) => ({ detail }),
    overflow: { kind: "ignores" },
    call: "whole",
  },
  generic,
};
