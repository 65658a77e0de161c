import { readFileSync } from "node:fs";
import { buildSchema, graphql, GraphQLError } from "graphql";
import { Hono } from "hono";
import { z } from "zod";
import { callerOf } from "../auth.ts";
import type { Context } from "../context.ts";
import type { Exchange } from "../exchange.ts";
import { Failure } from "../failure.ts";
import type { FaultyWire } from "../faults.ts";
import { bodyOf, onWire } from "../wire.ts";
import { createRoot } from "./resolvers.ts";

const documentation = "https://docs.github.com/graphql";
const request = z.object({
  query: z.string(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
});

/** The GraphQL API, to be mounted under `/api/graphql`. What is wrong in a query is told in an answer 200. */
export function createGraphql(context: Context, faults: FaultyWire, onExchange: (exchange: Exchange) => void): Hono {
  const schema = buildSchema(readFileSync(new URL("schema.graphql", import.meta.url), "utf8"));
  const api = new Hono();
  api.use(onWire(faults, onExchange));
  api.post("/", async (http) => {
    const caller = callerOf(context.state, http.req.header("authorization"));
    if (caller.kind === "nobody") throw new Failure(401, "This endpoint requires you to be authenticated.");
    const parsed = request.safeParse(await bodyOf(http));
    if (!parsed.success) throw new Failure(400, "A query attribute must be specified and must be a string.");
    const { query, variables, operationName } = parsed.data;
    const { data, errors } = await graphql({
      schema,
      source: query,
      rootValue: createRoot(context, caller),
      variableValues: variables ?? {},
      operationName: operationName ?? null,
    });
    return http.json(errors === undefined ? { data } : { data: data ?? null, errors: errors.map(toError) });
  });
  api.onError((error, http) => {
    if (!(error instanceof Failure)) throw error;
    return http.json({ message: error.message, documentation_url: documentation }, error.status);
  });
  return api;
}

const types: Record<number, string> = { 404: "NOT_FOUND", 403: "FORBIDDEN" };

function toError({ message, path, locations, originalError: cause }: GraphQLError) {
  if (cause !== undefined && !(cause instanceof Failure) && !(cause instanceof GraphQLError)) throw cause;
  const type = cause instanceof Failure ? types[cause.status] : undefined;
  return { ...(type === undefined ? {} : { type }), path, locations, message };
}
