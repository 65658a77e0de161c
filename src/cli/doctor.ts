import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Command } from "commander";
import { createModelClient } from "../../worker/agent/openai.ts";
import { readConfig } from "../config.ts";
import type { Config } from "../config.ts";
import { OutageError, messageOf } from "../errors.ts";
import { createGitHub } from "../github/client.ts";
import { connectRedis, within } from "../queue.ts";
import { composeTools } from "./compose.ts";

/** One part that was looked at: what was seen, and what to do where it is not well. */
export interface Finding {
  part: string;
  ok: boolean;
  saw: string;
}

const limitMs = 20_000;

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Looks at GitHub credentials, Redis, Docker, image, model endpoint and versions")
    .option("--json", "one JSON object per part")
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await examine(readConfig());
      for (const finding of findings) {
        console.log(
          json ? JSON.stringify(finding) : `${finding.ok ? "ok  " : "BAD "} ${finding.part.padEnd(8)} ${finding.saw}`,
        );
      }
      process.exitCode = findings.every((finding) => finding.ok) ? 0 : 1;
    });
}

/** Looks at every part, each within 20 s, side by side; what is wrong is a finding, never a throw. */
async function examine(config: Config): Promise<Finding[]> {
  const tools = await composeTools(config);
  // Asked once: a doctor says what is wrong now, where a run would wait for the server.
  const model = createModelClient({ ...config.model, limits: { attempts: 1, maxWaitMs: 0 } });
  const signal = AbortSignal.timeout(limitMs);
  return Promise.all([
    look("versions", async () => {
      const { stdout } = await promisify(execFile)("git", ["--version"], { timeout: limitMs });
      return `Node ${process.version}, ${stdout.trim()}, DATA_DIR ${config.dataDir}`;
    }),
    look("github", async () => {
      if (config.app === undefined)
        throw new Error(
          "no app yet. Run `agent-fix up` and open its page, or set APP_ID, PRIVATE_KEY and WEBHOOK_SECRET.",
        );
      const { apiUrl } = config.github;
      const host = createGitHub({ apiUrl, throttle: false }, config.app);
      const app = await host.app().catch((error: unknown) => {
        if (error instanceof OutageError) throw error;
        throw new Error(
          `${apiUrl} does not answer (${messageOf(error)}). Check GHE_HOST, GHE_PROTOCOL and this machine's network.`,
          { cause: error },
        );
      });
      return `${apiUrl} knows the app ${app.slug} (${app.id})`;
    }),
    look("redis", async () => {
      if (config.redisUrl === undefined) return "REDIS_URL is not set: `agent-fix up` starts its own redis-server";
      const redis = connectRedis(config.redisUrl, "worker");
      try {
        const info = await within(3000, redis.info());
        const policy = /maxmemory_policy:(\S+)/.exec(info)?.[1];
        if (policy !== "noeviction")
          throw new Error(`Redis evicts keys (maxmemory-policy ${policy}): jobs would be lost. Set it to noeviction.`);
        return `Redis ${/redis_version:(\S+)/.exec(info)?.[1]} answers, maxmemory-policy noeviction`;
      } finally {
        redis.disconnect();
      }
    }),
    look("docker", async () => {
      const { version, apiVersion } = await tools.engine.ping(signal);
      return `Docker engine ${version} answers (API ${apiVersion})`;
    }),
    look("image", async () => {
      const { id } = await tools.engine.ensureImage(tools.image, signal);
      return `${tools.image} is there (${id.slice(0, 19)})`;
    }),
    look("model", async () => {
      const { name, contextTokens } = await model.describe(signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
        throw new Error(
          `${config.model.baseUrl} did not answer within ${limitMs / 1000} s. Start the model server, or set MODEL_BASE_URL to its address.`,
          { cause: error },
        );
      });
      const hello = [{ role: "user" as const, text: "Answer with the word ready." }];
      const reply = await model.reply({ messages: hello, tools: [], signal });
      return `${config.model.baseUrl} serves ${name} with ${contextTokens} tokens of context and answered with ${reply.usage.completionTokens} tokens`;
    }),
  ]);
}

async function look(part: string, see: () => Promise<string>): Promise<Finding> {
  try {
    return { part, ok: true, saw: await see() };
  } catch (error) {
    return { part, ok: false, saw: messageOf(error) };
  }
}
