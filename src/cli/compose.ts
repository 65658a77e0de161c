import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { createEngine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import { seccompHash } from "../../sandbox/seccomp.ts";
import { proveRuntime } from "../../sandbox/self-test.ts";
import { createModelClient } from "../../worker/agent/openai.ts";
import { withState } from "../../worker/agent/state.ts";
import { createMirrors } from "../../worker/checkout.ts";
import { startPrefetch } from "../../worker/prefetch.ts";
import { startWorker } from "../../worker/process.ts";
import type { RunningWorker } from "../../worker/process.ts";
import type { Tools, WorkerDeps } from "../../worker/run.ts";
import { begin } from "../begin.ts";
import type { AppCredentials, Config } from "../config.ts";
import { ConfigError, OutageError, messageOf } from "../errors.ts";
import type { CodeHost } from "../forge.ts";
import { createGitHub } from "../github/client.ts";
import { createInbox } from "../inbox.ts";
import { startIntake } from "../intake-worker.ts";
import { createLog } from "../log.ts";
import type { Log } from "../log.ts";
import { refreshFor } from "../maintenance/refresh.ts";
import { keepModelState } from "../model-state.ts";
import type { ModelState } from "../model-state.ts";
import { connectRedis, createQueues } from "../queue.ts";
import type { Queues } from "../queue.ts";
import { createRedact } from "../redact.ts";
import type { Redact } from "../redact.ts";
import { isHeld, openRunLog } from "../runlog.ts";
import { sweep } from "../sweep.ts";
import { tellPlaces } from "../waiting.ts";
import { createWebApp, listen } from "../web.ts";
import type { WebServer } from "../web.ts";

/** The image that `setup.sh` builds; also what our own helper containers run on. */
const ownImage = "agent-fix-sandbox:latest";

const sweepAgainMs = 100;

/** Timings that only the demo and the tests change. */
export interface Pace {
  lockMs: number;
  stalledMs: number;
  tidyEveryMs: number;
  pollMs: number;
  reportEveryMs: number;
  /** How long a review comment that stands alone waits for the next one. */
  debounceMs: number;
  /** How long a repository rests between two fetches ahead of runs. */
  prefetchRestMs: number;
  throttle: boolean;
}
export const productionPace: Pace = {
  lockMs: 10_000,
  stalledMs: 5000,
  tidyEveryMs: 300_000,
  pollMs: 1000,
  reportEveryMs: 20_000,
  debounceMs: 90_000,
  prefetchRestMs: 30_000,
  throttle: true,
};

export interface Parts {
  config: Config;
  credentials: AppCredentials;
  redisUrl: string;
  log: Log;
  pace: Pace;
  /** The time by which schedules go; default: the real one. */
  now?: () => Date;
}

/** The log of a process, on stderr, without a secret of the configuration. */
export function composeLog(config: Config): Log {
  return createLog(config.logLevel, redactOf(config));
}

function redactOf({ secrets }: Config): Redact {
  return createRedact(secrets.filter((secret) => secret !== "EMPTY"));
}

/** What a run works with, also without a code host. */
export async function composeTools(config: Config, log?: Log): Promise<Tools> {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const image = config.sandbox.image ?? ownImage;
  const { runtime, dockerHost, caBundle } = config.sandbox;
  const engine = createEngine({
    instance: await instanceId(config.dataDir),
    image: ownImage,
    hostDir: config.dataDir,
    ...(runtime === undefined ? {} : { runtime }),
    ...(dockerHost === undefined ? {} : { host: dockerHost }),
  });
  return {
    engine,
    kept: createKeptTrees(engine, join(config.dataDir, "kept")),
    model: createModelClient({ ...config.model, log }),
    mirrors: createMirrors(config.dataDir),
    dataDir: config.dataDir,
    image,
    redact: redactOf(config),
    egress: {
      trustedHosts: [...config.sandbox.trustedHosts, ...(await operatorRegistries())],
      ...(caBundle === undefined ? {} : { caBundle }),
      ...(config.proxy.https === undefined ? {} : { upstreamProxy: config.proxy.https }),
      ...(config.proxy.no === undefined ? {} : { noProxy: config.proxy.no }),
    },
    gitEnv: {
      ...(caBundle === undefined ? {} : { GIT_SSL_CAINFO: caBundle }),
      ...(config.proxy.https === undefined ? {} : { https_proxy: config.proxy.https }),
      ...(config.proxy.no === undefined ? {} : { no_proxy: config.proxy.no }),
    },
  };
}

/** Throws unless containers really run with SANDBOX_RUNTIME, where that is set; returns what was seen. */
export async function requireRuntime({ engine }: Tools, { sandbox: { runtime } }: Config): Promise<string> {
  if (runtime === undefined) return "the engine's default";
  const proof = await proveRuntime(engine, runtime);
  if (!proof.ok) throw new ConfigError(proof.reason);
  return proof.saw;
}

export interface WebRole extends WebServer {
  /** One sweep, beside those on the schedule; as of a time, if given. */
  sweep(at?: Date): Promise<void>;
}

/** The web role: webhooks, intake queue, sweep. */
export async function startWebRole(parts: Parts): Promise<WebRole> {
  const stack = new AsyncDisposableStack();
  const { config, credentials, redisUrl, log } = parts;
  const { queues, host, inbox } = composeShared(parts);
  const { now = () => new Date() } = parts;
  const deps = { host, queues, inbox, log, now };
  stack.defer(() => queues.close());
  try {
    await requireRedis(queues, redisUrl);
    const app = await createWebApp({ credentials, apiUrl: config.github.apiUrl, queues, log });
    const server = stack.use(await listen(config.http, app));
    stack.use(await startIntake(redisUrl, deps));
    log.info({ url: server.url }, "web is up");
    return {
      url: server.url,
      async sweep(at) {
        const asOf = at === undefined ? deps : { ...deps, now: () => at };
        while (!(await sweep(asOf))) await setTimeout(sweepAgainMs);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** The worker role: takes runs until disposed. */
export async function startWorkerRole(parts: Parts, openLog?: WorkerDeps["openLog"]): Promise<RunningWorker> {
  const { config, redisUrl, log, pace } = parts;
  const stack = new AsyncDisposableStack();
  const { queues, host, inbox } = composeShared(parts);
  stack.defer(() => queues.close());
  try {
    await requireRedis(queues, redisUrl);
    const tools = await composeTools(config, log);
    await tools.engine.facts();
    const runtime = await requireRuntime(tools, config);
    const onModel = (state: ModelState) => void begin(keepModelState(queues.redis, state));
    const deps: WorkerDeps = {
      ...tools,
      model: withState(tools.model, onModel),
      host,
      inbox,
      log,
      redis: queues.redis,
      openLog: openLog ?? ((runId) => openRunLog(config.dataDir, runId)),
      tellPlaces: () => tellPlaces({ host, queues }),
      lookAfter: (run, ended) => refreshFor(queues, run, ended),
      hear: (job) => queues.addIntake(job, job.delivery),
      isLive: async (runId) => isHeld(config.dataDir, runId) || (await queues.isLive(runId)),
      pollMs: pace.pollMs,
      reportEveryMs: pace.reportEveryMs,
    };
    const { lockMs, stalledMs, tidyEveryMs } = pace;
    const worker = stack.use(
      await startWorker({ redisUrl, concurrency: config.concurrency, lockMs, stalledMs, tidyEveryMs }, deps),
    );
    stack.use(await startPrefetch({ redisUrl, restMs: pace.prefetchRestMs }, deps));
    log.info({ concurrency: config.concurrency, runtime, seccomp: seccompHash }, "worker is up");
    return { active: worker.active, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function composeShared({ config, credentials, redisUrl, pace }: Omit<Parts, "log">): {
  queues: Queues;
  host: CodeHost;
  inbox: ReturnType<typeof createInbox>;
} {
  const queues = createQueues(connectRedis(redisUrl, "producer"), pace);
  const host = createGitHub(
    { apiUrl: config.github.apiUrl, throttle: pace.throttle, redact: redactOf(config) },
    credentials,
  );
  return { queues, host, inbox: createInbox(queues.redis) };
}

async function requireRedis(queues: Queues, url: string): Promise<void> {
  try {
    await queues.ping();
  } catch (cause) {
    const where = URL.canParse(url) && new URL(url).host !== "" ? new URL(url).host : url;
    throw new OutageError(
      `Redis at ${where} does not answer (${messageOf(cause)}). Start it, or set REDIS_URL to its address.`,
      { cause },
    );
  }
}

/** Tells this installation's containers from those of another on the same engine; kept in DATA_DIR. */
async function instanceId(dataDir: string): Promise<string> {
  const file = join(dataDir, "instance");
  if (existsSync(file)) return (await readFile(file, "utf8")).trim();
  const id = randomUUID();
  await writeFile(file, `${id}\n`, { mode: 0o600, flag: "wx" }).catch(() => {});
  return (await readFile(file, "utf8")).trim();
}

/** Hosts that the operator's own package managers are configured with: those may be private addresses. */
async function operatorRegistries(): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)("npm", ["config", "get", "registry"], { cwd: "/", timeout: 10_000 });
    return URL.canParse(stdout.trim()) ? [new URL(stdout.trim()).hostname] : [];
  } catch {
    return [];
  }
}
