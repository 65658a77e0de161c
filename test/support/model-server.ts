import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { createPrefixCache, tokensOf } from "../../src/demo/model/prefix-cache.ts";
import { dialects } from "./model-dialects.ts";
import type { CallShape, DialectName, Sizes } from "./model-dialects.ts";
import { damagedEvents, damagedTurn } from "./model-faults.ts";
import type { Fault } from "./model-faults.ts";
import { choiceEvents, doneEvent, usageEvent } from "./model-stream.ts";
import type { Turn } from "./model-stream.ts";

/** A request for an answer, as it came. */
export interface ModelRequestSeen {
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  body: ChatBody;
  /** Resolves when the client has closed the connection before the answer was over. */
  abandoned: Promise<void>;
  /** Resolves when all that was to be sent is on its way: the client has read most of a long answer then. */
  sent: Promise<void>;
}

export interface ChatBody {
  model: string;
  messages: Record<string, unknown>[];
  tools?: { type: string; function: { name: string; parameters: Record<string, unknown> } }[];
  max_tokens?: number;
  [key: string]: unknown;
}

/** What the model says, the bytes of a whole stream, or what goes wrong instead. */
export type Answer = Turn | { raw: readonly (string | Uint8Array)[]; hangs?: boolean } | { fault: Fault };

export interface ModelServerOptions {
  dialect: DialectName;
  /** The id that is served; default: Qwen/Qwen3-Coder-Next. Several for a server with more models. */
  model?: string | readonly string[];
  /** Default: 262,144. */
  contextTokens?: number;
  /** In order, or for each request (a conversation of many at once). Default: the word "ready", always. */
  turns?: readonly Answer[] | ((request: ModelRequestSeen) => Answer);
  /** What goes wrong before turn n comes, counted from 0: one fault for each request, and then the turn itself. */
  faults?: Readonly<Record<number, readonly Fault[]>>;
  /** So many requests of any kind come while the model is still loading. */
  loadingRequests?: number;
  /** Every path under /v1 asks for it. */
  apiKey?: string;
  /** Otherwise than the dialect: how calls are streamed, */
  call?: CallShape;
  /** whether `usage` tells cached tokens, */
  tellsCached?: boolean;
  /** whether there is `POST /tokenize`, */
  tokenizes?: boolean;
  /** in steps of how many tokens a prefix is found again, 0: never. Default: 16. */
  cacheBlock?: number;
}

