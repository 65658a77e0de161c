import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { type Finding, type Seen, bad, notKnown, ok, warn } from "./finding.ts";

/** Who can reach a port: `all`: it is bound to every address of the machine. */
export interface Listener {
  port: number;
  reach: "all" | "loopback" | "one";
}

export interface Addresses {
  /** HOST. */
  web: string;
  redisUrl: string | undefined;
  /** DOCKER_HOST. */
  dockerHost: string | undefined;
}

/** Which of our own server, Redis and the engine's API can be reached by whom it does not concern. */
export async function examineBinds(addresses: Addresses, listeners: Listener[] | undefined): Promise<Finding[]> {
  return [
    { part: "web-bind", ...webBind(addresses.web) },
    { part: "redis-bind", ...(await redisBind(addresses.redisUrl, listeners)) },
    { part: "engine-bind", ...engineBind(addresses.dockerHost, listeners) },
  ];
}

/** What listens on TCP on this machine; undefined where the kernel does not list it in /proc. */
export async function readListeners(): Promise<Listener[] | undefined> {
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "utf8").catch(() => undefined));
  const read = (await Promise.all(tables)).filter((text) => text !== undefined);
  return read.length === 0 ? undefined : read.flatMap(parseListeners);
}

/** From the text of /proc/net/tcp or tcp6. */
export function parseListeners(table: string): Listener[] {
  const listening = table.matchAll(/^\s*\d+: ([\dA-F]+):([\dA-F]{4}) \S+ 0A /gm);
  return Array.from(listening, ([, address = "", port = ""]) => ({
    port: Number.parseInt(port, 16),
    reach: reachOf(address),
  }));
}

// Written as 32-bit words in the machine's byte order, which is little-endian wherever we run.
function reachOf(address: string): Listener["reach"] {
  if (/^0+$/.test(address)) return "all";
  return /^(?:0{16}FFFF0000)?[\dA-F]{6}7F$|^0{24}01000000$/.test(address) ? "loopback" : "one";
}

function webBind(host: string): Seen {
  if (!isEvery(host)) return ok(`HOST is ${host}`);
  return warn(
    `HOST is ${host}: whoever reaches any address of this machine reaches the web server`,
    "Leave it unset behind a proxy on the same machine; in a container, publish the port on 127.0.0.1 alone",
  );
}

async function redisBind(redisUrl: string | undefined, listeners: Listener[] | undefined): Promise<Seen> {
  if (redisUrl === undefined) return ok("a unix socket in DATA_DIR, once `agent-fix up` starts it");
  if (!URL.canParse(redisUrl) || !/^rediss?:/.test(redisUrl)) return ok("a unix socket");
  const { hostname, port } = new URL(redisUrl);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (!(await isHere(host))) return ok(`on another machine (${host}): what it listens on is not to be seen from here`);
  if (listeners === undefined) return notKnown("this system does not list who listens");
  const number = Number(port === "" ? 6379 : port);
  if (!listeners.some((listener) => listener.port === number && listener.reach === "all"))
    return ok(`port ${number} is not bound to every address`);
  return warn(
    `Redis listens on every address of this machine, port ${number}: whoever reaches it and its password can add and read jobs`,
    "Set `bind 127.0.0.1 -::1` in redis.conf, or for several machines one private address with a user and password of its own",
  );
}

function engineBind(dockerHost: string | undefined, listeners: Listener[] | undefined): Seen {
  const remedy = "Use a unix socket, and for an engine elsewhere forward its socket over ssh";
  const tcp = /^(?:tcp|http):\/\/(\[[^\]]+\]|[^/:]+)/.exec(dockerHost ?? "")?.[1];
  if (tcp !== undefined && !isLoopback(tcp.replace(/^\[|\]$/g, "")))
    return bad(`DOCKER_HOST is ${dockerHost}: without TLS, whoever reaches that port is root there`, remedy);
  const open = (listeners ?? []).filter(({ port }) => port === 2375);
  if (open.some(({ reach }) => reach !== "loopback"))
    return bad(
      "port 2375, the engine's without TLS, is open to other machines: whoever reaches it is root here",
      remedy,
    );
  if (tcp !== undefined || open.length > 0)
    return warn(
      "the engine's API is on TCP without TLS: every user and program of this machine is root through it",
      remedy,
    );
  const socket = dockerHost ?? "unix:///var/run/docker.sock";
  if (listeners === undefined) return notKnown(`${socket} is used; this system does not list who listens on port 2375`);
  return ok(`${socket}, and nothing listens on port 2375`);
}

function isEvery(host: string): boolean {
  return /^(?:0\.0\.0\.0|0|\*|::|\[::\])$/.test(host);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** Whether a name or address is this machine's. */
async function isHere(host: string): Promise<boolean> {
  const own = new Set(Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)));
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.some(({ address }) => isLoopback(address) || isEvery(address) || own.has(address));
}
