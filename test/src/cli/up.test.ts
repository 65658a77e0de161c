import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { expect, it } from "vitest";
import { forwardWebhooks } from "../../../src/cli/up.ts";
import { ConfigError } from "../../../src/errors.ts";
import { patiently } from "../../support/redis.ts";

const log = pino({ level: "silent" });

it("hands on what arrives at the proxy, and closes its connection at the end", async () => {
  const streams: ServerResponse[] = [];
  await using proxy = await serve((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    streams.push(response);
  });
  const events: unknown[] = [];
  await using target = await serve((request, response) => {
    events.push(request.headers["x-github-event"]);
    response.end();
  });

  const forwarding = await forwardWebhooks(proxy.url, target.url, log);
  const closed = Promise.all(streams.map((stream) => once(stream, "close")));
  streams[0]?.write(`data: ${JSON.stringify({ "x-github-event": "issues", body: {} })}\n\n`);
  await expect.poll(() => events, patiently).toEqual(["issues"]);
  await forwarding[Symbol.asyncDispose]();

  await expect(closed).resolves.toHaveLength(1);
});

it("names the setting when the proxy refuses, and asks no more", async () => {
  let asked = 0;
  await using proxy = await serve((_request, response) => {
    asked++;
    response.writeHead(404).end();
  });

  const forwarding = forwardWebhooks(proxy.url, "http://127.0.0.1:1", log);

  await expect(forwarding).rejects.toThrow(/WEBHOOK_PROXY_URL: .*404/);
  expect(asked).toBe(1);
});

it("does not wait for ever for a proxy that does not answer", async () => {
  await using proxy = await serve(() => {});

  await expect(forwardWebhooks(proxy.url, "http://127.0.0.1:1", log, 50)).rejects.toThrow(ConfigError);
});

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
