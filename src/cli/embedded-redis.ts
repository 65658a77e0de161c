import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { lock } from "proper-lockfile";
import { ConfigError, OutageError } from "../errors.ts";

export interface EmbeddedRedis extends AsyncDisposable {
  url: string;
  /** Settles within seconds when the server ends without having been asked to, with what to tell of it. */
  lost: Promise<OutageError>;
}

const startLimitMs = 15_000;
const followMs = 2000;
/** The kernel's limit for the path of a unix socket. */
const longestSocket = 100;

/**
 * A redis-server of our own in DATA_DIR, on a unix socket, with an append-only file. One that outlived a crash is adopted.
 * A second owner of the same DATA_DIR is refused.
 */
export async function startEmbeddedRedis(dataDir: string): Promise<EmbeddedRedis> {
  const dir = join(dataDir, "redis");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const release = await own(dir);
  const url = `unix://${socketPath(dir)}`;
  const lost = Promise.withResolvers<OutageError>();
  let following: NodeJS.Timeout;
  try {
    if (!(await answers(url))) await start(dir, url);
    const pid = await pidOf(url);
    following = setInterval(() => {
      if (!isAlive(pid))
        lost.resolve(new OutageError(`redis-server ${pid} is gone. Its log is ${join(dir, "redis.log")}.`));
    }, followMs);
  } catch (error) {
    await release();
    throw error;
  }
  return {
    url,
    lost: lost.promise,
    async [Symbol.asyncDispose]() {
      clearInterval(following);
      const redis = client(url);
      // The server closes the connection in place of an answer.
      await redis.shutdown("SAVE").catch(() => {});
      redis.disconnect();
      await release();
    },
  };
}

async function own(dir: string): Promise<() => Promise<void>> {
  try {
    return await lock(dir, {
      stale: 10_000,
      update: 2000,
      retries: { retries: 12, minTimeout: 1000, maxTimeout: 1000 },
    });
  } catch (cause) {
    throw new ConfigError(`Another agent-fix works in ${dir}. Stop it, or set DATA_DIR to a folder of its own.`, {
      cause,
    });
  }
}

async function start(dir: string, url: string): Promise<void> {
  const options = ["--port", "0", "--unixsocket", url.slice("unix://".length), "--unixsocketperm", "700", "--dir", dir];
  const keep = [
    // A delivery is answered once its job is stored, so it must be on disk by then.
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
    "--logfile",
    join(dir, "redis.log"),
  ];
  const child = spawn("redis-server", [...options, ...keep], { stdio: "ignore", detached: true });
  const failed = new Promise<never>((_resolve, reject) => {
    child.on("error", () =>
      reject(
        new ConfigError(
          "redis-server was not found. Install it (apt-get install redis-server), or set REDIS_URL to a server of yours.",
        ),
      ),
    );
    child.on("exit", (code) =>
      reject(new OutageError(`redis-server ended with ${code}. Its log is ${join(dir, "redis.log")}.`)),
    );
  });
  failed.catch(() => {});
  child.unref();
  const deadline = Date.now() + startLimitMs;
  while (!(await Promise.race([answers(url), failed]))) {
    if (Date.now() > deadline)
      throw new OutageError(
        `redis-server did not answer within ${startLimitMs} ms. Its log is ${join(dir, "redis.log")}.`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Of a server that may be another process's child. */
async function pidOf(url: string): Promise<number> {
  const redis = client(url);
  try {
    const { pid = "" } = /^process_id:(?<pid>\d+)/m.exec(await redis.info("server"))?.groups ?? {};
    return Number(pid);
  } finally {
    redis.disconnect();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // One of another user is alive.
    return Object(error).code !== "ESRCH";
  }
}

async function answers(url: string): Promise<boolean> {
  const redis = client(url);
  try {
    return (await redis.ping()) === "PONG";
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

function client(url: string): Redis {
  const redis = new Redis(url.slice("unix://".length), {
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 1000,
    commandTimeout: 5000,
  });
  redis.on("error", () => {});
  return redis;
}

function socketPath(dir: string): string {
  const path = join(dir, "redis.sock");
  if (path.length <= longestSocket) return path;
  return join(tmpdir(), `agent-fix-${createHash("sha256").update(dir).digest("hex").slice(0, 16)}.sock`);
}
