import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { refusalOf } from "./addresses.ts";
import { firstOf, late } from "./limits.ts";
import type { EgressPolicy } from "./network.ts";

export type Route =
  | { way: "direct"; addresses: string[] }
  | { way: "proxy"; proxy: URL }
  | { way: "refused"; reason: string };

export interface Target {
  host: string;
  port: number;
}

const lookupLimitMs = 10_000;

/** Decides about a name once; the connection then goes to the addresses that were checked. */
export async function routeTo(policy: EgressPolicy, { host, port }: Target, usualPort: number): Promise<Route> {
  const listed = new Set(policy.hosts.map(normalName));
  if (isIP(host) !== 0 || host === "") return { way: "refused", reason: "only names are allowed, no addresses" };
  if (!listed.has(`${host}:${port}`) && !(listed.has(host) && port === usualPort)) {
    return { way: "refused", reason: `${host}:${port} is not among the hosts that set-up may reach` };
  }
  if (policy.upstreamProxy !== undefined && !isExempt(host, policy.noProxy ?? "")) {
    return { way: "proxy", proxy: new URL(policy.upstreamProxy) };
  }
  const found = await firstOf(
    lookup(host, { all: true }).catch(() => []),
    { ms: lookupLimitMs },
  );
  const trusted = policy.trustedHosts.map(normalName).includes(host);
  const addresses = (found === late ? [] : found).map(({ address }) => address);
  const good = addresses.filter((address) => {
    const refusal = refusalOf(address);
    return refusal === undefined || (trusted && refusal !== "link-local");
  });
  if (good.length > 0) return { way: "direct", addresses: good };
  if (addresses.length === 0) return { way: "refused", reason: "its name does not resolve" };
  return {
    way: "refused",
    reason: `it resolves to ${refusalOf(addresses[0] ?? "")} addresses; SANDBOX_TRUSTED_HOSTS allows that for a host`,
  };
}

/** `name:port`, in lower case and without a dot at its end; an empty name when it is something else. */
export function parseAuthority(authority: string): Target {
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([^:[\]/]*)):(\d{1,5})$/.exec(authority) ?? [];
  return { host: normalName(bracketed ?? name ?? "").slice(0, 255), port: Number(port ?? 0) };
}

function normalName(host: string): string {
  return host.toLowerCase().replace(/\.(?=$|:)/, "");
}

function isExempt(host: string, noProxy: string): boolean {
  const entries = noProxy.split(/[\s,]+/).filter((entry) => entry !== "");
  return entries.some((entry) => {
    const name = normalName(entry.replace(/^\*?\./, "").replace(/:\d+$/, ""));
    return entry === "*" || host === name || host.endsWith(`.${name}`);
  });
}
