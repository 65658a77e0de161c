import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import Docker from "dockerode";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine, OneShotResult } from "../../sandbox/engine.ts";
import { type Egress, type EgressPolicy, openEgress, refusedHosts } from "../../sandbox/network.ts";
import { createWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { specOf, testEngine, testRepository } from "./support.ts";

const engine = testEngine();
const registry = new URL(execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim()).hostname;
const caBundle = "/etc/ssl/certs/ca-certificates.crt";
let service: Server;
let hits = 0;
let port = 0;

beforeAll(async () => {
  service = createServer((_request, response) => {
    hits++;
    response.end("from the host");
  });
  await new Promise<void>((resolve) => service.listen(0, "::", resolve));
  port = (service.address() as AddressInfo).port;
});

afterAll(() => {
  service.close();
});

async function withEgress<T>(policy: Partial<EgressPolicy>, use: (egress: Egress) => Promise<T>): Promise<T> {
  await using egress = openEgress({ hosts: [], trustedHosts: [], ...policy });
  return await use(egress);
}

async function run(egress: Egress, command: string): Promise<OneShotResult> {
  return engine.runOnce({
    ...specOf(),
    command: ["sh", "-c", command],
    timeoutMs: 60_000,
    maxStdoutBytes: 100_000,
    network: { egress },
  });
}

/** Of the containers that there are. */
const rolesOf = async (from: Engine) =>
  (await from.list()).flatMap(({ kind, role }) => (kind === "container" ? [role] : [])).toSorted();
const fetched = (result: OneShotResult) => result.stdout.toString().trim();
const curl = "curl -s -m 20 -o /dev/null -w '%{http_code}/%{http_connect} '";

test("npm installs a package from the registry through the egress, and its process is the main one", async () => {
  using repository = testRepository({ "package.json": '{"dependencies":{"is-number":"7.0.0"}}\n' });
  const commit = repository.commits[0] ?? "";
  await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });

  const result = await withEgress({ hosts: [registry], trustedHosts: [registry], caBundle }, async (egress) => {
    const installed = await engine.runOnce({
      ...specOf({ mounts: workspace.mounts, cwd: repoDir }),
      command: ["sh", "-c", "npm install --no-audit --no-fund && node -p 'require(\"is-number\")(7)' && exit 9"],
      timeoutMs: 120_000,
      maxStdoutBytes: 100_000,
      network: { egress },
    });
    expect(egress.decisions.every(({ host, allowed }) => host === registry && allowed)).toBe(true);
    return installed;
  });

  expect(result).toMatchObject({ end: "exited", code: 9 });
  expect(fetched(result)).toContain("true");
});

test("hosts that are not listed, other ports, addresses in any spelling and tricks with names are refused", async () => {
  const asked = [
    "https://example.com/",
    `https://${registry}.example.com/`,
    `https://${registry}:22/`,
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://[::1]/",
    "https://localhost/",
    "http://169.254.169.254/latest/meta-data/",
    `http://127.0.0.1:${port}/`,
  ];

  await withEgress({ hosts: [registry, "localhost"], trustedHosts: [registry], caBundle }, async (egress) => {
    const result = await run(egress, asked.map((url) => `${curl} '${url}'`).join(";"));

    expect(fetched(result).split(" ")).toEqual([...Array(7).fill("000/403"), "403/000", "403/000"]);
    expect(egress.decisions.filter(({ allowed }) => allowed)).toEqual([]);
    expect(egress.decisions.find(({ host }) => host === "localhost")?.reason).toContain("private or reserved");
  });

  expect(hits).toBe(0);
});

test("past the proxy there is no way out: no route, no resolver, no service of the host", async () => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  const own = addresses.map((address) => (address.includes(":") ? `[${address}]` : address));
  const direct = [...own, "172.17.0.1", "8.8.8.8"].map((host) => `http://${host}:${port}/`);

  await withEgress({ hosts: [registry], trustedHosts: [registry], caBundle }, async (egress) => {
    const result = await run(
      egress,
      `for u in ${direct.join(" ")}; do curl --noproxy '*' -s -m 3 $u >/dev/null && echo reached $u; done
       getent hosts ${registry} example.com && echo resolved; ls /sys/class/net; ls /run/egress 2>&1; exit 0`,
    );

    expect(fetched(result)).toBe("lo\nls: cannot access '/run/egress': No such file or directory");
  });

  expect(hits).toBe(0);
});

test("a trusted host may be a private address; plain HTTP passes for GET alone", async () => {
  await withEgress({ hosts: [`localhost:${port}`], trustedHosts: ["localhost"] }, async (egress) => {
    const url = `http://localhost:${port}/`;

    const result = await run(egress, `curl -s -m 20 ${url}; echo; ${curl} -X POST ${url}; curl -s -m 20 -p ${url}`);

    expect(fetched(result)).toBe("from the host\n403/000 from the host");
    expect(hits).toBe(2);
  });
});

