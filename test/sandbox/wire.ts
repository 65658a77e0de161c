import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The engine's socket behind one that can be cut: at once, or when so many more bytes came from the engine. */
export async function openWire() {
  const folder = mkdtempSync(join(tmpdir(), "agent-fix-wire-"));
  const path = join(folder, "docker.sock");
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  const cut = () => {
    left = Number.POSITIVE_INFINITY;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: "/var/run/docker.sock", allowHalfOpen: true });
    client.pipe(upstream).pipe(client);
    upstream.on("data", (chunk) => {
      left -= chunk.length;
      if (left < 0) cut();
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(path);
  await once(server, "listening");
  return {
    path,
    cut,
    cutAfter: (bytes: number) => void (left = bytes),
    /** Takes no new connection, as an engine that is stopping; those that are open go on. */
    deafen: () => void server.close(),
    async [Symbol.asyncDispose]() {
      cut();
      if (server.listening) server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
