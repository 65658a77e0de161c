import { createHmac, generateKeyPairSync } from "node:crypto";
import { createServer, request as startRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Queue } from "bullmq";
import { Hono } from "hono";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { createLog } from "../../src/log.ts";
import { connectRedis, createQueues, redisPrefix } from "../../src/queue.ts";
import { settingsJsonSchema } from "../../src/settings.ts";
import { listen, startWeb } from "../../src/web.ts";
import { patiently, startRedis, startRelay } from "../support/redis.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const intake = new Queue("intake", { connection: redis, prefix: redisPrefix });
const secret = "0123456789abcdef0123456789abcdef";
const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});
const localhost = { host: "127.0.0.1", port: 0 };
const labeled = JSON.stringify({
  action: "labeled",
  installation: { id: 7 },
  repository: { id: 1, name: "r", owner: { login: "o" } },
  sender: { id: 2, login: "ann", type: "User" },
  issue: { number: 5, title: "It breaks", body: null, state: "open" },
  label: { name: "agent-fix" },
});

beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  await intake.close();
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

describe("a delivery", () => {
  it("is answered with 2xx when its job is in Redis, and GitHub is asked nothing", async () => {
    await using web = await startTestWeb();

    const answer = await deliver(web.url, labeled);

    expect(answer.status).toBe(200);
    expect((await intake.getJobs()).map((job) => job.data as unknown)).toMatchObject([
      { kind: "label", delivery: "guid", issue: 5, text: { title: "It breaks", body: "" } },
    ]);
    expect(web.askedOfGitHub).toEqual([]);
  });

  it("that comes twice is stored once", async () => {
    await using web = await startTestWeb();

    const answers = await Promise.all([deliver(web.url, labeled), deliver(web.url, labeled)]);

    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    expect(await intake.getJobs()).toHaveLength(1);
  });

  it("that does not concern us is answered and not stored", async () => {
    await using web = await startTestWeb();

    const answer = await deliver(web.url, JSON.stringify({ zen: "Design for failure." }), { "x-github-event": "ping" });

    expect(answer.status).toBe(200);
    expect(await intake.getJobs()).toEqual([]);
  });

  it.each([
    ["with a wrong signature", { "x-hub-signature-256": sign(labeled, "another secret") }],
    ["with the signature of another payload", { "x-hub-signature-256": sign(`${labeled} `) }],
    ["with a signature that is none", { "x-hub-signature-256": "sha256=" }],
    ["signed with SHA-1 alone", { "x-hub-signature-256": undefined, "x-hub-signature": "sha1=0123" }],
    ["without signature", { "x-hub-signature-256": undefined }],
    ["without event", { "x-github-event": undefined }],
    ["without id", { "x-github-delivery": undefined }],
  ])("%s is refused with 400 and not stored", async (_what, headers) => {
    await using web = await startTestWeb();

    const answer = await deliver(web.url, labeled, headers);

    expect(answer.status).toBe(400);
    expect(await intake.getJobs()).toEqual([]);
  });

  it("that is no JSON is refused with the remedy", async () => {
    await using web = await startTestWeb();

    const answer = await deliver(web.url, `payload=${encodeURIComponent(labeled)}`);

    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("application/json");
  });

  it("with a hostile title is stored as it is", async () => {
    await using web = await startTestWeb();
    const title = '$(touch /tmp/x) `id`\n--upload-pack="x" \u{202E}';
    const payload = JSON.parse(labeled) as { issue: object };

    const answer = await deliver(web.url, JSON.stringify({ ...payload, issue: { ...payload.issue, title } }));

    expect(answer.status).toBe(200);
    expect((await intake.getJobs())[0]?.data).toMatchObject({ text: { title } });
  });

  it("is answered with 503 when Redis is refused, and stored when it comes again", async () => {
    await using relay = await startRelay(server.socket);
    await using web = await startTestWeb(relay.url);
    await relay.refuse();

    const answer = await deliver(web.url, labeled, {}, "refused");
    expect(answer.status).toBe(503);
    await relay.recover();

    await expect.poll(() => ready(web.url), patiently).toBe(200);
    expect((await deliver(web.url, labeled, {}, "refused")).status).toBe(200);
    expect(await intake.getJob("e-refused")).toBeDefined();
  });

  it("is answered with 503 when Redis hangs, before GitHub gives up", async () => {
    await using relay = await startRelay(server.socket);
    await using web = await startTestWeb(relay.url);
    relay.hang();

    const answer = await deliver(web.url, labeled, {}, "hung");

    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain("deliver it again");
  });
});

describe("a payload over GitHub's limit", () => {
  const tooLong = 25 * 1024 * 1024 + 1;

  it("is refused by its length before a byte of it is sent", async () => {
    await using web = await startTestWeb();
    const request = open(web.url, { "content-length": tooLong });
    request.flushHeaders();

    expect(await statusOf(request)).toBe(413);
    request.destroy();
  });

  it("is refused when it comes in pieces of no stated number", async () => {
    await using web = await startTestWeb();
    const request = open(web.url, { "transfer-encoding": "chunked" });
    const piece = Buffer.alloc(1024 * 1024, "x");
    for (let sent = 0; sent < tooLong; sent += piece.length) request.write(piece);
    // The body does not end: the answer comes before it.

    expect(await statusOf(request)).toBe(413);
    request.destroy();
  });

  it("does not keep one of just the limit from being read", async () => {
    await using web = await startTestWeb();
    const filled = labeled + " ".repeat(tooLong - 1 - labeled.length);

    const answer = await deliver(web.url, filled);

    expect(answer.status).toBe(200);
    expect(await intake.getJobs()).toHaveLength(1);
  });
});

