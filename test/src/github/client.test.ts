import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { createGitHub } from "../../../src/github/client.ts";

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

it("lists the repositories of every installation that answers, and revokes each token", async () => {
  await using github = await startGitHub({ 1: 200, 2: 500, 3: 200 });

  expect(await github.host.repositories()).toEqual([
    { id: 10, owner: "o", name: "r1", installationId: 1 },
    { id: 30, owner: "o", name: "r3", installationId: 3 },
  ]);
  expect(github.revoked).toEqual(["t1", "t2", "t3"]);
});

it("is no empty list when no installation answers", async () => {
  await using github = await startGitHub({ 1: 500 });

  await expect(github.host.repositories()).rejects.toThrow("out of order");
  expect(github.revoked).toEqual(["t1"]);
});

/** An app with installations, each with one repository whose list answers with the given status. */
async function startGitHub(installations: Record<number, number>) {
  const revoked: string[] = [];
  const server = createServer((request, response) => {
    const send = (status: number, body?: unknown) =>
      response
        .writeHead(status, { "content-type": "application/json" })
        .end(body === undefined ? "" : JSON.stringify(body));
    const { method = "", url = "" } = request;
    const path = `${method} ${url.replace(/\?.*/, "")}`;
    const token = request.headers.authorization?.split(" ")[1] ?? "";
    const id = Number(token.slice(1));
    const minted = /installations\/(\d+)\/access_tokens$/.exec(path)?.[1];
    if (minted !== undefined) return send(201, { token: `t${minted}`, expires_at: "2030-01-01T00:00:00Z" });
    if (path === "GET /app/installations")
      return send(
        200,
        Object.keys(installations).map((one) => ({ id: Number(one), suspended_at: null })),
      );
    if (path === "DELETE /installation/token") {
      revoked.push(token);
      return send(204);
    }
    const repository = { id: id * 10, name: `r${id}`, owner: { login: "o" }, archived: false };
    if (installations[id] !== 200) return send(500, { message: "out of order" });
    return send(200, { total_count: 1, repositories: [repository] });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    revoked,
    host: createGitHub({ apiUrl, throttle: false }, { id: 1, privateKey, webhookSecret: "s" }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
