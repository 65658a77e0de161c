import { Hono } from "hono";
import type { Context as Http } from "hono";
import { authorize, callerOf } from "./auth.ts";
import type { Answer, Call, Context, Route } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { Failure, notFound } from "./failure.ts";
import { appRoutes } from "./routes/apps.ts";
import { checkRoutes } from "./routes/checks.ts";
import { gitDataRoutes } from "./routes/git-data.ts";
import { issueRoutes } from "./routes/issues.ts";
import { pullRoutes } from "./routes/pulls.ts";
import { repositoryRoutes } from "./routes/repositories.ts";

const documentation = "https://docs.github.com/rest";

/** The REST API, to be mounted under `/api/v3`. A call that is not built answers 501 with its name. */
export function createApi(context: Context, onExchange: (exchange: Exchange) => void): Hono {
  const api = new Hono();
  api.use(async (http, next) => {
    await next();
    onExchange(await exchangeOf(http));
  });
  for (const route of [
    ...appRoutes,
    ...repositoryRoutes,
    ...gitDataRoutes,
    ...issueRoutes,
    ...pullRoutes,
    ...checkRoutes,
  ])
    api.on(route.method, route.path, async (http) =>
      toResponse(await answer(route, await callOf(http, context), context)),
    );
  api.all("*", (http) => {
    const name = `${http.req.method} ${pathOf(http)}`;
    return http.json(
      { message: `${name} is not built into the embedded GitHub`, documentation_url: documentation },
      501,
    );
  });
  api.onError((error, http) => {
    if (!(error instanceof Failure)) throw error;
    const { status, message, errors } = error;
    const body = { message, documentation_url: documentation, status: String(status) };
    return http.json(errors === undefined ? body : { ...body, errors }, status);
  });
  return api;
}

async function answer(route: Route, call: Call, context: Context): Promise<Answer> {
  if (route.on === "server") return route.handle(call, context);
  const { owner, repo } = call.params;
  const repository = context.state.repositories.get(`${owner}/${repo}`);
  if (repository === undefined) throw notFound();
  authorize(call.caller, repository, route.need);
  return route.handle({ ...call, repository }, context);
}

async function callOf(http: Http, { state, site }: Context): Promise<Call> {
  return {
    caller: callerOf(state, http.req.header("authorization")),
    params: http.req.param(),
    query: http.req.query(),
    body: await bodyOf(http),
    accept: http.req.header("accept") ?? "",
    address: `${site.api}${pathOf(http)}`,
  };
}

async function bodyOf(http: Http): Promise<unknown> {
  const text = await http.req.text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(400, "Problems parsing JSON");
  }
}

function toResponse({ status, body, headers = {} }: Answer): Response {
  if (body === undefined) return new Response(null, { status, headers });
  if (typeof body === "string") return new Response(body, { status, headers });
  return Response.json(body, { status, headers });
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

function pathOf(http: Http): string {
  return new URL(http.req.url).pathname.replace(/^\/api\/v3/, "");
}
