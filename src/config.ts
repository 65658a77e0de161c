import { createPrivateKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "./errors.ts";

/** What the operator set, checked; see the README's table for each variable. */
export interface Config {
  github: { apiUrl: string; webUrl: string };
  app: AppCredentials | undefined;
  githubToken: string | undefined;
  http: { host: string; port: number; webhookProxyUrl: string | undefined };
  logLevel: string;
  redisUrl: string | undefined;
  dataDir: string;
  model: {
    baseUrl: string;
    name: string | undefined;
    apiKey: string;
    contextTokens: number | undefined;
    priority: number | undefined;
    given: boolean;
  };
  sandbox: {
    image: string | undefined;
    runtime: string | undefined;
    trustedHosts: string[];
    dockerHost: string | undefined;
    /** The operator's certificates, for hosts behind a company's proxy. */
    caBundle: string | undefined;
  };
  proxy: { https: string | undefined; no: string | undefined };
  concurrency: number;
  /** Values that must never be seen in a log, a comment or a prompt. */
  secrets: string[];
}

/** What makes us a GitHub App: from the environment, else from what the manifest page stored in DATA_DIR. */
export interface AppCredentials {
  id: number;
  privateKey: string;
  webhookSecret: string;
}

type Env = Record<string, string | undefined>;

const url = z.url({ protocol: /^https?$/ });
const positive = z.coerce.number().int().positive();
const schema = z.object({
  APP_ID: positive.optional(),
  PRIVATE_KEY: z.string().optional(),
  PRIVATE_KEY_PATH: z.string().optional(),
  WEBHOOK_SECRET: z.string().optional(),
  GHE_HOST: z
    .string()
    .regex(/^[\w.-]+(:\d+)?$/)
    .optional(),
  GHE_PROTOCOL: z.enum(["http", "https"]).default("https"),
  WEBHOOK_PROXY_URL: url.optional(),
  HOST: z.string().default("127.0.0.1"),
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  REDIS_URL: z
    .string()
    .regex(/^(rediss?:\/\/|unix:\/\/\/|\/)/)
    .optional(),
  DATA_DIR: z.string().optional(),
  XDG_STATE_HOME: z.string().optional(),
  MODEL_BASE_URL: url.default("http://localhost:8000/v1"),
  MODEL_NAME: z.string().optional(),
  MODEL_API_KEY: z.string().default("EMPTY"),
  MODEL_CONTEXT: z.coerce.number().int().min(8192).optional(),
  MODEL_PRIORITY: z.coerce.number().int().optional(),
  SANDBOX_IMAGE: z.string().optional(),
  SANDBOX_RUNTIME: z.string().optional(),
  SANDBOX_TRUSTED_HOSTS: z.string().default(""),
  DOCKER_HOST: z.string().optional(),
  SSL_CERT_FILE: z.string().optional(),
  WORKER_CONCURRENCY: positive.optional(),
  GITHUB_TOKEN: z.string().optional(),
  HTTPS_PROXY: url.optional(),
  NO_PROXY: z.string().optional(),
});

const remedies: Partial<Record<keyof z.infer<typeof schema>, string>> = {
  APP_ID: "the number on the app's settings page",
  GHE_HOST: "a host name without protocol, such as github.example.com",
  GHE_PROTOCOL: "http or https",
  PORT: "a number from 0 to 65535",
  LOG_LEVEL: "trace, debug, info, warn, error, fatal or silent",
  REDIS_URL: "redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH",
  MODEL_BASE_URL: "an address such as http://localhost:8000/v1",
  MODEL_CONTEXT: "the server's context size in tokens, at least 8192",
  MODEL_PRIORITY: "a whole number, such as 0; the lowest go first",
  WORKER_CONCURRENCY: "how many runs at once, at least 1",
  HTTPS_PROXY: "an address such as http://proxy.example.com:3128",
  WEBHOOK_PROXY_URL: "a smee.io channel's address",
};

/** Reads the environment once; `overrides` win, an empty value unsets. Throws ConfigError that names the variable, the value and the remedy. */
export function readConfig(overrides: Env = {}, environment: Env = process.env): Config {
  const env = { ...environment, ...overrides };
  const parsed = schema.safeParse(withoutEmpty(env));
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map((issue) => explain(issue, env)).join("\n"));
  const set = parsed.data;
  const dataDir = resolve(set.DATA_DIR ?? join(set.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "agent-fix"));
  const app = appCredentials(set, dataDir);
  return {
    github: githubAddresses(set.GHE_HOST, set.GHE_PROTOCOL),
    app,
    githubToken: set.GITHUB_TOKEN,
    http: { host: set.HOST, port: set.PORT, webhookProxyUrl: set.WEBHOOK_PROXY_URL },
    logLevel: set.LOG_LEVEL,
    redisUrl: set.REDIS_URL,
    dataDir,
    model: {
      baseUrl: set.MODEL_BASE_URL,
      name: set.MODEL_NAME,
      apiKey: set.MODEL_API_KEY,
      contextTokens: set.MODEL_CONTEXT,
      priority: set.MODEL_PRIORITY,
      given: Boolean(env["MODEL_BASE_URL"]),
    },
    sandbox: {
      image: set.SANDBOX_IMAGE,
      runtime: set.SANDBOX_RUNTIME,
      trustedHosts: set.SANDBOX_TRUSTED_HOSTS.split(/[\s,]+/).filter(Boolean),
      dockerHost: set.DOCKER_HOST,
      caBundle: set.SSL_CERT_FILE,
    },
    proxy: { https: set.HTTPS_PROXY, no: set.NO_PROXY },
    concurrency: set.WORKER_CONCURRENCY ?? Math.max(1, Math.floor(availableParallelism() / 2)),
    secrets: [
      app?.privateKey,
      app?.webhookSecret,
      set.MODEL_API_KEY,
      set.GITHUB_TOKEN,
      ...[set.REDIS_URL, set.HTTPS_PROXY, set.MODEL_BASE_URL].map(passwordIn),
    ].filter((secret): secret is string => secret !== undefined && secret !== ""),
  };
}

