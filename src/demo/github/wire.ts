import type { Context as Http, MiddlewareHandler } from "hono";
import type { Exchange } from "./exchange.ts";
import { Failure } from "./failure.ts";
import type { FaultyWire } from "./faults.ts";

/** Lets faults have their part in each call, and shows each with its answer. */
export function onWire(faults: FaultyWire, onExchange: (exchange: Exchange) => void): MiddlewareHandler {
  return async (http, next) => {
    const authorization = http.req.header("authorization") ?? "";
    const call = { method: http.req.method, path: pathOf(http), body: await http.req.text(), authorization };
    const refusal = await faults.refusalOf(call);
    if (refusal === undefined) await next();
    else http.res = refusal;
    if (faults.loses(call)) http.res = http.json({ message: "Server Error" }, 502);
    onExchange(await exchangeOf(http));
  };
}

/** Below `/api/v3`; that of GraphQL below `/api`. */
export function pathOf(http: Http): string {
  return new URL(http.req.url).pathname.replace(/^\/api(?:\/v3)?/, "");
}

export async function bodyOf(http: Http): Promise<unknown> {
  const text = await http.req.text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(400, "Problems parsing JSON");
  }
}

async function exchangeOf(http: Http): Promise<Exchange> {
  const mediaType = http.res.headers.get("content-type")?.split(";")[0] ?? "";
  const isJson = mediaType === "application/json";
  return {
    method: http.req.method,
    path: pathOf(http),
    query: http.req.query(),
    mediaType,
    body: await bodyOf(http).catch(() => undefined),
    status: http.res.status,
    answer: isJson ? await http.res.clone().json() : undefined,
  };
}
