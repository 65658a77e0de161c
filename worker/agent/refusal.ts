import { messageOf } from "../../src/errors.ts";
import { RefusedRequest, Unreachable } from "./http.ts";
import type { Refusal } from "./http.ts";
import { ModelError } from "./model.ts";
import { overflowIn } from "./overflow.ts";

const passing = new Set([408, 409, 425, 429, 502, 503, 504, 529]);
/** Said with status 500 about requests that will never do. */
const badRequest = /failed to parse grammar|empty grammar stack|tool call arguments|arguments.{0,40}JSON/i;
/** A router that knows the model says so while no server of it is up. */
const routerAway = /available models can be listed at/i;
const longestWaitMs = 10 * 60_000;

/** What stopped a request, `late` when it was our own patience. Throws `signal.reason` when that is aborted. */
export function toModelError(
  error: unknown,
  { baseUrl, signal, late }: { baseUrl: string; signal: AbortSignal; late: boolean },
): ModelError {
  signal.throwIfAborted();
  if (error instanceof ModelError) return error;
  const at = `The model server at MODEL_BASE_URL ${baseUrl}`;
  if (late) return new ModelError("stalled", `${at} did not answer in time`, { cause: error });
  // The SDK wraps what its `fetch` throws.
  const reasons = error instanceof Error ? [error, error.cause] : [];
  const refused = reasons.find((reason) => reason instanceof RefusedRequest);
  if (refused !== undefined) return refusalError(refused, baseUrl);
  const away = reasons.find((reason) => reason instanceof Unreachable);
  if (away !== undefined)
    return new ModelError("away", `${at} is not reachable (${deepest(away)}): is it running?`, { cause: error });
  return new ModelError(
    "server-error",
    `${at} sent an answer that could not be read: ${bodyMessage(messageOf(error))}`,
    {
      cause: error,
    },
  );
}

function deepest(error: Error): string {
  if (error.cause instanceof Error) return deepest(error.cause);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

/** What a refusal means, in words that name the setting to look at. */
export function refusalError(refusal: Refusal, baseUrl: string): ModelError {
  const { status } = refusal;
  const said = bodyMessage(refusal.body);
  const at = `The model server at MODEL_BASE_URL ${baseUrl}`;
  const overflow = overflowIn(refusal.body);
  if (overflow !== undefined)
    return new ModelError("overflow", `${at} says that the conversation is too long for the model: ${said}`, {
      overflow,
    });
  if (status === 401 || status === 403)
    return new ModelError("refused", `${at} refused the key (${status}): set MODEL_API_KEY. It said: ${said}`);
  if (passing.has(status) || (status === 404 && routerAway.test(said)))
    return new ModelError("away", `${at} is not ready or busy (${status}): ${said}`, retryAfter(refusal.headers));
  if (status === 404)
    return new ModelError("unknown-model", `${at} answered 404: ${said}. Check MODEL_BASE_URL (it ends in /v1)`);
  if (status >= 500 && !badRequest.test(said))
    return new ModelError("server-error", `${at} failed (${status}): ${said}`);
  return new ModelError("bad-request", `${at} did not accept the request (${status}): ${said}`);
}

/** The message in an error body, whichever of the servers' forms it has; at most 500 characters. */
function bodyMessage(body: string): string {
  const text = messageIn(parseJson(body)) ?? body.replaceAll(/<[^<>]*>/g, " ");
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