export interface ModelServer extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly requests: readonly ModelRequestSeen[];
  /** Paths of the other requests, with their method. */
  readonly lookups: readonly string[];
  /** The numbers of `/metrics`, by name; undefined: no such page. */
  metrics: Record<string, number> | undefined;
  /** The request for an answer with this number, from 0, as soon as it came. */
  request(number: number): Promise<ModelRequestSeen>;
  /** From now on the port is closed, until it is opened again. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

const idle = {
  "vllm:num_requests_running": 0,
  "vllm:num_requests_waiting": 0,
  "vllm:kv_cache_usage_perc": 0.05,
};

/** A model server on loopback that speaks as the named one does, and answers what it is told to. */
export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  const { dialect: name, model = "Qwen/Qwen3-Coder-Next", contextTokens = 262_144, turns = () => ready } = options;
  const dialect = dialects[name];
  const served = typeof model === "string" ? [model] : model;
  const cache = createPrefixCache();
  const faults = new Map(Object.entries(options.faults ?? {}).map(([turn, list]) => [Number(turn), [...list]]));
  const requests: ModelRequestSeen[] = [];
  const lookups: string[] = [];
  const arrivals = new EventTarget();
  let loading = options.loadingRequests ?? 0;
  let turn = 0;
  let metrics: Record<string, number> | undefined = dialect.metrics ? idle : undefined;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url: path = "/" } = request;
    const bytes = await buffer(request);
    if (loading > 0) {
      loading--;
      return dialect.loading === "refuses" ? void response.destroy() : refuse(response, 503, dialect.loading.message);
    }
    if (path !== "/v1/chat/completions") lookups.push(`${method} ${path}`);
    const { apiKey } = options;
    if (apiKey !== undefined && path.startsWith("/v1") && request.headers.authorization !== `Bearer ${apiKey}`)
      return send(response, 401, { error: "Unauthorized" });
    if (path === "/v1/chat/completions") return chat(record(request, response, bytes), response);
    const found = lookup(method, path, bytes);
    return found === undefined ? refuse(response, 404, "Not Found") : send(response, 200, found);
  }

  function lookup(method: string, path: string, bytes: Buffer): unknown {
    if (path === "/v1/models") {
      const entry = (id: string) => ({ id, object: "model", ...dialect.model({ id, contextTokens }) });
      return { object: "list", data: served.map(entry) };
    }
    if (path === "/metrics" && metrics !== undefined) return metricsPage(metrics);
    if (path === "/tokenize" && method === "POST" && (options.tokenizes ?? dialect.tokenize)) {
      const { messages, tools } = JSON.parse(bytes.toString()) as ChatBody;
      const count = promptTokens(createPrefixCache(), { messages, tools }).prompt;
      return { count, max_model_len: contextTokens, tokens: [] };
    }
    return dialect.documents?.({ id: served[0] ?? "", contextTokens })[path];
  }

  function record(request: IncomingMessage, response: ServerResponse, bytes: Buffer): ModelRequestSeen {
    const abandoned = new Promise<void>((resolve) => {
      response.once("close", () => {
        if (!response.writableFinished) resolve();
      });
    });
    const body = JSON.parse(bytes.toString()) as ChatBody;
    const sent = Promise.withResolvers<void>();
    onSent.set(response, sent.resolve);
    const seen = { headers: request.headers, bytes, body, abandoned, sent: sent.promise };
    requests.push(seen);
    arrivals.dispatchEvent(new Event("request"));
    return seen;
  }

  function nextAnswer(seen: ModelRequestSeen): { answer: Answer; fault: Fault | undefined } {
    const fault = faults.get(turn)?.shift();
    const answer = typeof turns === "function" ? turns(seen) : turns[turn];
    if (fault === undefined) turn++;
    if (answer === undefined) return { answer: ready, fault: { kind: "status", status: 500, message: overText } };
    return { answer, fault: "fault" in answer ? answer.fault : fault };
  }

  function chat(seen: ModelRequestSeen, response: ServerResponse): void {
    const { body } = seen;
    if (!served.includes(body.model)) return refuse(response, 404, `The model \`${body.model}\` does not exist.`);
    const { prompt, cached } = promptTokens(cache, body);
    const sizes = { prompt, wanted: body.max_tokens ?? 0, limit: contextTokens };
    if (isTooLong(sizes)) return overflow(response, sizes, 0);
    const { answer, fault } = nextAnswer(seen);
    if (fault !== undefined && failsAtOnce(response, fault, sizes)) return undefined;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
    if ("raw" in answer && fault === undefined)
      return stream(response, answer.raw, answer.hangs ? "never" : "in order");
    const said = "raw" in answer || "fault" in answer ? ready : answer;
    const sent = fault === undefined ? said : damagedTurn(said, fault);
    const { events, ends } = damagedEvents(eventsOf(sent, { body, sizes, cached }), fault);
    return stream(response, events, ends);
  }

  /** Whether the fault left no stream to send. */
  function failsAtOnce(response: ServerResponse, fault: Fault, sizes: Sizes): boolean {
    if (fault.kind === "overflow") overflow(response, sizes, fault.words ?? 0);
    else if (fault.kind === "refuse") response.destroy();
    else if (fault.kind === "status") {
      const { status, message = "planted", headers = {} } = fault;
      send(response, status, fault.body ?? dialect.errorBody(status, message), headers);
    } else return fault.kind === "silent";
    return true;
  }

  function eventsOf(said: Turn, { body, sizes, cached }: { body: ChatBody; sizes: Sizes; cached: number }): string[] {
    const call = options.call ?? dialect.call;
    const head = { id: `chatcmpl-${requests.length}`, model: body.model, dialect, call };
    const block = options.cacheBlock ?? 16;
    const tellsCached = options.tellsCached ?? dialect.tellsCached;
    const shared = block === 0 ? 0 : Math.floor(cached / block) * block;
    const text = `${said.text ?? ""}${said.reasoning ?? ""}${said.calls === undefined ? "" : JSON.stringify(said.calls)}`;
    const usage = {
      prompt_tokens: Math.min(sizes.prompt, contextTokens),
      completion_tokens: said.cut === true ? sizes.wanted : tokensOf(text),
      ...said.usage,
    };
    const asked = (body["stream_options"] as { include_usage?: boolean } | undefined)?.include_usage === true;
    return [
      ...choiceEvents(said, head),
      ...(asked ? [usageEvent(head, usage, tellsCached ? shared : undefined)] : []),
      doneEvent,
    ];
  }

  function isTooLong({ prompt, wanted, limit }: Sizes): boolean {
    if (dialect.overflow.kind !== "refuses") return false;
    return (dialect.overflow.counts === "both" ? prompt + wanted : prompt) > limit;
  }

  /** A server that refuses nothing has no words for it either, and a planted fault is as vLLM says it. */
  function overflow(response: ServerResponse, sizes: Sizes, number: number): void {
    const { words } = dialect.overflow.kind === "refuses" ? dialect.overflow : vllmOverflow();
    const { message, type, extra } = (words[number] ?? words[0])?.(sizes) ?? { message: "too long" };
    const body = dialect.errorBody(400, message) as { error?: unknown };
    if (type !== undefined && typeof body.error === "object") Object.assign(body.error ?? {}, { type, ...extra });
    send(response, 400, body);
  }

  function refuse(response: ServerResponse, status: number, message: string): void {
    send(response, status, dialect.errorBody(status, message));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  const listen = async (port: number) => once(server.listen(port, "127.0.0.1"), "listening");
  const close = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    lookups,
    get metrics() {
      return metrics;
    },
    set metrics(numbers) {
      metrics = numbers;
    },
    async request(number) {
      while (requests.length <= number) await once(arrivals, "request");
      const found = requests[number];
      if (found === undefined) throw new Error(`There is no request ${number}`);
      return found;
    },
    goAway: close,
    async comeBack() {
      await listen(port);
    },
    [Symbol.asyncDispose]: close,
  };
}

