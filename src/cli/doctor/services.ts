import type { LocalImage } from "../../../sandbox/engine.ts";
import type { EngineFacts } from "../../../sandbox/facts.ts";
import { isSameModel } from "../../../worker/agent/discover.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import type { Config } from "../../config.ts";
import { OutageError, messageOf } from "../../errors.ts";
import { createGitHub } from "../../github/client.ts";
import { connectRedis, within } from "../../queue.ts";
import { type Finding, type Seen, look, warn } from "./finding.ts";

export interface Services {
  git: Promise<string | undefined>;
  /** The answer to INFO; undefined: there is no REDIS_URL. */
  redis: Promise<string> | undefined;
  /** What the redis-server says that `up` would start. */
  ownRedis: Promise<string | undefined>;
  engine: Promise<EngineFacts>;
  image: { ref: string; found: Promise<LocalImage> };
}

/** Whether everything answers that a run needs. */
export function examineServices(config: Config, services: Services, signal: AbortSignal): Promise<Finding[]> {
  return Promise.all([
    look("versions", async () => {
      const git = await services.git;
      if (git === undefined) throw new Error("git does not start. Install it.");
      return `Node ${process.version}, ${git}, DATA_DIR ${config.dataDir}`;
    }),
    look("github", () => githubOf(config)),
    look("redis", () => redisOf(services)),
    look("docker", async () => {
      const { version, apiVersion } = await services.engine;
      return `Docker engine ${version} answers (API ${apiVersion})`;
    }),
    look("image", async () => {
      const { id } = await services.image.found;
      return `${services.image.ref} is there (${id.slice(0, 19)})`;
    }),
    look("model", () => modelOf(config, signal)),
  ]);
}

/** Asks Redis for INFO. */
export async function redisInfo(url: string): Promise<string> {
  const redis = connectRedis(url, "worker");
  try {
    return await within(3000, redis.info());
  } finally {
    redis.disconnect();
  }
}

async function githubOf(config: Config): Promise<string | Seen> {
  if (config.app === undefined)
    throw new Error("no app yet. Run `agent-fix up` and open its page, or set APP_ID, PRIVATE_KEY and WEBHOOK_SECRET.");
  const { apiUrl } = config.github;
  const host = createGitHub({ apiUrl, throttle: false }, config.app);
  const app = await host.app().catch((error: unknown) => {
    if (error instanceof OutageError) throw error;
    throw new Error(
      `${apiUrl} does not answer (${messageOf(error)}). Check GHE_HOST, GHE_PROTOCOL and this machine's network.`,
      { cause: error },
    );
  });
  const saw = `${apiUrl} knows the app ${app.slug} (${app.id})`;
  if (app.lacks.length === 0) return saw;
  const remedy = `Add it in the app's settings (${app.url}), and accept it where the app is installed`;
  return warn(`${saw}, which lacks ${app.lacks.join(", ")}`, remedy);
}

async function redisOf({ redis, ownRedis }: Services) {
  if (redis === undefined) {
    const saw = "REDIS_URL is not set: `agent-fix up` starts its own redis-server";
    if ((await ownRedis) !== undefined) return saw;
    return warn(`${saw}, and none is installed`, "Install redis-server, or set REDIS_URL");
  }
  const info = await redis;
  const policy = /maxmemory_policy:(\S+)/.exec(info)?.[1];
  if (policy !== "noeviction")
    throw new Error(`Redis evicts keys (maxmemory-policy ${policy}): jobs would be lost. Set it to noeviction.`);
  return `Redis ${/redis_version:(\S+)/.exec(info)?.[1]} answers, maxmemory-policy noeviction`;
}

async function modelOf(config: Config, signal: AbortSignal): Promise<string> {
  const { baseUrl } = config.model;
  // Asked once: a doctor says what is wrong now, where a run would wait for the server.
  const model = createModelClient({ ...config.model, limits: { attempts: 1, maxWaitMs: 0 } });
  const { name, contextTokens } = await model.describe(signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    throw new Error(
      `${baseUrl} did not answer in time. Start the model server, or set MODEL_BASE_URL to its address.`,
      { cause: error },
    );
  });
  const wanted = config.model.name;
  // A run takes the only model there is under whatever name; that the setting is wrong is worth knowing.
  if (wanted !== undefined && !isSameModel(wanted, name))
    throw new Error(`MODEL_NAME ${wanted} is not served at ${baseUrl}. It serves: ${name}. Set MODEL_NAME to that.`);
  const hello = [{ role: "user" as const, text: "Answer with the word ready." }];
  const reply = await model.reply({ messages: hello, tools: [], signal });
  return `${baseUrl} serves ${name} with ${contextTokens} tokens of context and answered with ${reply.usage.completionTokens} tokens`;
}
