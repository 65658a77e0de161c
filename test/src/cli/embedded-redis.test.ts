import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startEmbeddedRedis } from "../../../src/cli/embedded-redis.ts";
import { connectRedis } from "../../../src/queue.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "agent-fix-embedded-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("keeps what it holds over a stop, and evicts nothing", async () => {
  {
    await using server = await startEmbeddedRedis(dir);
    const redis = connectRedis(server.url, "producer");
    await redis.set("key", "value");
    redis.disconnect();
  }

  await using again = await startEmbeddedRedis(dir);

  const redis = connectRedis(again.url, "producer");
  expect(await redis.get("key")).toBe("value");
  expect(await redis.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  redis.disconnect();
});

it("tells when the server is gone", async () => {
  await using server = await startEmbeddedRedis(dir);
  const redis = connectRedis(server.url, "producer");
  const { pid } = /process_id:(?<pid>\d+)/.exec(await redis.info("server"))?.groups ?? {};
  redis.disconnect();

  process.kill(Number(pid), "SIGKILL");

  expect((await server.lost).message).toMatch(`redis-server ${pid} is gone`);
});

it("works in a folder whose path is longer than a unix socket's may be", async () => {
  const deep = join(dir, "d".repeat(100));
  mkdirSync(deep);

  await using server = await startEmbeddedRedis(deep);

  const redis = connectRedis(server.url, "producer");
  expect(await redis.ping()).toBe("PONG");
  redis.disconnect();
});
