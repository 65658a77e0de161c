import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { z } from "zod";
import { Failure } from "./failure.ts";
import { accountOf } from "./state.ts";
import type { App, State } from "./state.ts";

/** The part of a GitHub App manifest that GitHub acts on. */
const manifest = z.object({
  name: z.string().min(1),
  url: z.url(),
  redirect_url: z.url(),
  hook_attributes: z.object({ url: z.url(), active: z.boolean().default(true) }),
  public: z.boolean().default(false),
  default_permissions: z.record(z.string(), z.enum(["read", "write"])),
  default_events: z.array(z.string()).default([]),
});

/** Throws GitHub's 422 for what is no manifest. */
export function parseManifest(text: string): z.infer<typeof manifest> {
  const parsed = manifest.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new Failure(422, `The manifest is not valid: ${z.prettifyError(parsed.error)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What makes an app; key and secret are made anew where they are not given. */
export type NewApp = Pick<App, "slug" | "name" | "permissions" | "events"> &
  Partial<Pick<App, "id" | "webhookSecret" | "privateKey">>;

/** The server's one app from now on. */
export function registerApp(state: State, { slug, name, permissions, events, ...given }: NewApp): App {
  const privateKey =
    given.privateKey === undefined
      ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
      : createPrivateKey(given.privateKey);
  const app = {
    id: given.id ?? state.nextId(),
    slug,
    name,
    privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
    publicKey: createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString(),
    webhookSecret: given.webhookSecret ?? randomBytes(20).toString("hex"),
    bot: accountOf(state, `${slug}[bot]`, "Bot"),
    // Every app may read these.
    permissions: { metadata: "read" as const, ...permissions },
    events,
    createdAt: state.now(),
  };
  state.app = app;
  return app;
}

/** What "Create GitHub App" does: the app exists, and its code can be exchanged once. Returns where the browser goes. */
export function createFromManifest(state: State, text: string, formState: string): string {
  const wanted = parseManifest(text);
  const slug = wanted.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const app = registerApp(state, {
    slug,
    name: wanted.name,
    permissions: wanted.default_permissions,
    events: wanted.default_events,
  });
  state.webhookUrl = wanted.hook_attributes.url;
  const code = randomBytes(20).toString("hex");
  state.manifestCodes.set(code, app);
  const target = new URL(wanted.redirect_url);
  target.searchParams.set("code", code);
  target.searchParams.set("state", formState);
  return target.href;
}
