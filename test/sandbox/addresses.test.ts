import { assert, ipV4, property } from "fast-check";
import { expect, test } from "vitest";
import { refusalOf } from "../../sandbox/addresses.ts";
import { parseAuthority, routeTo } from "../../sandbox/routes.ts";

test.each([
  "8.8.8.8",
  "140.82.121.4",
  "172.15.255.255",
  "172.32.0.1",
  "100.128.0.1",
  "2606:4700::1111",
  "2a00:1450:4001::1",
])("%s is a public address", (address) => {
  expect(refusalOf(address)).toBeUndefined();
});

test.each([
  "127.0.0.1",
  "127.255.255.254",
  "0.0.0.0",
  "10.1.2.3",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.65.7",
  "100.64.0.1",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:10.0.0.1",
  "::ffff:7f00:1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
  "fd00::1",
  "ff02::1",
  "fec0::1",
  "not an address",
  "2130706433",
  "",
])("%s is private or reserved", (address) => {
  expect(refusalOf(address)).toBe("private or reserved");
});

test.each([
  "169.254.169.254",
  "169.254.170.2",
  "169.254.0.1",
  "fe80::1",
  "fe80::1%eth0",
  "fd00:ec2::254",
  "::ffff:169.254.169.254",
])("%s is link-local, where metadata services live", (address) => {
  expect(refusalOf(address)).toBe("link-local");
});

test("an IPv4 address and the same one as IPv6 are decided alike", () => {
  assert(property(ipV4(), (address) => refusalOf(`::ffff:${address}`) === refusalOf(address)));
});

test("an authority is a name and a port, in lower case and without its last dot, or nothing", () => {
  const parsed = [
    "Example.COM.:443",
    "[::1]:80",
    "a:b:1",
    "example.com",
    "example.com:",
    ":443",
    "x@y:443",
    "a b:1",
    "a:123456",
  ].map((authority) => Object.values(parseAuthority(authority)).join(" "));

  expect(parsed).toEqual(["example.com 443", "::1 80", " 0", " 0", " 0", " 443", "x@y 443", "a b 1", " 0"]);
});

test("a name is allowed exactly: no subdomain, no suffix, no other port, no address", async () => {
  const policy = {
    hosts: ["packages.test", "other.test:8443", "127.0.0.1", "*"],
    trustedHosts: [],
    upstreamProxy: "http://proxy.test:3128",
  };
  const ways = async (authority: string) => (await routeTo(policy, parseAuthority(authority), 443)).way;

  expect(await ways("packages.test:443")).toBe("proxy");
  expect(await ways("PACKAGES.test.:443")).toBe("proxy");
  expect(await ways("other.test:8443")).toBe("proxy");
  for (const authority of [
    "packages.test:80",
    "a.packages.test:443",
    "packages.test.evil.test:443",
    "xpackages.test:443",
    "other.test:443",
    "127.0.0.1:443",
    "[::1]:443",
    "any.test:443",
    ":443",
    "packages.test@evil.test:443",
    "packages.test\0.evil.test:443",
  ]) {
    expect([authority, await ways(authority)]).toEqual([authority, "refused"]);
  }
});

test("a name that leads to the machine itself is refused unless it is trusted, and the reason says what would allow it", async () => {
  const policy = { hosts: ["localhost", "no-such-name.invalid"], trustedHosts: [] };

  const refused = await routeTo(policy, parseAuthority("localhost:443"), 443);
  const trusted = await routeTo({ ...policy, trustedHosts: ["LOCALHOST."] }, parseAuthority("localhost:443"), 443);
  const unknown = await routeTo(policy, parseAuthority("no-such-name.invalid:443"), 443);
  const unlisted = await routeTo({ hosts: [], trustedHosts: ["localhost"] }, parseAuthority("localhost:443"), 443);

  expect(refused).toMatchObject({ way: "refused", reason: expect.stringContaining("SANDBOX_TRUSTED_HOSTS") });
  expect(trusted.way).toBe("direct");
  expect(unknown).toEqual({ way: "refused", reason: "its name does not resolve" });
  expect(unlisted).toMatchObject({ way: "refused", reason: expect.stringContaining("not among the hosts") });
});

test("what the operator's NO_PROXY names goes past the upstream proxy, and is checked", async () => {
  const policy = {
    hosts: ["localhost", "a.test"],
    trustedHosts: [],
    upstreamProxy: "http://proxy.test:3128",
    noProxy: "localhost, .a.test",
  };

  const own = await routeTo(policy, parseAuthority("localhost:443"), 443);
  const other = await routeTo({ ...policy, noProxy: "calhost,test.a" }, parseAuthority("localhost:443"), 443);

  expect(own.way).toBe("refused");
  expect(other.way).toBe("proxy");
});
