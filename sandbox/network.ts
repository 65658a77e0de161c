import type { Duplex } from "node:stream";
import { createProxy } from "./proxy.ts";

/** What set-up may reach. Nothing else is reachable, and no address is given by the sandbox itself. */
export interface EgressPolicy {
  /** Exact names, for port 443 and plain HTTP on port 80; `name:port` for another port. */
  hosts: string[];
  /** Names that may resolve to private or reserved addresses. They must be among `hosts` too. */
  trustedHosts: string[];
  /** A file of certificates on the host, for networks that inspect TLS. */
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
  /** Takes a connection of a container's to the proxy. */
  accept(connection: Duplex): void;
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
/** Where containers have the certificates. */
export const caFolder = "/run/egress-ca";
const caPath = `${caFolder}/ca.crt`;

/** Opens the allow-listing proxy. It listens nowhere: forwarders bring it the connections of their containers. */
export function openEgress(policy: EgressPolicy): Egress {
  const decisions: Decision[] = [];
  const { server, destroyAll } = createProxy(policy, (decision) => {
    if (decisions.length < 1_000) decisions.push(decision);
  });
  let isOpen = true;
  return {
    accept: (connection) => (isOpen ? void server.emit("connection", connection) : void connection.destroy()),
    caBundle: policy.caBundle,
    decisions,
    async [Symbol.asyncDispose]() {
      isOpen = false;
      destroyAll();
    },
  };
}

/** What the container needs to find the proxy and to trust its certificates. */
export function egressEnvironment({ caBundle }: Pick<Egress, "caBundle">): Record<string, string> {
  const env: Record<string, string> = { NODE_USE_ENV_PROXY: "1" };
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]) env[name] = proxyAddress;
  for (const name of ["npm_config_proxy", "npm_config_https_proxy"]) env[name] = proxyAddress;
  for (const name of ["NO_PROXY", "no_proxy", "npm_config_noproxy"]) env[name] = "";
  if (caBundle === undefined) return env;
  const authorities = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT"];
  for (const name of [...authorities, "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "npm_config_cafile"]) env[name] = caPath;
  return env;
}
