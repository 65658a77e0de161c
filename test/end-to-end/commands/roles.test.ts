import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startRedis } from "../../support/redis.ts";
import type { TestRedis } from "../../support/redis.ts";
import { expectPullRequest, refusal, runCommand, startCommand, startSite, urlOf } from "../support/command.ts";
import type { Site } from "../support/command.ts";

describe("web and worker", () => {
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

  it("make one pull request of a labelled issue as two processes, and stop at SIGTERM", async () => {
    const env = { ...site.env, REDIS_URL: redis.url };
    await using web = startCommand(["web"], { env });
    await using worker = startCommand(["worker"], { env });
    site.github.setWebhookUrl(`${await urlOf(web, /web is up/)}/api/github/webhooks`);
    await worker.line(/worker is up/);

    await expectPullRequest(site, "two-processes");

    web.signal("SIGTERM");
    worker.signal("SIGTERM");
    expect([await web.ended, await worker.ended]).toMatchObject([{ code: 0 }, { code: 0 }]);
  });

  it("end at SIGTERM also when their Redis is gone", async () => {
    await using own = await startRedis();
    const env = { ...site.env, REDIS_URL: own.url };
    await using web = startCommand(["web"], { env });
    await using worker = startCommand(["worker"], { env });
    await web.line(/web is up/);
    await worker.line(/worker is up/);
    await own[Symbol.asyncDispose]();

    web.signal("SIGTERM");
    worker.signal("SIGTERM");

    expect([await web.ended, await worker.ended]).toMatchObject([{ code: 0 }, { code: 0 }]);
  });

  describe.concurrent.each(["web", "worker"])("%s", (role) => {
    it.for<[what: string, env: Record<string, string>, says: string[]]>([
      ["without Redis", { REDIS_URL: "" }, ["REDIS_URL is not set", "agent-fix up"]],
      ["without WEBHOOK_SECRET", { WEBHOOK_SECRET: "" }, ["WEBHOOK_SECRET is not set", "openssl rand -hex 32"]],
      ["with a weak WEBHOOK_SECRET", { WEBHOOK_SECRET: "development" }, ["WEBHOOK_SECRET is too weak", "openssl"]],
      ["with one letter as WEBHOOK_SECRET", { WEBHOOK_SECRET: "a".repeat(40) }, ["WEBHOOK_SECRET is too weak"]],
      ["without APP_ID", { APP_ID: "" }, ["APP_ID is not set"]],
      ["without any credential", { APP_ID: "", PRIVATE_KEY: "", WEBHOOK_SECRET: "" }, ["APP_ID", "agent-fix up"]],
    ])("does not start %s", async ([, wrong, says], { expect }) => {
      const ended = await runCommand([role], { env: { ...site.env, REDIS_URL: redis.url, ...wrong } });

      expect(ended).toMatchObject(refusal(...says));
      expect(ended.stderr).not.toContain("a".repeat(40));
    });

    it("exits with 1 and the reason where Redis refuses", async ({ expect }) => {
      const ended = await runCommand([role], { env: { ...site.env, REDIS_URL: "redis://127.0.0.1:2" } });

      expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/Redis .*REDIS_URL/) });
    });
  });

  it("exit with 1 where the engine is away", async () => {
    const env = { ...site.env, REDIS_URL: redis.url, DOCKER_HOST: "unix:///nonexistent.sock" };

    const ended = await runCommand(["worker"], { env });

    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining("/nonexistent.sock") });
  });
});
