import { Hono } from "hono";
import type { Context as Http } from "hono";
import { authorize, callerOf } from "./auth.ts";
import type { Answer, Call, Context, Route } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { Failure, movedTo, notFound } from "./failure.ts";
import type { FaultyWire } from "./faults.ts";
import { appRoutes } from "./routes/apps.ts";
import { checkRoutes } from "./routes/checks.ts";
import { commentRoutes } from "./routes/comments.ts";
import { gitDataRoutes } from "./routes/git-data.ts";
import { issueRoutes } from "./routes/issues.ts";
import { mergeRoutes } from "./routes/merges.ts";
import { pullRoutes } from "./routes/pulls.ts";
import { reactionRoutes } from "./routes/reactions.ts";
import { repositoryRoutes } from "./routes/repositories.ts";
import { reviewRoutes } from "./routes/reviews.ts";
import { statusRoutes } from "./routes/statuses.ts";
import { bodyOf, onWire, pathOf } from "./wire.ts";

const documentation = "https://docs.github.com/rest";

/** The REST API, to be mounted under `/api/v3`. A call that is not built answers 501 with its name. */
export function createApi(context: Context, faults: FaultyWire, onExchange: (exchange: Exchange) => void): Hono {
  const api = new Hono();
  api.use(onWire(faults, onExchange));
  for (const route of [
    ...appRoutes,
    ...repositoryRoutes,
    ...gitDataRoutes,
    ...issueRoutes,
    ...commentRoutes,
    ...pullRoutes,
    ...mergeRoutes,
    ...reviewRoutes,
    ...reactionRoutes,
    ...checkRoutes,
    ...statusRoutes,
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
    const { status, message, errors, headers } = error;
    const url = headers["location"];
    const body = { message, ...(url === undefined ? {} : { url }), documentation_url: documentation };
    const more = errors === undefined ? {} : { errors };
    return http.json({ ...body, status: String(status), ...more }, status, headers);
  });
  return api;
}

async function answer(route: Route, call: Call, context: Context): Promise<Answer> {
  if (route.on === "server") return route.handle(call, context);
  const { owner, repo } = call.params;
  const repository = context.state.repositories.get(`${owner}/${repo}`);
  if (repository === undefined) throw elsewhere(route.method, call, context);
  authorize(call.caller, repository, route.need);
  if (repository.archived && route.method !== "GET") throw new Failure(403, "Repository was archived so is read-only.");
  return route.handle({ ...call, repository }, context);
}

/** A renamed repository is known by its id. */
function elsewhere(method: string, { params, query, address }: Call, { state, site }: Context): Failure {
  const { owner, repo } = params;
  const moved = state.moved.get(`${owner}/${repo}`);
  if (moved === undefined) return notFound();
  const rest = address.slice(`${site.api}/repos/${owner}/${repo}`.length);
  const asked = new URLSearchParams(query).toString();
  return movedTo(method, `${site.api}/repositories/${moved.id}${rest}${asked === "" ? "" : `?${asked}`}`);
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

function toResponse({ status, body, headers = {} }: Answer): Response {
  if (body === undefined) return new Response(null, { status, headers });
  if (typeof body === "string") return new Response(body, { status, headers });
  return Response.json(body, { status, headers });
}
