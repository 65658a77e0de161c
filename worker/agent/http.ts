import { Agent } from "undici";

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

/** Nobody took the request; `cause` is why. */
export class Unreachable extends Error {}

/**
 * `fetch` that waits for an answer as long as its signal lets it, where Node's own gives up after 300 seconds; throws a
 * `RefusedRequest` where the server did not answer with success, and `Unreachable` where it did not answer.
 */
export function createFetch(): typeof fetch {
  // An `object`, since the types of Node's own copy of undici are another version's.
  const options: object = { dispatcher: new Agent({ headersTimeout: 0, bodyTimeout: 0 }) };
  return async (url, init) => {
    const response = await fetch(url, { ...init, ...options }).catch((cause: unknown) => {
      if (init?.signal?.aborted === true) throw cause;
      throw new Unreachable("unreachable", { cause });
    });
    if (response.ok) return response;
    throw new RefusedRequest({ status: response.status, headers: response.headers, body: await response.text() });
  };
}

/** A server's document by its path. */
export type GetJson = (path: string, signal: AbortSignal) => Promise<unknown>;
/** The same; with `body`, which is sent as JSON, its answer to that. */
export type AskJson = (path: string, signal: AbortSignal, body?: unknown) => Promise<unknown>;

/** Documents below `base`, read as JSON where they are. */
export function createGet(fetch: typeof globalThis.fetch, base: string, apiKey: string): AskJson {
  const authorization = `Bearer ${apiKey}`;
  return async (path, signal, body) => {
    const posted = { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`${base.replace(/\/$/, "")}${path}`, {
      signal,
      headers: { authorization, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && posted),
    });
    const text = await response.text();
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  };
}