describe("health", () => {
  it("is live and ready", async () => {
    await using web = await startTestWeb();

    const [live, ready] = await Promise.all([fetch(`${web.url}/livez`), fetch(`${web.url}/readyz`)]);

    expect([live.status, ready.status]).toEqual([200, 200]);
    expect(await ready.json()).toEqual({ ready: true });
  });

  it.each(["refused", "hung"])("is live but not ready while Redis is %s", async (how) => {
    await using relay = await startRelay(server.socket);
    await using web = await startTestWeb(relay.url);
    await (how === "hung" ? relay.hang() : relay.refuse());

    const [live, ready] = await Promise.all([fetch(`${web.url}/livez`), fetch(`${web.url}/readyz`)]);

    expect([live.status, ready.status]).toEqual([200, 503]);
    expect(await ready.json()).toEqual({ ready: false, problem: expect.stringContaining("Redis") });
  });
});

describe("the schema of the settings", () => {
  it("is served to editors", async () => {
    await using web = await startTestWeb();

    const answer = await fetch(`${web.url}/agent-fix.schema.json`);

    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(await answer.json()).toEqual(settingsJsonSchema());
  });
});

describe("listen", () => {
  it("names PORT when it is taken", async () => {
    await using taken = await listen(localhost, new Hono());
    const port = Number(new URL(taken.url).port);

    const second = listen({ ...localhost, port }, new Hono());

    await expect(second).rejects.toThrow(ConfigError);
    await expect(second).rejects.toThrow(`PORT ${port} on HOST 127.0.0.1 is in use`);
  });

  it("names HOST when this machine has no such address", async () => {
    const nowhere = listen({ host: "192.0.2.1", port: 0 }, new Hono());

    await expect(nowhere).rejects.toThrow(/HOST 192\.0\.2\.1/);
  });

  it("closes at once, also where a request hangs", async () => {
    const begun = Promise.withResolvers<void>();
    const app = new Hono().get("/", async (c) => {
      begun.resolve();
      await new Promise(() => {});
      return c.text("never");
    });
    const web = await listen(localhost, app);
    const hanging = fetch(web.url).then(
      () => "answered",
      () => "broken",
    );
    await begun.promise;

    await web[Symbol.asyncDispose]();

    expect(await hanging).toBe("broken");
    await expect(fetch(web.url)).rejects.toThrow("fetch failed");
  });
});

/** The web role on a free port, with a GitHub that only writes down what it is asked. */
async function startTestWeb(redisUrl = server.url) {
  const askedOfGitHub: string[] = [];
  const github = createServer((request, response) => {
    askedOfGitHub.push(`${request.method} ${request.url}`);
    response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => github.listen(0, "127.0.0.1", resolve));
  const apiUrl = `http://127.0.0.1:${(github.address() as AddressInfo).port}/api/v3`;
  const queues = createQueues(connectRedis(redisUrl, "producer"));
  const credentials = { id: 12, privateKey, webhookSecret: secret };
  const web = await startWeb(localhost, { credentials, apiUrl, queues, log: createLog("silent", (line) => line) });
  await expect.poll(() => ready(web.url), patiently).toBe(200);
  return {
    url: web.url,
    askedOfGitHub,
    async [Symbol.asyncDispose]() {
      await web[Symbol.asyncDispose]();
      await queues.close();
      github.closeAllConnections();
      await new Promise((resolve) => github.close(resolve));
    },
  };
}

async function ready(url: string): Promise<number> {
  const answer = await fetch(`${url}/readyz`);
  await answer.body?.cancel();
  return answer.status;
}

type Headers = Record<string, string | undefined>;

function headersOf(payload: string, id: string): Headers {
  return {
    "content-type": "application/json",
    "x-github-delivery": id,
    "x-github-event": "issues",
    "x-hub-signature-256": sign(payload),
  };
}

function deliver(url: string, payload: string, change: Headers = {}, id = "guid"): Promise<Response> {
  const headers = Object.entries({ ...headersOf(payload, id), ...change });
  const given = headers.filter((header): header is [string, string] => header[1] !== undefined);
  return fetch(`${url}/api/github/webhooks`, { method: "POST", body: payload, headers: given });
}

function sign(payload: string, key = secret): string {
  return `sha256=${createHmac("sha256", key).update(payload).digest("hex")}`;
}

/** A delivery whose body is sent by hand. */
function open(url: string, length: Record<string, string | number>): ClientRequest {
  const headers = { ...headersOf("", "guid"), ...length };
  return startRequest(`${url}/api/github/webhooks`, { method: "POST", headers });
}

async function statusOf(request: ClientRequest): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once("response", resolve).once("error", reject);
  const response = await promise;
  response.resume();
  request.on("error", () => {});
  return response.statusCode;
}
