import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { expect, it } from "vitest";
import { forwardWebhooks } from "../../../src/cli/webhook-proxy.ts";
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

it("drops what is no delivery, and hands on the next one as it was sent", async () => {
  const streams: ServerResponse[] = [];
  await using proxy = await serve((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    streams.push(response);
  });
  const taken: unknown[] = [];
  await using target = await serve((request, response) => {
    const { host, "x-github-event": event, "x-hub-signature-256": signature } = request.headers;
    void text(request).then((body) => {
      taken.push({ host, event, signature, body });
      return response.end();
    });
  });

  await using _forwarding = await forwardWebhooks(proxy.url, target.url, log);
  for (const odd of ["no JSON", "{}", "null", '{"x-github-event": "issues"}']) streams[0]?.write(`data: ${odd}\n\n`);
  const sent = { "x-github-event": "issues", "x-hub-signature-256": "sha256=1", host: "smee.io", query: { a: "b" } };
  streams[0]?.write(`data: ${JSON.stringify({ ...sent, body: { action: "labeled" } })}\n\n`);

  await expect.poll(() => taken, patiently).toHaveLength(1);
  const host = new URL(target.url).host;
  expect(taken).toEqual([{ host, event: "issues", signature: "sha256=1", body: '{"action":"labeled"}' }]);
});

it("opens the connection again that the proxy closed and then refused", async () => {
  const streams: ServerResponse[] = [];
  let asked = 0;
  await using proxy = await serve((_request, response) => {
    asked++;
    if (asked === 2 || asked === 3) return void response.writeHead(503).end();
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    // How long the client waits before it comes back by itself.
    response.write("retry: 1\n\n");
    streams.push(response);
  });
  const events: unknown[] = [];
  await using target = await serve((request, response) => {
    events.push(request.headers["x-github-event"]);
    response.end();
  });

  await using _forwarding = await forwardWebhooks(proxy.url, target.url, log, { pauseMs: 1 });
  streams[0]?.end();
  await expect.poll(() => streams, patiently).toHaveLength(2);
  streams[1]?.write(`data: ${JSON.stringify({ "x-github-event": "issues", body: {} })}\n\n`);

  await expect.poll(() => events, patiently).toEqual(["issues"]);
  expect(asked).toBe(4);
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

  await expect(forwardWebhooks(proxy.url, "http://127.0.0.1:1", log, { limitMs: 50 })).rejects.toThrow(ConfigError);
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
