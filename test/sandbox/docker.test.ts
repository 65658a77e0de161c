import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { attach, createClient } from "../../sandbox/docker.ts";

/** What stands in for an engine that does not behave, such as a proxy before it. */
async function startOdd(answer: RequestListener, upgrade?: (socket: Socket) => void) {
  const server = createServer(answer);
  if (upgrade !== undefined) server.on("upgrade", (_asked, socket) => upgrade(socket as Socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return createClient({ host: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

describe("a pull", () => {
  it("ends once its progress does", async () => {
    const client = await startOdd((_asked, answer) => {
      answer.write('{"status":"Pulling"}\n{"sta');
      answer.end('tus":"Done"}');
    });

    await expect(client.pull("a:b")).resolves.toBeUndefined();
  });

  it("fails with the error that a line of its progress tells", async () => {
    const client = await startOdd((_asked, answer) => answer.end('{"status":"Pulling"}\n{"error":"no space left"}\n'));

    await expect(client.pull("a:b")).rejects.toThrow("no space left");
  });

  it("fails where something else than an engine answers", async () => {
    const client = await startOdd((_asked, answer) => answer.end("<html>Bad gateway</html>\n"));

    await expect(client.pull("a:b")).rejects.toThrow(/not valid JSON/);
  });

  it("that is given up reads no further", async () => {
    const closed = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const client = await startOdd((_asked, answer) => {
      answer.on("close", () => closed.resolve());
      answer.write('{"status":"Pulling"}\n', () => begun.resolve());
    });
    const stop = new AbortController();
    const pulling = client.pull("a:b", stop.signal);
    await begun.promise;
    stop.abort(new Error("stopped"));

    await expect(pulling).rejects.toThrow("stopped");
    await closed.promise;
  });
});

it("a stream that opens after the wait for it ended is closed, and its own end hurts nobody", async () => {
  const asked = Promise.withResolvers<Socket>();
  const client = await startOdd(() => {}, asked.resolve);
  const stop = new AbortController();
  const attaching = attach(client, "one", stop.signal);
  const socket = await asked.promise;
  stop.abort(new Error("stopped"));
  await expect(attaching).rejects.toThrow("stopped");
  const closed = once(socket.resume(), "end");

  socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");

  await closed;
});
