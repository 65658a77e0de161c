import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Octokit } from "@octokit/rest";
import { expect, it } from "vitest";
import { redeliverFailed } from "../../../src/github/deliveries.ts";

const since = new Date("2026-11-23T00:00:00Z");
const early = "2026-11-22T23:00:00Z";
const late = "2026-11-23T01:00:00Z";

it("asks again for what failed at last, and for nothing that is older or arrived in the end", async () => {
  await using app = await startApp([
    { id: 5, guid: "arrived later", delivered_at: late, status_code: 200 },
    { id: 4, guid: "failed", delivered_at: late, status_code: 502 },
    { id: 3, guid: "arrived later", delivered_at: late, status_code: 502 },
    { id: 2, guid: "old", delivered_at: early, status_code: 502 },
  ]);

  expect(await redeliverFailed(app.octokit, since)).toBe(1);
  expect(app.asked).toEqual([4]);
});

it("asks five times for a delivery that keeps failing, and no more", async () => {
  const rows = (count: number, guid: string) =>
    Array.from({ length: count }, (_, i) => ({ id: 10 * count - i, guid, delivered_at: late, status_code: 500 }));
  await using app = await startApp([...rows(5, "asked four times"), ...rows(6, "asked five times")]);

  expect(await redeliverFailed(app.octokit, since)).toBe(1);
  expect(app.asked).toEqual([50]);
});

it("goes on when one delivery can't be asked for", async () => {
  await using app = await startApp([
    { id: 404, guid: "gone", delivered_at: late, status_code: 502 },
    { id: 1, guid: "there", delivered_at: late, status_code: 502 },
  ]);

  expect(await redeliverFailed(app.octokit, since)).toBe(1);
  expect(app.asked).toEqual([1]);
});

interface Row {
  id: number;
  guid: string;
  delivered_at: string;
  status_code: number;
}

/** An app's deliveries on one page over HTTP; number 404 is not there. */
async function startApp(rows: Row[]) {
  const asked: number[] = [];
  const server = createServer((request, response) => {
    const id = Number(/deliveries\/(\d+)\/attempts/.exec(request.url ?? "")?.[1]);
    if (request.method === "POST" && id !== 404) asked.push(id);
    response.writeHead(request.method === "GET" ? 200 : id === 404 ? 404 : 202, { "content-type": "application/json" });
    response.end(request.method === "GET" ? JSON.stringify(rows) : "{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    octokit: new Octokit({ baseUrl: `http://127.0.0.1:${port}`, log }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
