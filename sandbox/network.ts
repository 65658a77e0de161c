import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { join } from "node:path";
import { createDemux } from "./demux.ts";
import { attach, createContainer, newName, removeContainer } from "./docker.ts";
import type { Mount } from "./engine.ts";
import { firstOf, late } from "./limits.ts";
import { createProxy } from "./proxy.ts";
import type { Installation } from "./sandbox.ts";
import { containerSpec } from "./spec.ts";

/** What set-up may reach. Nothing else is reachable, and no address is given by the sandbox itself. */
export interface EgressPolicy {
  /** Exact names, for port 443 and plain HTTP on port 80; `name:port` for another port. */
  hosts: string[];
  /** Names that may resolve to private or reserved addresses. They must be among `hosts` too. */
  trustedHosts: string[];
  /** A file of certificates on the host, for networks that inspect TLS. It is mounted read-only. */
  caBundle?: string;
  /** The operator's HTTPS_PROXY. It resolves the names then, so addresses can't be checked. */
  upstreamProxy?: string;
  /** The operator's NO_PROXY. */
  noProxy?: string;
}

/** What was asked for, and what became of it. */
export interface Decision {
  host: string;
  port: number;
  allowed: boolean;
  reason: string;
}

/** An open way out, until it is disposed of. */
export interface Egress extends AsyncDisposable {
  /** The folder with the proxy's socket. */
  readonly socketDir: string;
  readonly caBundle: string | undefined;
  /** The first 1,000 decisions. */
  readonly decisions: readonly Decision[];
}

/** What was refused, each host once. */
export function refusedHosts(decisions: readonly Decision[]): string[] {
  const refused = decisions.filter(({ allowed }) => !allowed);
  return [...new Set(refused.map(({ host, port }) => (port === 443 ? host : `${host}:${port}`)))];
}

const proxyAddress = "http://127.0.0.1:3128";
const caPath = "/run/egress-ca.crt";
const forwarder = readFileSync(new URL("forwarder.js", import.meta.url), "utf8");
const readyLimitMs = 30_000;

/** Opens the allow-listing proxy on a unix socket in `dir`, a folder that only its owner can enter. */
export async function openEgress(policy: EgressPolicy, dir: string): Promise<Egress> {
  const decisions: Decision[] = [];
  const socketDir = join(dir, `e${randomBytes(3).toString("hex")}`);
  const socket = join(socketDir, "p");
  if (Buffer.byteLength(socket) > 107) {
    throw new Error(`${socket} is too long for a unix socket (107 bytes). Use a shorter DATA_DIR.`);
  }
  // The forwarder runs as another user. Others on the host are kept out by `dir`.
  await mkdir(socketDir);
  await chmod(socketDir, 0o755);
  const { server, destroyAll } = createProxy(policy, (decision) => {
    if (decisions.length < 1_000) decisions.push(decision);
  });

  async function dispose(): Promise<void> {
    destroyAll();
    await new Promise((resolve) => server.close(resolve));
    await rm(socketDir, { recursive: true, force: true });
  }

  try {
    await listen(server, socket);
    await chmod(socket, 0o666);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { socketDir, caBundle: policy.caBundle, decisions, [Symbol.asyncDispose]: dispose };
}

/** What the container needs to find the proxy and to trust its certificates. */
export function egressEnvironment({ caBundle }: Egress): { env: Record<string, string>; mounts: Mount[] } {
  const env: Record<string, string> = { NODE_USE_ENV_PROXY: "1" };
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]) env[name] = proxyAddress;
  for (const name of ["npm_config_proxy", "npm_config_https_proxy"]) env[name] = proxyAddress;
  for (const name of ["NO_PROXY", "no_proxy", "npm_config_noproxy"]) env[name] = "";
  if (caBundle === undefined) return { env, mounts: [] };
  const authorities = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT"];
  for (const name of [...authorities, "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "npm_config_cafile"]) env[name] = caPath;
  return { env, mounts: [{ hostDir: caBundle, at: caPath, readOnly: true }] };
}

/** Starts the container that owns the network namespace and forwards to the proxy; returns once it listens. */
export async function startForwarder(
  { client, labels, image, runtime }: Installation,
  { socketDir }: Egress,
  signal?: AbortSignal,
): Promise<{ id: string } & AsyncDisposable> {
  const name = newName();
  const remove = () => removeContainer(client, name);
  const spec = containerSpec({
    image: image.id,
    command: ["node", "--input-type=module", "-e", forwarder],
    labels,
    mounts: [{ hostDir: socketDir, at: "/run/egress", readOnly: true }],
    cwd: "/",
    env: {},
    limits: { memoryBytes: 128 * 2 ** 20, cpus: 1, pids: 64 },
    network: "none",
    runtime,
    stdin: "once",
  });
  try {
    const id = await createContainer(client, name, spec, signal);
    const stream = await attach(client, id, signal);
    const { promise: said, resolve } = Promise.withResolvers<string>();
    const demux = createDemux((_source, chunk) => resolve(chunk.toString("utf8").slice(0, 2_000)));
    stream.on("data", demux);
    stream.on("error", () => stream.destroy());
    stream.on("close", () => resolve("its stream ended"));
    await client.call("start a container", { signal }, (docker) => docker.getContainer(id).start());
    const first = await firstOf(said, { ms: readyLimitMs, signal });
    stream.destroy();
    signal?.throwIfAborted();
    if (first === late || first.trim() !== "ready") {
      throw new Error(
        `The forwarder of the set-up network did not start in ${image.ref}: ${first === late ? "no answer within 30 s" : first.trim()}. The image needs Node 24; \`npm run setup\` builds it.`,
      );
    }
    return { id, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
}
