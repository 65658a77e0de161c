import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** For `expect.poll` on what another process does: a busy machine takes its time. */
export const patiently = { timeout: 10_000 };

export interface TestRedis extends AsyncDisposable {
  url: string;
  socket: string;
}

// The shell outlives nobody: when its stdin closes, however this process ended, it ends the server and removes the folder.
const script = `cd "$1" && redis-server --port 0 --unixsocket "$1/redis.sock" --save '' --appendonly no &
server=$!
cat >/dev/null
kill $server
wait $server
rm -rf -- "$1"`;

/** A redis-server of its own on a unix socket in a new folder; both are gone when it is disposed or this process ends. */
export async function startRedis(): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), "agent-fix-redis-"));
  const socket = join(dir, "redis.sock");
  const shell = spawn("sh", ["-c", script, "sh", dir], { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const closed = new Promise<void>((resolve) => shell.once("close", () => resolve()));
  const ready = Promise.withResolvers<void>();
  let said = "";
  shell.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (/ready to accept connections/i.test(said)) ready.resolve();
  });
  shell.once("error", ready.reject);
  void closed.then(() => ready.reject(new Error(`redis-server did not start:\n${said}`)));
  await ready.promise;
  return {
    url: `unix://${socket}`,
    socket,
    async [Symbol.asyncDispose]() {
      shell.stdin.end();
      await closed;
    },
  };
}

export interface Relay extends AsyncDisposable {
  url: string;
  /** Keeps every connection and takes new ones, but forwards nothing more. */
  hang(): void;
  /** Breaks every connection and takes no new one. */
  refuse(): Promise<void>;
  /** Listens and forwards again; connections that hung are broken, as after a network's outage. */
  recover(): Promise<void>;
}

/** A TCP address in front of a unix socket, for outages on the way to a server that is well. */
export async function startRelay(socketPath: string): Promise<Relay> {
  const open = new Set<Socket>();
  let hanging = false;
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => open.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    if (hanging) return;
    const upstream = connect(socketPath);
    keep(upstream);
    client.pipe(upstream).pipe(client);
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const disconnect = () => {
    for (const socket of open) socket.destroy();
  };
  const refuse = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    disconnect();
    await closed;
  };

  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    hang() {
      hanging = true;
      for (const socket of open) socket.unpipe().pause();
    },
    refuse,
    async recover() {
      hanging = false;
      disconnect();
      if (!server.listening) await listen(port);
    },
    [Symbol.asyncDispose]: refuse,
  };
}
