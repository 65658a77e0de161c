import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { examineBinds, parseListeners, readListeners } from "../../../../src/cli/doctor/binds.ts";
import type { Addresses, Listener } from "../../../../src/cli/doctor/binds.ts";

const quiet: Addresses = { web: "127.0.0.1", redisUrl: "redis://127.0.0.1:6379", dockerHost: undefined };
const all = (port: number): Listener[] => [{ port, reach: "all" }];

async function seen(part: string, addresses: Partial<Addresses>, listeners: Listener[] | undefined = []) {
  const findings = await examineBinds({ ...quiet, ...addresses }, listeners);
  return findings.find((finding) => finding.part === part);
}

async function listening(host: string): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

describe("what listens on this machine", () => {
  it.each([
    ["0.0.0.0", "all"],
    ["127.0.0.1", "loopback"],
    ["127.0.0.53", "loopback"],
  ])("is read from the kernel: %s is %s", async (host, reach) => {
    await using server = await listening(host);

    const mine = (await readListeners())?.filter(({ port }) => port === server.port);

    expect(mine).toEqual([{ port: server.port, reach }]);
  });

  it("is read for both families, and connections are left out", () => {
    const zeros = "0".repeat(32);
    const line = (address: string, state: string) =>
      `   0: ${address}:18EB ${zeros}:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n`;
    const reach = (address: string) => parseListeners(line(address, "0A")).map((listener) => listener.reach);

    expect(parseListeners(line(zeros, "01"))).toEqual([]);
    expect(parseListeners(line(zeros, "0A"))).toEqual([{ port: 6379, reach: "all" }]);
    expect(reach("00000000000000000000000001000000")).toEqual(["loopback"]);
    expect(reach("0000000000000000FFFF00000100007F")).toEqual(["loopback"]);
    expect(reach("0000000000000000FFFF00000500A8C0")).toEqual(["one"]);
    expect(reach("0500A8C0")).toEqual(["one"]);
    expect(reach("B80D0120000000000000000001000000")).toEqual(["one"]);
  });
});

describe("our own server", () => {
  it.each([
    ["127.0.0.1", "ok"],
    ["10.0.0.5", "ok"],
    ["0.0.0.0", "warn"],
    ["::", "warn"],
  ])("on HOST=%s is %s", async (web, level) => {
    expect(await seen("web-bind", { web })).toMatchObject({ level, saw: expect.stringContaining(`HOST is ${web}`) });
  });
});

describe("Redis", () => {
  it.each<[url: string | undefined, listeners: Listener[] | undefined, level: string, saw: RegExp]>([
    [undefined, all(6379), "ok", /unix socket/],
    ["unix:///run/redis.sock", all(6379), "ok", /unix socket/],
    ["/run/redis.sock", all(6379), "ok", /unix socket/],
    ["redis://127.0.0.1", all(6379), "warn", /port 6379/],
    ["redis://localhost:6379", all(6379), "warn", /port 6379/],
    ["rediss://u:p@[::1]:6380/2", all(6380), "warn", /port 6380/],
    [`redis://${hostname()}:6379`, all(6379), "warn", /port 6379/],
    ["redis://127.0.0.1:6379", [{ port: 6379, reach: "loopback" }], "ok", /not bound to every address/],
    ["redis://127.0.0.1:6379", [{ port: 6379, reach: "one" }, ...all(80)], "ok", /not bound to every address/],
    ["redis://192.0.2.7:6379", all(6379), "ok", /another machine \(192\.0\.2\.7\)/],
    ["redis://no-such-name.invalid:6379", all(6379), "ok", /another machine/],
    ["redis://127.0.0.1:6379", undefined, "warn", /^not known/],
  ])("at %s among %j is %s", async (redisUrl, listeners, level, saw) => {
    const [, finding] = await examineBinds({ ...quiet, redisUrl }, listeners);

    expect(finding).toMatchObject({ part: "redis-bind", level, saw: expect.stringMatching(saw) });
  });

  it("is told without its password", async () => {
    const finding = await seen("redis-bind", { redisUrl: "redis://u:hush@127.0.0.1:6379" }, all(6379));

    expect(JSON.stringify(finding)).not.toContain("hush");
  });
});

describe("the engine's API", () => {
  it.each<[dockerHost: string | undefined, listeners: Listener[] | undefined, level: string]>([
    [undefined, [], "ok"],
    ["unix:///run/user/1000/docker.sock", all(2376), "ok"],
    [undefined, all(2375), "bad"],
    [undefined, [{ port: 2375, reach: "one" }], "bad"],
    [undefined, [{ port: 2375, reach: "loopback" }], "warn"],
    ["tcp://127.0.0.1:2375", [], "warn"],
    ["tcp://[::1]:4000", [], "warn"],
    ["tcp://192.0.2.7:2375", [], "bad"],
    ["tcp://dind:2375", undefined, "bad"],
    [undefined, undefined, "warn"],
  ])("at %s among %j is %s", async (dockerHost, listeners, level) => {
    const [, , finding] = await examineBinds({ ...quiet, dockerHost }, listeners);

    expect(finding).toMatchObject({ part: "engine-bind", level });
  });
});
