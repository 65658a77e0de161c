import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Probot } from "probot";
import { createApp } from "./app.ts";
import type { AppCredentials, Config } from "./config.ts";
import { ConfigError, messageOf } from "./errors.ts";
import type { Log } from "./log.ts";
import { announceHint } from "./prefetch.ts";
import type { Queues } from "./queue.ts";
import { settingsJsonSchema } from "./settings.ts";

/** GitHub's own cap on a payload. */
const payloadLimit = 25 * 1024 * 1024;
const slowBodyMs = 10_000;

export interface WebServer extends AsyncDisposable {
  url: string;
}
export interface WebDeps {
  credentials: AppCredentials;
  apiUrl: string;
  queues: Queues;
  log: Log;
}

/**
 * Serves webhooks, health, and the schema of the settings for editors. 2xx only after the job is stored; a size over the
 * limit is refused before it is read.
 */
export async function startWeb(http: Pick<Config["http"], "host" | "port">, deps: WebDeps): Promise<WebServer> {
  return listen(http, await createWebApp(deps));
}

/** The same as a Hono app, for a server that adds pages of its own. */
export async function createWebApp({ credentials, apiUrl, queues, log }: WebDeps): Promise<Hono> {
  const probot = new Probot({
    appId: credentials.id,
    privateKey: credentials.privateKey,
    secret: credentials.webhookSecret,
    baseUrl: apiUrl,
    // Probot logs whole payloads; what matters is logged here.
    log: log.child({}, { level: "silent" }),
  });
  await probot.load(createApp({ queues, announce: (hint) => announceHint(queues.redis, hint) }));
  const app = new Hono();
  app.get("/livez", (c) => c.text("ok"));
  app.get("/agent-fix.schema.json", (c) => c.json(settingsJsonSchema()));
  app.get("/readyz", async (c) => {
    const problem = await queues.ping().then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    return problem === undefined ? c.json({ ready: true }) : c.json({ ready: false, problem }, 503);
  });
  const tooLarge = bodyLimit({
    maxSize: payloadLimit,
    onError: (c) => c.text("the payload is larger than GitHub sends", 413),
  });
  app.post("/api/github/webhooks", tooLarge, async (c) => {
    const id = c.req.header("x-github-delivery") ?? "";
    const name = c.req.header("x-github-event") ?? "";
    const signature = c.req.header("x-hub-signature-256") ?? "";
    if (id === "" || name === "" || signature === "")
      return c.text("not a delivery of GitHub's: a header is missing", 400);
    const payload = await c.req.text();
    if (!(await probot.webhooks.verify(payload, signature))) {
      log.warn({ delivery: id, event: name }, "a delivery with a wrong signature was refused");
      return c.text("the signature does not match WEBHOOK_SECRET", 400);
    }
    try {
      await probot.webhooks.receive({ id, name: name as "issues", payload: JSON.parse(payload) });
      return c.text("ok");
    } catch (error) {
      // What a handler throws arrives as an AggregateError.
      if (error instanceof SyntaxError)
        return c.text("the payload is not JSON: choose application/json as the webhook's content type", 400);
      log.error({ delivery: id, event: name, error: messageOf(error) }, "a delivery could not be stored");
      return c.text("could not store the event; deliver it again", 503);
    }
  });
  return app;
}

/** Listens, and closes with all its connections when disposed. */
export async function listen({ host, port }: Pick<Config["http"], "host" | "port">, app: Hono): Promise<WebServer> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const server = serve({ fetch: app.fetch, hostname: host, port }, (info) =>
    resolve(`http://${host.includes(":") ? `[${host}]` : host}:${info.port}`),
  );
  if ("requestTimeout" in server) server.requestTimeout = slowBodyMs;
  server.on("error", (cause: NodeJS.ErrnoException) => {
    const why = cause.code === "EADDRINUSE" ? "is in use by another process" : messageOf(cause);
    reject(new ConfigError(`PORT ${port} on HOST ${host} ${why}. Set PORT or HOST to something free.`, { cause }));
  });
  const url = await promise;
  return {
    url,
    async [Symbol.asyncDispose]() {
      if ("closeAllConnections" in server) server.closeAllConnections();
      await new Promise<void>((done) => void server.close(() => done()));
    },
  };
}