const onSent = new WeakMap<ServerResponse, () => void>();
const ready: Turn = { text: "ready" };
const overText = "The script of this server has no more turns";

function vllmOverflow() {
  const { overflow } = dialects.vllm;
  if (overflow.kind !== "refuses") throw new Error("vLLM refuses what is too long");
  return overflow;
}

function promptTokens(
  cache: ReturnType<typeof createPrefixCache>,
  { messages, tools }: Pick<ChatBody, "messages"> & { tools?: ChatBody["tools"] | undefined },
) {
  const texts = messages.map((message) => ({ role: String(message["role"]), text: JSON.stringify(message) }));
  return cache.count(texts, JSON.stringify(tools ?? []));
}

function metricsPage(metrics: Record<string, number>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `# TYPE ${name} gauge\n${name}{engine="0",model_name="served"} ${value}\n`)
    .join("");
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const type = typeof body === "string" ? "text/plain; charset=utf-8" : "application/json";
  response.writeHead(status, { "content-type": type, ...headers });
  response.end(text);
}

function stream(
  response: ServerResponse,
  pieces: readonly (string | Uint8Array)[],
  ends: "in order" | "never" | "broken",
): void {
  response.flushHeaders();
  for (const piece of pieces) response.write(piece);
  response.write("", onSent.get(response));
  if (ends === "in order") response.end();
  // What was written must be on its way before the connection is broken.
  if (ends === "broken") response.write("", () => response.destroy());
}
