import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { EngineAway } from "../../sandbox/docker.ts";
import type { RunningWorker } from "../../worker/process.ts";
import type { WorkerDeps } from "../../worker/run.ts";
import { readConfig } from "../config.ts";
import { startGitHub } from "../demo/github/server.ts";
import type { EmbeddedGitHub } from "../demo/github/server.ts";
import { startModel } from "../demo/model/model.ts";
import type { ScriptedModel } from "../demo/model/model.ts";
import type { Script } from "../demo/model/script.ts";
import { readScripts } from "../demo/model/script.ts";
import { openRunLog } from "../runlog.ts";
import { composeLog, composeTools, productionPace, startWebRole, startWorkerRole } from "./compose.ts";
import type { Pace, Parts, WebRole } from "./compose.ts";
import { startEmbeddedRedis } from "./embedded-redis.ts";

export interface LaptopOptions {
  dataDir: string;
  /** Settings that win over the environment, in the environment's names. */
  settings?: Record<string, string>;
  /** False: no worker yet; `startWorker` adds one. */
  worker?: boolean;
  openLog?: WorkerDeps["openLog"];
  pace?: Partial<Pace>;
  /** The time by which schedules go; default: the real one. */
  now?: () => Date;
  github?: Partial<Parameters<typeof startGitHub>[0]>;
  /** What the scripted model says beside the demo's conversations. */
  scripts?: readonly Script[];
}

/** The whole system on one machine, against the embedded GitHub and the scripted model (or MODEL_BASE_URL's). */
export interface Laptop extends AsyncDisposable {
  github: EmbeddedGitHub;
  model: ScriptedModel | undefined;
  web: WebRole;
  parts: Parts;
  startWorker(): Promise<RunningWorker>;
}

/** Waits are short: nobody else is on the other side. */
const demoPace: Pace = {
  ...productionPace,
  lockMs: 3000,
  stalledMs: 1500,
  pollMs: 200,
  reportEveryMs: 500,
  debounceMs: 1000,
  prefetchRestMs: 100,
  throttle: false,
};

export async function startLaptop(options: LaptopOptions): Promise<Laptop> {
  const stack = new AsyncDisposableStack();
  try {
    const webhookSecret = randomBytes(32).toString("hex");
    const app = { id: 4242, slug: "agent-fix", webhookSecret };
    const github = stack.use(await startGitHub({ ...options.github, dataDir: join(options.dataDir, "github"), app }));
    const wanted = readConfig(unsetApp);
    const model =
      wanted.model.given && options.settings?.["MODEL_BASE_URL"] === undefined
        ? undefined
        : stack.use(await startModel({ scripts: [...(options.scripts ?? []), ...readScripts()] }));
    const redis = stack.use(await startEmbeddedRedis(options.dataDir));
    const config = readConfig({
      ...unsetApp,
      APP_ID: String(github.app.id),
      PRIVATE_KEY: github.app.privateKey,
      WEBHOOK_SECRET: webhookSecret,
      GHE_HOST: new URL(github.url).host,
      GHE_PROTOCOL: "http",
      HOST: "127.0.0.1",
      PORT: "0",
      DATA_DIR: options.dataDir,
      ...(model === undefined ? {} : { MODEL_BASE_URL: model.url, MODEL_NAME: "", MODEL_CONTEXT: "" }),
      ...options.settings,
    });
    const credentials = { id: github.app.id, privateKey: github.app.privateKey, webhookSecret };
    const parts = {
      config,
      credentials,
      redisUrl: redis.url,
      log: composeLog(config),
      pace: { ...demoPace, ...options.pace },
      ...(options.now !== undefined && { now: options.now }),
    };
    // What is kept belongs to this installation, which ends with its folder.
    stack.defer(async () => (await composeTools(config)).kept.clear().catch(unlessAway));
    const web = stack.use(await startWebRole(parts));
    github.setWebhookUrl(`${web.url}/api/github/webhooks`);
    const openLog = options.openLog ?? ((runId: string) => openRunLog(options.dataDir, runId));
    const startWorker = async () => stack.use(await startWorkerRole(parts, openLog));
    if (options.worker !== false) await startWorker();
    return { github, model, web, parts, startWorker, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function unlessAway(error: unknown): void {
  if (!(error instanceof EngineAway)) throw error;
}

const unsetApp = {
  APP_ID: "",
  PRIVATE_KEY: "",
  PRIVATE_KEY_PATH: "",
  WEBHOOK_SECRET: "",
  REDIS_URL: "",
  WEBHOOK_PROXY_URL: "",
  LOG_LEVEL: "warn",
};
