import { ModelError } from "./model.ts";

/** An answer of the model server that is no success. */
export interface Refusal {
  status: number;
  body: string;
  headers: Headers;
}

/** The SDK keeps an error body only in OpenAI's own form, and the other servers have theirs: so this is thrown before. */
export class RefusedRequest extends Error implements Refusal {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;

  constructor({ status, body, headers }: Refusal) {
    super("refused");
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

const overflow = [
  /maximum context length (?:is|of) \d+/i,
  /context length is only \d+/i,
  /longer than the (?:model'?s )?context length/i,
  /exceeds the (?:model'?s )?maximum context length/i,
  /exceeds the available context size/i,
  /exceed_context_size_error/,
  /greater than the context length/i,
  /reduce the length of the (?:messages|input prompt)/i,
  /cannot be greater than max_(?:model_len|total_tokens)/i,
  /context[_ ]length[_ ]exceeded/i,
  /prompt is too long/i,
  /input is too long/i,
];
const passing = new Set([408, 425, 429, 502, 503, 504, 529]);
const longestWaitMs = 10 * 60_000;

/** `fetch` that throws a `RefusedRequest` where the server did not answer with success. */
export async function fetchOrThrow(url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (response.ok) return response;
  throw new RefusedRequest({ status: response.status, headers: response.headers, body: await response.text() });
}

/** What a refusal means, in words that name the setting to look at. */
export function refusalError(refusal: Refusal, baseUrl: string): ModelError {
  const { status } = refusal;
  const said = bodyMessage(refusal.body);
  const at = `The model server at MODEL_BASE_URL ${baseUrl}`;
  if (overflow.some((pattern) => pattern.test(refusal.body)))
    return new ModelError("overflow", `${at} says that the conversation is too long for the model: ${said}`);
  if (status === 401 || status === 403)
    return new ModelError("refused", `${at} refused the key (${status}): set MODEL_API_KEY. It said: ${said}`);
  if (status === 404)
    return new ModelError("unknown-model", `${at} answered 404: ${said}. Check MODEL_BASE_URL (it ends in /v1)`);
  if (passing.has(status))
    return new ModelError("away", `${at} is not ready or busy (${status}): ${said}`, retryAfter(refusal.headers));
  if (status >= 500) return new ModelError("server-error", `${at} failed (${status}): ${said}`);
  return new ModelError("bad-request", `${at} did not accept the request (${status}): ${said}`);
}

/** The message in an error body, whichever of the servers' forms it has; at most 500 characters. */
function bodyMessage(body: string): string {
  const text = messageIn(parseJson(body)) ?? body.replaceAll(/<[^>]*>/g, " ");
  const line = text.replaceAll(/\s+/g, " ").trim();
  if (line === "") return "(nothing)";
  return line.length > 500 ? `${line.slice(0, 499)}…` : line;
}

function messageIn(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return undefined;
  const { error, message, detail } = value as Record<string, unknown>;
  return messageIn(error) ?? messageIn(message) ?? messageIn(detail);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function retryAfter(headers: Headers): { retryAfterMs?: number } {
  const ms = Number(headers.get("retry-after-ms") ?? Number.NaN);
  const value = headers.get("retry-after") ?? "";
  const seconds = Number(value === "" ? Number.NaN : value);
  const found = [ms, seconds * 1000, Date.parse(value) - Date.now()].find((candidate) => Number.isFinite(candidate));
  return found === undefined ? {} : { retryAfterMs: Math.min(longestWaitMs, Math.max(0, found)) };
}
