import { z } from "zod";
import type { Log } from "../../src/log.ts";
import type { AskJson, GetJson } from "./http.ts";
import { ModelError } from "./model.ts";

/** What a server serves, and what is known of the server. */
export interface Served {
  name: string;
  contextTokens: number;
  server: "vllm" | "sglang" | "ollama" | "lmstudio" | "llamacpp" | "generic";
}

export interface Wanted {
  baseUrl: string;
  /** Default: the one model that the server serves. */
  name?: string | undefined;
  /** The smaller of this and what the server says counts; without both it is 32,768. */
  contextTokens?: number | undefined;
  /** Of the requests, where the server schedules by it: the lowest go first. Default: none is sent. */
  priority?: number | undefined;
  /** Whether the server is to sample calls by their schema. Default: no. */
  strict?: boolean | undefined;
  log?: Log | undefined;
}

const defaultContext = 32_768;
const patienceMs = 5000;

const owners = new Map<string, Served["server"]>([
  ["vllm", "vllm"],
  ["sglang", "sglang"],
  ["library", "ollama"],
  ["llamacpp", "llamacpp"],
]);
const size = z.number().int().positive();
const modelList = z.object({
  data: z.array(z.object({ id: z.string(), owned_by: z.string().nullish(), max_model_len: size.nullish() })),
});
type Listed = z.output<typeof modelList>["data"][number];
const llamaProps = z.object({ default_generation_settings: z.object({ n_ctx: size }) });
const studioModels = z.object({
  data: z.array(z.object({ id: z.string(), loaded_context_length: size.nullish() })),
});

/** Where a server tells of itself. */
export interface Sources {
  /** Its OpenAI-compatible interface. */
  api: GetJson;
  /** What it has beside that. */
  beside: AskJson;
}

/** Looks the model up. Throws `ModelError` where the server is away or does not serve it. */
export async function discover({ api, beside }: Sources, wanted: Wanted, signal: AbortSignal): Promise<Served> {
  const { baseUrl, name, log } = wanted;
  const list = await api("/models", signal).then(parseList, (error: unknown): Listed[] => {
    // Some servers have no such list; the name alone is enough then.
    if (error instanceof ModelError && error.kind === "unknown-model" && name !== undefined) return [{ id: name }];
    throw error;
  });
  const model = chooseModel(list, name, baseUrl);
  if (name !== undefined && name !== model.id)
    log?.warn({ configured: name, served: model.id }, "the model is served under another name");

  const { server, contextTokens } = await aboutServer(beside, model, signal);
  const sizes = [contextTokens, wanted.contextTokens].filter((tokens) => typeof tokens === "number");
  if (sizes.length === 0)
    log?.warn(
      { contextTokens: defaultContext },
      "the model server does not tell its context size: set MODEL_CONTEXT to it",
    );
  return { name: model.id, server, contextTokens: sizes.length > 0 ? Math.min(...sizes) : defaultContext };
}

function parseList(answer: unknown): Listed[] {
  const parsed = modelList.safeParse(answer);
  if (parsed.success) return parsed.data.data;
  throw new ModelError("server-error", "The model server's list of models could not be read", { cause: parsed.error });
}

function chooseModel(list: readonly Listed[], name: string | undefined, baseUrl: string): Listed {
  const [first, ...others] = list;
  const ids = list.map((model) => model.id).join(", ");
  // A router lists what is up; the first server behind it may be starting.
  if (first === undefined)
    throw new ModelError("away", `The model server at MODEL_BASE_URL ${baseUrl} serves no model yet`);
  if (name === undefined) {
    if (others.length === 0) return first;
    throw new ModelError("unknown-model", `${baseUrl} serves several models: set MODEL_NAME to one of ${ids}`);
  }
  const same = list.find((model) => isSameModel(model.id, name));
  const found = list.find((model) => model.id === name) ?? same ?? (others.length === 0 ? first : undefined);
  if (found !== undefined) return found;
  throw new ModelError("unknown-model", `MODEL_NAME ${name} is not served at ${baseUrl}. It serves: ${ids}`);
}

/** Whether two names mean the same model: only the owner before the last slash may differ. */
export function isSameModel(one: string, other: string): boolean {
  return one.split("/").at(-1) === other.split("/").at(-1);
}

async function aboutServer(beside: GetJson, model: Listed, signal: AbortSignal) {
  const told = owners.get(model.owned_by ?? "") ?? "generic";
  if (typeof model.max_model_len === "number") return { server: told, contextTokens: model.max_model_len };
  const [llama, studio] = await Promise.all([
    document(beside("/props", patience(signal)), llamaProps),
    document(beside("/api/v0/models", patience(signal)), studioModels),
  ]);
  signal.throwIfAborted();
  if (llama !== undefined)
    return { server: "llamacpp" as const, contextTokens: llama.default_generation_settings.n_ctx };
  if (studio === undefined) return { server: told, contextTokens: undefined };
  const loaded = studio.data.find(({ id, loaded_context_length: length }) => id === model.id && length != null);
  return { server: "lmstudio" as const, contextTokens: loaded?.loaded_context_length ?? undefined };
}

async function document<T extends z.ZodType>(asked: Promise<unknown>, shape: T): Promise<z.output<T> | undefined> {
  return asked.then(
    (answer) => shape.safeParse(answer).data,
    () => undefined,
  );
}

function patience(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
}

/** Whether nothing of a call comes before its end, so that silence is no sign of a server that died. */
export function holdsCalls(server: Served["server"]): boolean {
  return server === "ollama" || server === "lmstudio" || server === "generic";
}
