import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { request as requestTls } from "node:https";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { firstOf, late } from "./limits.ts";
import type { Decision, EgressPolicy } from "./network.ts";
import { parseAuthority, type Route, routeTo, type Target } from "./routes.ts";

type OpenRoute = Exclude<Route, { way: "refused" }>;

/** What one open egress shares over all its connections. */
interface Shared {
  policy: EgressPolicy;
  record: (decision: Decision) => void;
  watch: (socket: Socket | Duplex) => void;
  count: (chunk: Buffer) => void;
}

const connectLimitMs = 20_000;
const idleLimitMs = 300_000;
const byteLimit = 16 * 2 ** 30;
const hopByHop = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host)$/i;

/** CONNECT to allowed hosts, and GET or HEAD of http:// addresses on them. Everything else is 403, and recorded. */
export function createProxy(
  policy: EgressPolicy,
  record: (decision: Decision) => void,
): { server: Server; destroyAll: () => void } {
  const sockets = new Set<Duplex>();
  let bytes = 0;

  function watch(socket: Socket | Duplex): void {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if ("setTimeout" in socket) socket.setTimeout(idleLimitMs, () => socket.destroy());
  }

  function count(chunk: Buffer): void {
    bytes += chunk.length;
    if (bytes > byteLimit) destroyAll();
  }

  function destroyAll(): void {
    for (const socket of sockets) socket.destroy();
  }

  const shared = { policy, record, watch, count };
  const server = createServer();
  server.maxConnections = 512;
  server.on("connection", watch);
  server.on("connect", (asked, client, head) => {
    tunnel(shared, { authority: asked.url ?? "", client, head }).catch(() => client.destroy());
  });
  server.on("request", (asked, answer) => {
    forward(shared, asked, answer).catch(() => answer.destroy());
  });
  return { server, destroyAll };
}

async function tunnel(
  { policy, record, watch, count }: Shared,
  { authority, client, head }: { authority: string; client: Duplex; head: Buffer },
): Promise<void> {
  const target = parseAuthority(authority);
  const route = await routeTo(policy, target, 443);
  record({ ...target, ...outcomeOf(route) });
  if (route.way === "refused") {
    client.end(plainAnswer("403 Forbidden", route.reason));
    return;
  }
  const server = await open(route, target);
  if (!server) {
    client.end(plainAnswer("502 Bad Gateway", `${target.host} could not be reached`));
    return;
  }
  watch(server);
  if (client.destroyed) server.destroy();
  client.write("HTTP/1.1 200 Connection established\r\n\r\n");
  if (head.length > 0) server.write(head);
  client.on("data", count);
  server.on("data", count);
  client.on("close", () => server.destroy());
  server.on("close", () => client.destroy());
  client.pipe(server).pipe(client);
}

async function forward({ policy, record, watch, count }: Shared, asked: IncomingMessage, answer: ServerResponse) {
  const url = URL.canParse(asked.url ?? "") ? new URL(asked.url ?? "") : undefined;
  const target = parseAuthority(url ? `${url.hostname}:${url.port || 80}` : "");
  const plain = url?.protocol === "http:" && (asked.method === "GET" || asked.method === "HEAD");
  const route: Route = plain
    ? await routeTo(policy, target, 80)
    : { way: "refused", reason: "only GET and HEAD of http:// addresses pass without CONNECT" };
  record({ ...target, ...outcomeOf(route) });
  if (!url || route.way === "refused") {
    answer.writeHead(403, { "content-type": "text/plain", connection: "close" });
    answer.end(`agent-fix: ${route.way === "refused" ? route.reason : "no address"}\n`);
    return;
  }
  const sent = sendPlain(asked, url, route);
  sent.on("socket", watch);
  sent.on("response", (got) => {
    got.on("data", count);
    pass(got, answer);
  });
  sent.on("error", () => badGateway(answer));
  // Without a response too, as when the server wants to speak another protocol.
  sent.on("close", () => answer.headersSent || badGateway(answer));
  answer.on("close", () => sent.destroy());
}

/** Node reads status lines and headers that it refuses to write. */
function pass(got: IncomingMessage, answer: ServerResponse): void {
  got.on("error", () => answer.destroy());
  try {
    answer.writeHead(got.statusCode ?? 502, withoutHops(got.headers));
    got.pipe(answer);
  } catch {
    got.destroy();
    badGateway(answer);
  }
}

function badGateway(answer: ServerResponse): void {
  if (answer.headersSent) answer.destroy();
  else answer.writeHead(502).end();
}

async function open(route: OpenRoute, target: Target): Promise<Duplex | undefined> {
  if (route.way === "proxy") return openThroughProxy(route.proxy, target);
  for (const address of route.addresses) {
    const socket = connect({ host: address, port: target.port });
    if (await connects(socket)) return socket;
  }
  return undefined;
}

async function connects(socket: Socket): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  const connected = await firstOf(promise, { ms: connectLimitMs });
  if (connected !== true) socket.destroy();
  return connected === true;
}

async function openThroughProxy(proxy: URL, { host, port }: Target): Promise<Duplex | undefined> {
  const { promise, resolve } = Promise.withResolvers<Duplex | undefined>();
  const ask = proxy.protocol === "https:" ? requestTls : request;
  const path = `${host}:${port}`;
  const asked = ask(proxyAddress(proxy), { method: "CONNECT", path, headers: { host: path, ...credentials(proxy) } });
  asked.on("connect", (answer, socket) => resolve(answer.statusCode === 200 ? socket : void socket.destroy()));
  asked.on("response", () => resolve(undefined));
  asked.on("error", () => resolve(undefined));
  asked.end();
  const socket = await firstOf(promise, { ms: connectLimitMs });
  if (socket === late || !socket) asked.destroy();
  return socket === late ? undefined : socket;
}

function sendPlain(asked: IncomingMessage, url: URL, route: OpenRoute) {
  const headers = { ...withoutHops(asked.headers), host: url.host, connection: "close" };
  const method = asked.method ?? "GET";
  if (route.way === "proxy") {
    const ask = route.proxy.protocol === "https:" ? requestTls : request;
    const all = { ...headers, ...credentials(route.proxy) };
    return ask(proxyAddress(route.proxy), { method, path: url.href, headers: all }).end();
  }
  const path = `${url.pathname}${url.search}`;
  return request({ host: route.addresses[0], port: url.port || 80, method, path, headers }).end();
}

function proxyAddress(proxy: URL): URL {
  return new URL(`${proxy.protocol}//${proxy.host}`);
}

function credentials({ username, password }: URL): { "proxy-authorization"?: string } {
  if (username === "") return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

function withoutHops(headers: IncomingMessage["headers"]) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.test(name)));
}

function plainAnswer(status: string, text: string): string {
  const body = `agent-fix: ${text}\n`;
  const headers = `content-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
  return `HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`;
}

function outcomeOf(route: Route): { allowed: boolean; reason: string } {
  if (route.way === "refused") return { allowed: false, reason: route.reason };
  return { allowed: true, reason: route.way === "proxy" ? "listed, through the proxy" : "listed" };
}