/** REST and web addresses in the form of github.com or, with a host, of GitHub Enterprise Server. */
export function githubAddresses(host: string | undefined, protocol: "http" | "https"): Config["github"] {
  if (host === undefined || host === "github.com")
    return { apiUrl: "https://api.github.com", webUrl: "https://github.com" };
  return { apiUrl: `${protocol}://${host}/api/v3`, webUrl: `${protocol}://${host}` };
}

/** The app's credentials, or a ConfigError that says how to get them. Probot would fall back to a known secret. */
export function requireApp(config: Config): AppCredentials {
  if (config.app !== undefined) return config.app;
  throw new ConfigError(
    "APP_ID, PRIVATE_KEY (or PRIVATE_KEY_PATH) and WEBHOOK_SECRET are not set. Run `agent-fix up` without them to create the GitHub App in the browser, or set all three.",
  );
}

/** Where the manifest page stores the credentials that GitHub gave. */
export function credentialsFile(dataDir: string): string {
  return join(dataDir, "app.json");
}

function appCredentials(set: z.infer<typeof schema>, dataDir: string): AppCredentials | undefined {
  const privateKey = privateKeyOf(set);
  if (set.APP_ID === undefined && privateKey === undefined && set.WEBHOOK_SECRET === undefined)
    return storedCredentials(dataDir);
  if (set.APP_ID === undefined)
    throw new ConfigError(
      "APP_ID is not set, but other credentials are. Set it to the number on the app's settings page.",
    );
  if (privateKey === undefined)
    throw new ConfigError(
      "Neither PRIVATE_KEY nor PRIVATE_KEY_PATH is set. Download a private key on the app's settings page.",
    );
  return { id: set.APP_ID, privateKey, webhookSecret: strongSecret(set.WEBHOOK_SECRET) };
}

function privateKeyOf(set: z.infer<typeof schema>): string | undefined {
  if (set.PRIVATE_KEY === undefined && set.PRIVATE_KEY_PATH === undefined) return undefined;
  const variable = set.PRIVATE_KEY === undefined ? "PRIVATE_KEY_PATH" : "PRIVATE_KEY";
  const text = set.PRIVATE_KEY ?? readKey(set.PRIVATE_KEY_PATH ?? "");
  const key = text.includes("-----BEGIN")
    ? text.replaceAll(String.raw`\n`, "\n")
    : Buffer.from(text, "base64").toString();
  if (!isPrivateKey(key)) {
    throw new ConfigError(
      `${variable} holds no whole PEM private key. Use the .pem file that the app's settings page lets you download.`,
    );
  }
  return key;
}

function isPrivateKey(text: string): boolean {
  try {
    return createPrivateKey(text).asymmetricKeyType === "rsa";
  } catch {
    return false;
  }
}

function readKey(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigError(
      `PRIVATE_KEY_PATH is ${JSON.stringify(path)}, which cannot be read. Name the app's .pem file.`,
      { cause },
    );
  }
}

// Probot signs with the word "development" when no secret is set, also in production.
function strongSecret(secret: string | undefined): string {
  if (secret !== undefined && secret.length >= 32 && new Set(secret).size >= 8) return secret;
  throw new ConfigError(
    `WEBHOOK_SECRET is ${secret === undefined ? "not set" : "too weak"}. Set the same random text of at least 32 characters here and on the app's settings page, for example from: openssl rand -hex 32`,
  );
}

const stored = z.object({ id: z.number(), privateKey: z.string(), webhookSecret: z.string().min(32) });

function storedCredentials(dataDir: string): AppCredentials | undefined {
  const file = credentialsFile(dataDir);
  if (!existsSync(file)) return undefined;
  try {
    return stored.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new ConfigError(
      `${file} is damaged. Delete it to create the app anew, or set APP_ID, PRIVATE_KEY and WEBHOOK_SECRET.`,
      { cause },
    );
  }
}

function explain(issue: z.core.$ZodIssue, env: Env): string {
  const name = String(issue.path[0]);
  const remedy = remedies[name as keyof typeof remedies] ?? issue.message;
  return `${name} is ${JSON.stringify(env[name])}. Expected: ${remedy}.`;
}

function passwordIn(address: string | undefined): string | undefined {
  return address !== undefined && URL.canParse(address) ? decodeURIComponent(new URL(address).password) : undefined;
}

function withoutEmpty(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""));
}
