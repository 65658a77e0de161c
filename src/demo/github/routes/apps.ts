import { z } from "zod";
import { mintToken } from "../auth.ts";
import type { Caller } from "../auth.ts";
import { parseBody } from "../body.ts";
import { created, noContent, ok, paged } from "../context.ts";
import type { Call, Context, Route } from "../context.ts";
import { Failure, notFound } from "../failure.ts";
import { userJson } from "../json/account.ts";
import { appJson, deliveryJson, installationJson } from "../json/app.ts";
import { repositoryJson } from "../json/repository.ts";
import { accountOf, fullName } from "../state.ts";
import type { App, State } from "../state.ts";

const tokenRequest = z.object({
  repository_ids: z.array(z.number()).optional(),
  permissions: z.record(z.string(), z.enum(["read", "write"])).optional(),
});

/** Apps, installations, their tokens and deliveries. */
export const appRoutes: Route[] = [
  {
    method: "GET",
    path: "/app",
    on: "server",
    handle: ({ caller }, { state, site }) =>
      ok({
        ...appJson(site, appOf(caller), accountOf(state, "ann")),
        installations_count: state.installations.size,
      }),
  },
  {
    method: "GET",
    path: "/app/installations",
    on: "server",
    handle(call, { state, site }) {
      const app = appOf(call.caller);
      return paged(call, [...state.installations.values()], (page) =>
        page.map((one) => installationJson(site, one, app)),
      );
    },
  },
  {
    method: "GET",
    path: "/app/installations/:id",
    on: "server",
    handle({ caller, params }, { state, site }) {
      const app = appOf(caller);
      const installation = state.installations.get(Number(params["id"]));
      if (installation === undefined) throw notFound();
      return ok(installationJson(site, installation, app));
    },
  },
  {
    method: "POST",
    path: "/app/installations/:id/access_tokens",
    on: "server",
    handle({ caller, params, body }, { state, site, tokenTtlMs }) {
      appOf(caller);
      const installation = state.installations.get(Number(params["id"]));
      if (installation === undefined) throw notFound();
      const wanted = parseBody(tokenRequest, "IntegrationInstallation", body);
      const { value, token } = mintToken(state, installation, {
        permissions: wanted.permissions,
        repositoryIds: wanted.repository_ids,
        ttlMs: tokenTtlMs,
      });
      const repositories = [...state.repositories.values()].filter((one) => token.repositories.has(fullName(one)));
      return created({
        token: value,
        expires_at: `${token.expiresAt.toISOString().slice(0, 19)}Z`,
        permissions: token.permissions,
        repository_selection: "selected",
        repositories: repositories.map((one) => repositoryJson(site, one)),
      });
    },
  },
  {
    method: "DELETE",
    path: "/installation/token",
    on: "server",
    handle({ caller }, { state }) {
      if (caller.kind !== "installation") throw new Failure(401, "Requires authentication");
      state.installationTokens.delete(caller.value);
      return noContent;
    },
  },
  {
    method: "GET",
    path: "/installation/repositories",
    on: "server",
    handle(call, { state, site }) {
      const { caller } = call;
      if (caller.kind !== "installation")
        throw new Failure(403, "You must authenticate with an installation access token");
      const covered = [...state.repositories.values()].filter((one) => caller.token.repositories.has(fullName(one)));
      return paged(call, covered, (page) => ({
        total_count: covered.length,
        repositories: page.map((one) => repositoryJson(site, one)),
      }));
    },
  },
  {
    method: "GET",
    path: "/app/hook/deliveries",
    on: "server",
    handle(call, { state }) {
      appOf(call.caller);
      return deliveriesPage(call, state);
    },
  },
  {
    method: "POST",
    path: "/app/hook/deliveries/:id/attempts",
    on: "server",
    handle({ caller, params }, { state, webhooks }) {
      appOf(caller);
      const delivery = state.deliveries.find((one) => one.id === Number(params["id"]));
      if (delivery === undefined) throw notFound();
      webhooks.redeliver(delivery);
      return { status: 202, body: {} };
    },
  },
  {
    method: "POST",
    path: "/app-manifests/:code/conversions",
    on: "server",
    handle: ({ params }, context) => convertManifest(params["code"] ?? "", context),
  },
  {
    method: "GET",
    path: "/user",
    on: "server",
    handle({ caller }, { site }) {
      if (caller.kind !== "user") throw new Failure(403, "Resource not accessible by integration");
      return ok(userJson(site, caller.account));
    },
  },
];

function appOf(caller: Caller): App {
  if (caller.kind !== "app") throw new Failure(401, "A JSON web token could not be decoded");
  return caller.app;
}

/** This list goes on from a cursor, and shows what has been tried. */
function deliveriesPage({ query, address }: Call, state: State) {
  const size = Math.min(100, Math.max(1, Number(query["per_page"] ?? 30)));
  const tried = state.deliveries.filter((one) => one.status !== "pending");
  const from = query["cursor"] === undefined ? 0 : tried.findIndex((one) => one.id === Number(query["cursor"])) + 1;
  const page = tried.slice(from, from + size);
  const last = page.at(-1);
  const more = last !== undefined && from + size < tried.length;
  const next = new URLSearchParams({ ...query, cursor: String(last?.id) }).toString();
  return ok(page.map(deliveryJson), more ? { link: `<${address}?${next}>; rel="next"` } : undefined);
}

function convertManifest(code: string, { state, site }: Context) {
  const app = state.manifestCodes.get(code);
  if (app === undefined) throw notFound();
  state.manifestCodes.delete(code);
  return created({
    ...appJson(site, app, accountOf(state, "ann")),
    client_id: `Iv1.${app.id}`,
    client_secret: app.webhookSecret.toUpperCase(),
    webhook_secret: app.webhookSecret,
    pem: app.privateKey,
  });
}
