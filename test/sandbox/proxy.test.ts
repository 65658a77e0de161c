import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { openEgress } from "../../sandbox/network.ts";

/** Asks the proxy for a page of a server that answers so, and gives back what came until the answer was whole. */
async function askFor(answer: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(Buffer.from(answer, "latin1")));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const egress = openEgress({ hosts: [`localhost:${port}`], trustedHosts: ["localhost"] });
  onTestFinished(async () => {
    await egress[Symbol.asyncDispose]();
    server.close();
  });
  const [near, far] = duplexPair();
  egress.accept(near);
  far.write(`GET http://localhost:${port}/page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return readAll(far);
}

async function readAll(stream: Duplex): Promise<string> {
  let read = "";
  for await (const chunk of stream) read += String(chunk);
  return read;
}

it("a page passes as it is", async () => {
  const page = await askFor("HTTP/1.1 203 So so\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok");

  expect(page).toMatch(/^HTTP\/1\.1 203 .*\r\nx-a: b\r\n.*\r\n\r\nok$/s);
});

it.each([
  ["a status below 100", "HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n"],
  ["no status", "HTTP/1.1 000 Odd\r\ncontent-length: 0\r\n\r\n"],
  ["another protocol", "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: odd\r\n\r\n"],
  ["what is not HTTP", "SSH-2.0-odd\r\n"],
  ["nothing", ""],
])("a server that answers with %s is a bad gateway, and ends nothing", async (_what, answer) => {
  expect(await askFor(answer)).toMatch(/^HTTP\/1\.1 502 /);
});
