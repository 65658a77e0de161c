import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { startRedis } from "../../support/redis.ts";
import type { TestRedis } from "../../support/redis.ts";
import { connectTo, runCommand, startFailingModel, startSite } from "../support/command.ts";
import type { Site } from "../support/command.ts";

describe.concurrent("doctor", () => {
  let site: Site;
  let redis: TestRedis;
  beforeAll(async () => {
    site = await startSite();
    redis = await startRedis();
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  interface Finding {
    part: string;
    ok: boolean;
    level: "ok" | "warn" | "bad";
    saw: string;
  }
  const services = ["versions", "github", "redis", "docker", "image", "model"];
  const versions = ["engine", "runc", "containerd", "kernel", "git", "redis-server"];
  const abilities = ["storage", "quota", "seccomp", "cgroup", "users", "live-restore", "trees", "folders", "runtime"];
  const binds = ["web-bind", "redis-bind", "engine-bind"];
  const parts = [...services, ...versions, "image-age", ...abilities, ...binds];

  async function examine(env: Record<string, string>) {
    const ended = await runCommand(["doctor", "--json"], { env: { ...site.env, REDIS_URL: redis.url, ...env } });
    const lines = ended.stdout.trim().split("\n");
    return { code: ended.code, stderr: ended.stderr, findings: lines.map((line) => JSON.parse(line) as Finding) };
  }

  it("says one line for each part and exits with 0 where all is well", async ({ expect }) => {
    const ended = await runCommand(["doctor"], { env: { ...site.env, REDIS_URL: redis.url } });

    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const lines = ended.stdout.trim().split("\n");
    expect(lines.slice(0, services.length)).toEqual([
      expect.stringMatching(/^ok {3}versions {5}Node v24\S+, git version 2\S+, DATA_DIR \S+$/),
      expect.stringMatching(/^ok {3}github {7}http:\S+ knows the app agent-fix \(4242\)$/),
      expect.stringMatching(/^ok {3}redis {8}Redis \d\S+ answers, maxmemory-policy noeviction$/),
      expect.stringMatching(/^ok {3}docker {7}Docker engine \S+ answers/),
      expect.stringMatching(/^ok {3}image {8}agent-fix-sandbox:latest is there \(sha256:/),
      expect.stringMatching(/^ok {3}model {8}http:\S+ serves Qwen\S+ with 262144 tokens of context and answered/),
    ]);
    expect(lines.map((line) => /^(?:ok {2}|warn) (\S+) +\S/.exec(line)?.[1])).toEqual(parts);
    const line = (part: string) => lines.find((one) => one.slice(5).startsWith(`${part} `));
    expect(line("engine")).toMatch(/Docker \d+\.\d+/);
    expect(line("runc")).toMatch(/runc \d+\.\d+/);
    expect(line("git")).toMatch(/git 2\.\d+/);
    expect(line("redis-server")).toMatch(/Redis \d\S+/);
    expect(line("image-age")).toMatch(/agent-fix-sandbox:latest was built \d+ days? ago/);
    expect(line("trees")).toMatch(/^ok {3}trees +(overlay|copy): /);
    expect(line("folders")).toMatch(/^ok {3}folders +shared: /);
    expect(line("redis-bind")).toMatch(/^ok {3}redis-bind +a unix socket$/);
  });

  it("says that up brings a Redis where REDIS_URL is not set", async ({ expect }) => {
    const { code, findings } = await examine({ REDIS_URL: "" });

    expect(code).toBe(0);
    expect(findings.find(({ part }) => part === "redis")?.saw).toContain("`agent-fix up` starts its own");
  });

  const { privateKey: otherKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });

  it.for<[what: string, env: Record<string, string>, bad: string[], says: RegExp]>([
    ["no app", { APP_ID: "", PRIVATE_KEY: "", WEBHOOK_SECRET: "" }, ["github"], /agent-fix up.*APP_ID/],
    ["another app's key", { PRIVATE_KEY: otherKey }, ["github"], /refused.*APP_ID and PRIVATE_KEY/],
    ["an unknown app", { APP_ID: "77" }, ["github"], /refused.*APP_ID and PRIVATE_KEY/],
    ["GitHub away", { GHE_HOST: "127.0.0.1:2" }, ["github"], /127\.0\.0\.1:2.*GHE_HOST/],
    ["Redis away", { REDIS_URL: "redis://127.0.0.1:2" }, ["redis"], /REDIS_URL/],
    ["Docker away", { DOCKER_HOST: "unix:///nonexistent.sock" }, ["docker", "image"], /nonexistent\.sock/],
    ["no image", { SANDBOX_IMAGE: "nope:none" }, ["image"], /nope:none.*(SANDBOX_IMAGE|pull|build|setup)/],
    [
      "the model away",
      { MODEL_BASE_URL: "http://127.0.0.1:2/v1" },
      ["model"],
      /MODEL_BASE_URL http:\/\/127\.0\.0\.1:2\/v1 is not reachable/,
    ],
    ["a wrong MODEL_NAME", { MODEL_NAME: "gpt-0" }, ["model"], /gpt-0.*Qwen/],
  ])("names what is broken with %s, and looks at the rest", async ([, env, bad, says], { expect }) => {
    const { code, stderr, findings } = await examine(env);

    expect(findings.map(({ part }) => part)).toEqual(parts);
    expect(findings.filter(({ ok }) => !ok).map(({ part }) => part)).toEqual(bad);
    for (const { saw } of findings.filter(({ ok }) => !ok)) expect(saw).toMatch(says);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  });

  it("names a Redis that evicts keys", async ({ expect }) => {
    await using evicting = await startRedis();
    const server = await connectTo(evicting.socket);
    await server?.config("SET", "maxmemory-policy", "allkeys-lru");
    server?.disconnect();

    const { code, findings } = await examine({ REDIS_URL: evicting.url });

    expect(code).toBe(1);
    expect(findings.find(({ ok }) => !ok)).toMatchObject({
      part: "redis",
      saw: expect.stringMatching(/allkeys-lru.*noeviction/),
    });
  });

  it("warns of a server that listens on every address, and still exits with 0", async ({ expect }) => {
    const { code, findings } = await examine({ HOST: "0.0.0.0" });

    expect(code).toBe(0);
    expect(findings.find(({ part }) => part === "web-bind")).toMatchObject({
      ok: true,
      level: "warn",
      saw: expect.stringMatching(/^HOST is 0\.0\.0\.0.*Leave it unset/),
    });
  });

  it.for([400, 500])("names a model that answers %i", async (status, { expect }) => {
    await using failing = await startFailingModel(status, "the GPU fell off");

    const { code, findings } = await examine({ MODEL_BASE_URL: failing.url });

    expect(code).toBe(1);
    const bad = findings.filter(({ ok }) => !ok);
    expect(bad).toMatchObject([{ part: "model", saw: expect.stringContaining("the GPU fell off") }]);
    expect(bad[0]?.saw).toContain(String(status));
  });
});