test("a sandbox with many commands reaches what is listed and nothing else, and takes its forwarder with it", async () => {
  const policy = { hosts: [`localhost:${port}`], trustedHosts: ["localhost"] };
  await withEgress(policy, async (egress) => {
    await using sandbox = await engine.startSandbox({ ...specOf(), network: { egress } });
    const options = { cwd: "/tmp", timeoutMs: 60_000 };

    const listed = await sandbox.exec(`curl -s http://localhost:${port}/`, options);
    const other = await sandbox.exec(
      `${curl} http://example.com/; ${curl} --noproxy '*' http://127.0.0.1:${port}/`,
      options,
    );

    expect(listed.output.text).toBe("from the host");
    expect(other.output.text).toContain("403/");
    expect(other.output.text).toContain("000/");
    expect(refusedHosts(egress.decisions)).toEqual(["example.com:80"]);
  });

  expect(await engine.list()).toEqual([]);
});

test("an upstream proxy carries what is listed, and only that", async () => {
  const asked: string[] = [];
  const upstream = createServer();
  upstream.on("connect", (request, socket) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    socket.end("HTTP/1.1 200 OK\r\n\r\nnot TLS");
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const { port: proxyPort } = upstream.address() as AddressInfo;

  const upstreamProxy = `http://me:pass@127.0.0.1:${proxyPort}`;
  await withEgress({ hosts: ["packages.test"], trustedHosts: [], upstreamProxy }, async (egress) => {
    const result = await run(egress, `${curl} https://packages.test/; ${curl} https://other.test/`);
    expect(fetched(result)).toBe("000/200 000/403");
  });

  upstream.close();
  expect(asked).toEqual([`packages.test:443 Basic ${Buffer.from("me:pass").toString("base64")}`]);
});

test("when the proxy is gone there is no way out, and nothing stays behind", async () => {
  const egress = openEgress({ hosts: [registry], trustedHosts: [registry], caBundle });
  const running = run(egress, `sleep 1; ${curl} https://${registry}/; exit 5`);
  await expect.poll(() => rolesOf(engine), { timeout: 20_000 }).toEqual(["agent", "egress"]);
  await egress[Symbol.asyncDispose]();

  const result = await running;

  expect(result).toMatchObject({ end: "exited", code: 5 });
  expect(fetched(result)).toBe("000/000");
  expect(await engine.list()).toEqual([]);
});

test("the forwarder and the container that joins it are as frozen as every other, and the forwarder ends with the run", async () => {
  const mine = testEngine();
  const docker = new Docker();
  await withEgress({ hosts: [registry], trustedHosts: [registry], caBundle }, async (egress) => {
    const stop = new AbortController();
    const spec = { ...specOf(), command: ["sleep", "600"], timeoutMs: 60_000, maxStdoutBytes: 0, network: { egress } };
    const running = mine.runOnce(spec, stop.signal);
    await expect.poll(() => rolesOf(mine), { timeout: 20_000 }).toEqual(["agent", "egress"]);
    const containers = (await mine.list()).filter(({ kind }) => kind === "container");
    const inspected = await Promise.all(containers.map(async ({ id }) => docker.getContainer(id).inspect()));
    stop.abort();

    for (const { HostConfig: host, Config: config, Mounts: mounts } of inspected) {
      expect(host).toMatchObject({ CapDrop: ["ALL"], Privileged: false, ReadonlyRootfs: true, IpcMode: "private" });
      expect(host.SecurityOpt).toContain("no-new-privileges");
      expect(config.User).toBe("1000:1000");
      expect(mounts.filter(({ RW }) => RW)).toEqual([]);
    }
    const forwarder = inspected.find(({ Config }) => Config.Labels["agent-fix.role"] === "egress");
    expect(new Set(inspected.map(({ HostConfig }) => HostConfig.NetworkMode))).toEqual(
      new Set([`container:${forwarder?.Id}`, "none"]),
    );
    await Promise.allSettled([running]);
  });

  expect(await mine.list()).toEqual([]);
});

test("what is asked of the proxy is recorded with its reason, and the record does not grow without end", async () => {
  await withEgress({ hosts: [registry], trustedHosts: [registry] }, async (egress) => {
    await run(
      egress,
      'node -e \'const net = require("net"); let open = 1300; for (let i = 0; i < 1300; i++) { const s = net.connect(3128, "127.0.0.1"); s.on("error", () => {}); s.on("close", () => --open || process.exit()); s.write(`CONNECT h${i}.test:443 HTTP/1.1\\r\\n\\r\\n`); s.resume(); }\'',
    );

    expect(egress.decisions).toHaveLength(1_000);
    expect(egress.decisions[0]).toMatchObject({
      port: 443,
      allowed: false,
      reason: expect.stringContaining("not among"),
    });
  });
});
