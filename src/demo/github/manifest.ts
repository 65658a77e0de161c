import { generateKeyPairSync, randomBytes } from "node:crypto";
import { z } from "zod";
import { accountOf } from "./state.ts";
import type { App, State } from "./state.ts";

/** The part of a GitHub App manifest that GitHub acts on. */
export const manifest = z.object({
  name: z.string().min(1),
  url: z.url(),
  redirect_url: z.url(),
  hook_attributes: z.object({ url: z.url(), active: z.boolean().default(true) }),
  public: z.boolean().default(false),
  default_permissions: z.record(z.string(), z.enum(["read", "write"])),
  default_events: z.array(z.string()).default([]),
});

/** What makes an app; key and secret are made anew where they are not given. */
export type NewApp = Pick<App, "slug" | "name" | "permissions" | "events"> & Partial<Pick<App, "id" | "webhookSecret">>;

/** The server's one app from now on. */
export function registerApp(state: State, { slug, name, permissions, events, ...given }: NewApp): App {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const app = {
    id: given.id ?? state.nextId(),
    slug,
    name,
    privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    webhookSecret: given.webhookSecret ?? randomBytes(20).toString("hex"),
    bot: accountOf(state, `${slug}[bot]`, "Bot"),
    permissions,
    events,
    createdAt: state.now(),
  };
  state.app = app;
  return app;
}

/** What "Create GitHub App" does: the app exists, and its code can be exchanged once. Returns where the browser goes. */
export function createFromManifest(state: State, text: string, formState: string): string {
  const wanted = manifest.parse(JSON.parse(text));
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
