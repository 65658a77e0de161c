import type { Served } from "../../../worker/agent/discover.ts";

/** What to change on one kind of server, in whole sentences. */
export interface Server {
  name: string;
  /** So that calls arrive as calls, and as the model wrote them. */
  calls: string;
  /** So that the answer does not arrive as reasoning. */
  reasoning: string;
  context: string;
  /** So that a conversation's beginning is not computed again in each turn. */
  cache: string;
  /** So that it tells how much was cached; undefined: there is no such flag. */
  tellsCached?: string;
  metrics?: string;
  /** So that the values in calls stay as the model wrote them. */
  values: string;
}

const elsewhere =
  "Serve the model by vLLM 0.25 or newer with `--tool-call-parser qwen3_coder`, whose parser leaves such text as it is";
const noReasoning = "Start it without a reasoning parser: this model does not think aloud";

export const servers: Record<Served["server"], Server> = {
  vllm: {
    name: "vLLM",
    calls: "Start vLLM with `--enable-auto-tool-choice --tool-call-parser qwen3_coder`",
    reasoning: "Start vLLM without `--reasoning-parser`: this model does not think aloud",
    context: "Start vLLM with `--max-model-len 262144`, or the most of 131072 and 65536 that fits into memory",
    cache: "Start vLLM with `--enable-prefix-caching`, which is off for this model otherwise",
    tellsCached: "Start vLLM with `--enable-prompt-tokens-details`",
    values:
      "Start vLLM, 0.25 or newer, with `--tool-call-parser qwen3_coder` and without `--speculative-config`. If it stays, serve the model by SGLang with `--tool-call-parser qwen3_coder`",
  },
  // And KTransformers, which is a fork of it.
  sglang: {
    name: "SGLang",
    calls: "Start SGLang with `--tool-call-parser qwen3_coder`",
    reasoning: "Start SGLang without `--reasoning-parser`: this model does not think aloud",
    context: "Start SGLang with `--context-length 262144`, or the most of 131072 and 65536 that fits into memory",
    cache:
      "Start SGLang without `--disable-radix-cache`, and with `--mamba-scheduler-strategy extra_buffer --page-size 64`",
    tellsCached: "Start SGLang with `--enable-cache-report`",
    metrics: "Start SGLang with `--enable-metrics`",
    values: `Start SGLang without speculative decoding. If it stays: ${elsewhere}`,
  },
  ollama: {
    name: "Ollama",
    calls: `Update Ollama, and use its own build of the model. If it stays: ${elsewhere}`,
    reasoning: noReasoning,
    context:
      "Start Ollama with `OLLAMA_CONTEXT_LENGTH=65536` or more; its default depends on the GPU's memory and may be 4096",
    cache: "Keep the model loaded (`OLLAMA_KEEP_ALIVE=-1`), and run no more at once than `OLLAMA_NUM_PARALLEL`",
    values: elsewhere,
  },
  lmstudio: {
    name: "LM Studio",
    calls: `Update LM Studio and its runtime. If it stays: ${elsewhere}`,
    reasoning: "Turn the parsing of reasoning off in LM Studio: this model does not think aloud",
    context:
      "Load the model with `lms load MODEL --context-length 65536` or more: one loaded on demand gets a small one",
    cache: "Load the model before the runs begin, so that it stays loaded",
    values: elsewhere,
  },
  llamacpp: {
    name: "llama.cpp",
    calls: "Start llama-server with `--jinja`, from a build newer than 20 February 2026",
    reasoning: "Start llama-server with `--reasoning-format none`: this model does not think aloud",
    context: "Start llama-server with `-c 131072`, or at least `-c 65536`; it is shared by the slots of `-np`",
    cache: "Start llama-server with as many slots (`-np`) as there are runs at once",
    metrics: "Start llama-server with `--metrics`",
    values: `Use a build newer than 20 February 2026. If it stays: ${elsewhere}`,
  },
  generic: {
    name: "the server",
    calls: `Turn on its parser for Qwen3-Coder's calls, if it has one. If it stays: ${elsewhere}`,
    reasoning: noReasoning,
    context: "Give the model at least 65536 tokens of context there",
    cache: "Look for a setting of its prompt cache",
    values: elsewhere,
  },
};
