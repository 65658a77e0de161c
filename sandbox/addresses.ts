import { BlockList, isIP } from "node:net";

/** Why a connection to this address is refused, or undefined when it is a public one. */
export function refusalOf(address: string): "link-local" | "private or reserved" | undefined {
  const family = isIP(address) === 4 ? "ipv4" : "ipv6";
  if (isIP(address) === 0) return "private or reserved";
  // Cloud metadata services live here. No host, trusted or not, may lead to them.
  if (linkLocal.check(address, family)) return "link-local";
  return reserved.check(address, family) ? "private or reserved" : undefined;
}

// IPv4 rules match IPv4-mapped IPv6 addresses by themselves; a rule for ::ffff:0:0/96 would match all of IPv4.
const linkLocal = blockList("169.254.0.0/16", "fe80::/10 fd00:ec2::/32");

const reserved = blockList(
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3",
  "::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fec0::/10 ff00::/8",
);

function blockList(ipv4: string, ipv6: string): BlockList {
  const list = new BlockList();
  for (const [family, ranges] of [["ipv4", ipv4] as const, ["ipv6", ipv6] as const]) {
    for (const range of ranges.split(" ")) {
      const [net = "", bits = ""] = range.split("/");
      list.addSubnet(net, Number(bits), family);
    }
  }
  return list;
}
