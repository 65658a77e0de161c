import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Hono } from "hono";
import { html } from "hono/html";
import { parse } from "yaml";
import { z } from "zod";
import { credentialsFile } from "../config.ts";
import type { AppCredentials, Config } from "../config.ts";
import { messageOf } from "../errors.ts";
import { convertManifest } from "../github/client.ts";
import type { Log } from "../log.ts";
import { listen } from "../web.ts";

/** The GitHub App manifest of app.yml. */
const appManifest = z.object({
  name: z.string(),
  url: z.string(),
  public: z.boolean(),
  default_permissions: z.record(z.string(), z.enum(["read", "write"])),
  default_events: z.array(z.string()),
});

async function readManifest(): Promise<z.infer<typeof appManifest>> {
  return appManifest.parse(parse(await readFile(new URL("../../app.yml", import.meta.url), "utf8")));
}

/**
 * Serves the page that creates the GitHub App, until GitHub has sent the credentials; they are stored in DATA_DIR.
 * Undefined when `stopped` came before.
 */
export async function createAppInBrowser(
  config: Config,
  log: Log,
  stopped: Promise<void>,
): Promise<AppCredentials | undefined> {
  const state = randomBytes(16).toString("hex");
  const manifest = await readManifest();
  const { promise: created, resolve } = Promise.withResolvers<AppCredentials>();
  const app = new Hono();
  app.get("/livez", (c) => c.text("ok"));
  app.get("/", (c) => {
    const origin = new URL(c.req.url).origin;
    const hook = config.http.webhookProxyUrl ?? `${origin}/api/github/webhooks`;
    const full = { ...manifest, redirect_url: `${origin}/setup/created`, hook_attributes: { url: hook, active: true } };
    return c.html(startPage(`${config.github.webUrl}/settings/apps/new?state=${state}`, JSON.stringify(full), hook));
  });
  app.get("/setup/created", async (c) => {
    if (c.req.query("state") !== state)
      return c.text("This link is not from the page that this process served. Open / and begin again.", 400);
    try {
      const {
        slug: _slug,
        url,
        ...credentials
      } = await convertManifest({ apiUrl: config.github.apiUrl, throttle: false }, c.req.query("code") ?? "");
      await store(config.dataDir, credentials);
      // Answer first: the page's server closes when the credentials are known.
      setImmediate(() => resolve(credentials));
      return await c.html(donePage(url));
    } catch (error) {
      return c.text(`GitHub did not give the credentials: ${messageOf(error)}. Open / and begin again.`, 502);
    }
  });
  await using server = await listen(config.http, app);
  console.log(
    `No GitHub App yet. Open ${server.url} in a browser and press the button: GitHub creates the app and sends its credentials here.`,
  );
  const credentials = await Promise.race([created, stopped]);
  if (credentials === undefined) return undefined;
  log.info(
    { app: credentials.id, file: credentialsFile(config.dataDir) },
    "the GitHub App was created and its credentials stored",
  );
  return credentials;
}

async function store(dataDir: string, credentials: AppCredentials): Promise<void> {
  const file = credentialsFile(dataDir);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
}

function page(title: string, body: ReturnType<typeof html>) {
  return html`<!doctype html>
    <html lang="en">
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width" />
      <title>${title}</title>
      <style>
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; color: #1f2328; }
        button { font: inherit; padding: 0.5rem 1rem; border: 0; border-radius: 6px; background: #1f883d; color: #fff; cursor: pointer; }
        code { background: #eff1f3; padding: 0.1rem 0.3rem; border-radius: 4px; }
      </style>
      <h1>${title}</h1>
      ${body}
    </html>`;
}

function startPage(action: string, manifest: string, hook: string) {
  return page(
    "Create your GitHub App",
    html`<p>agent-fix works as a GitHub App of your own. The button opens GitHub with everything filled in; you choose the name.</p>
      <ul>
        <li>It may read and write code, issues and pull requests of the repositories that you install it on, nothing else.</li>
        <li>GitHub will send webhooks to <code>${hook}</code>. An address that GitHub cannot reach needs <code>WEBHOOK_PROXY_URL</code>.</li>
        <li>The credentials come back to this machine and are stored in <code>DATA_DIR</code>, readable for you alone.</li>
      </ul>
      <form action="${action}" method="post">
        <input type="hidden" name="manifest" value="${manifest}" />
        <button type="submit">Create the app on GitHub</button>
      </form>`,
  );
}

function donePage(url: string) {
  return page(
    "The app exists",
    html`<p>Its credentials are stored, and agent-fix is starting with them.</p>
      <p>Now <a href="${url}/installations/new">install it on a repository</a> and set the label <code>agent-fix</code> on an issue.</p>`,
  );
}
