import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Mount, Sandbox } from "../../sandbox/engine.ts";
import { startRedis, startRelay } from "../support/redis.ts";
import { say, shell, specOf, testEngine } from "./support.ts";

/** A worker's surroundings as they are in use, with a secret of its own kind in each place, and a sandbox beside them. */
const engine = testEngine();
const secret = randomBytes(12).toString("hex");
const canary = (place: string) => `canary-${place}-${secret}`;
// Written so that the search does not find itself.
const pattern = `c[a]nary-[a-z]+-${secret}`;
const host = new AsyncDisposableStack();
const hits = { tcp: 0, udp: 0, abstract: 0 };
const dataDir = mkdtempSync(join(tmpdir(), "agent-fix-escape-"));
const abstractName = `agent-fix-escape-${secret}`;
let ports: { tcp: number; udp: number; redis: number };
let redis: Redis;
let redisSocket: string;
let sandbox: Sandbox;

beforeAll(async () => {
  host.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  plantSecrets();
  const tcp = await listen(createServer(count("tcp")), { port: 0, host: "::" });
  await listen(createServer(count("abstract")), { path: `\0${abstractName}` });
  const udp = createSocket("udp4", () => hits.udp++);
  host.defer(() => void udp.close());
  udp.bind(0, "0.0.0.0");
  await once(udp, "listening");
  const server = host.use(await startRedis());
  const front = host.use(await startRelay(server.socket));
  redisSocket = server.socket;
  redis = new Redis(server.socket);
  host.defer(() => redis.disconnect());
  await redis.set("secret", canary("redis"));
  ports = { tcp, udp: udp.address().port, redis: Number(new URL(front.url).port) };

  const volume = (await engine.createVolume({ run: "run-1", role: "workspace" })).name;
  host.defer(() => engine.removeVolume(volume));
  const mounts: Mount[] = [
    { volume, at: "/workspace" },
    { hostDir: join(dataDir, "mirror"), at: "/mirror/0", readOnly: true },
  ];
  sandbox = host.use(await engine.startSandbox(specOf({ mounts })));
});

afterAll(async () => {
  delete process.env["GITHUB_TOKEN_OF_TEST"];
  await host.disposeAsync();
});

function plantSecrets(): void {
  process.env["GITHUB_TOKEN_OF_TEST"] = canary("env");
  for (const name of ["mirror", "keys"]) mkdirSync(join(dataDir, name));
  writeFileSync(join(dataDir, "keys", "private-key.pem"), canary("file"), { mode: 0o600 });
  writeFileSync(join(dataDir, "mirror", "HEAD"), "ref: refs/heads/main\n");
  // As git runs while it fetches: its token in the environment; and one that is careless, with it among its arguments.
  const git = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", canary("argument")], {
    env: { GIT_CONFIG_VALUE_0: `AUTHORIZATION: basic ${canary("git")}` },
    stdio: "ignore",
  });
  host.defer(() => void git.kill("SIGKILL"));
}

function count(what: keyof typeof hits) {
  return (socket: { destroy(): void }) => {
    hits[what]++;
    socket.destroy();
  };
}

async function listen(server: Server, where: { port: number; host: string } | { path: string }): Promise<number> {
  server.listen(where);
  await once(server, "listening");
  host.defer(() => void server.close());
  const address: AddressInfo | string | null = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function python(program: string, input: unknown = null): Promise<unknown> {
  await sandbox.writeFile("/tmp/program.py", Buffer.from(program));
  await sandbox.writeFile("/tmp/input.json", Buffer.from(JSON.stringify(input)));
  return JSON.parse(await shell(sandbox, "python3 program.py <input.json", "/tmp"));
}

async function redisConnections(): Promise<number> {
  return Number(/total_connections_received:(\d+)/.exec(await redis.info("stats"))?.[1]);
}

test("no secret of the worker is in any file, environment, command line or kernel table that can be read", async () => {
  // Left out: what has no end (pagemap), is a process's memory, or waits for the kernel (kmsg).
  const search = `{ find / \\( -path /proc -o -path /sys \\) -prune -o -type f -readable -print0
      find /proc -maxdepth 2 -type f -readable ! -name mem ! -name pagemap ! -name 'k[cmp]*' -print0
      find /proc/self/net/ /proc/sys /sys -type f -readable -print0; } 2>/dev/null | xargs -0 grep -aoE '${pattern}' 2>/dev/null | sort -u`;

  expect((await say(sandbox, search)).output.text).toBe("");

  // The same search finds each kind of place once something is there.
  const planted = `echo ${canary("planted")} >/workspace/planted; GIT_TOKEN=${canary("own")} sleep 60 & sh -c 'sleep 60; :' ${canary("arg")} &
    ${search}; kill %1 %2`;
  const found = (await say(sandbox, planted)).output.text;
  expect(found).toContain(`/workspace/planted:${canary("planted")}`);
  expect(found).toMatch(new RegExp(`/proc/\\d+/environ:${canary("own")}`));
  expect(found).toMatch(new RegExp(`/proc/\\d+/cmdline:${canary("arg")}`));
});

test("of the host nothing is inside but what is mounted: no process, and no folder beside a mounted one", async () => {
  expect(
    await shell(
      sandbox,
      "cat /proc/[0-9]*/comm | sort -u | grep -vxE 'bash|cat|docker-init|grep|sh|sort|tini'; true",
      "/",
    ),
  ).toBe("");
  expect(
    await shell(
      sandbox,
      `ls -A /mirror /mirror/0; ls ${dataDir} ${tmpdir()}/agent-fix-* /mirror/0/../../keys 2>/dev/null; true`,
      "/",
    ),
  ).toBe("/mirror:\n0\n\n/mirror/0:\nHEAD\n");
});

const reach = `
import json, os, socket, sys
given = json.load(sys.stdin); reached = []; refusals = {}
def attempt(label, family, kind, address, payload):
    with socket.socket(family, kind) as s:
        s.settimeout(1)
        try:
            s.connect(address); s.send(payload)
            if kind == socket.SOCK_STREAM or s.recv(1): reached.append(label)
        except OSError as error: refusals[label] = error.strerror or str(error)
own = socket.create_server(("127.0.0.1", 0))
attempt("itself", socket.AF_INET, socket.SOCK_STREAM, own.getsockname(), b"x")
for host in given["hosts"]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in given["tcp"]: attempt("tcp " + host + " " + str(port), family, socket.SOCK_STREAM, (host, port), b"SET stolen 1\\r\\n")
    for port in given["udp"]: attempt("udp " + host + " " + str(port), family, socket.SOCK_DGRAM, (host, port), b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7example\\3com\\0\\0\\1\\0\\1")
for path in given["paths"]: attempt("unix " + path, socket.AF_UNIX, socket.SOCK_STREAM, path, b"GET /version HTTP/1.0\\r\\n\\r\\n")
for name in given["abstract"]: attempt("abstract " + name, socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + name, b"x")
for name in given["names"]:
    try: reached.append("name " + name + " " + socket.gethostbyname(name))
    except OSError: pass
print(json.dumps({"reached": reached, "tried": len(refusals) + len(reached)}))
`;

test("nothing outside is reached: no address or port of the host, no engine, Redis, metadata service or resolver", async () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  const beyond = ["0.0.0.0", "::1", "172.17.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "169.254.170.2"];
  const hosts = [
    ...new Set([...own, ...beyond, "100.100.100.200", "fd00:ec2::254", "8.8.8.8", "1.1.1.1", "2001:4860:4860::8888"]),
  ];
  const resolvers = [...readFileSync("/etc/resolv.conf", "utf8").matchAll(/^nameserver (\S+)/gm)].map(
    (found) => found[1] ?? "",
  );
  const engines = [
    "docker.sock",
    "docker/containerd/containerd.sock",
    "containerd/containerd.sock",
    "podman/podman.sock",
  ];
  const paths = [...engines.flatMap((name) => [`/var/run/${name}`, `/run/${name}`]), redisSocket];
  const abstract = [...readFileSync("/proc/net/unix", "utf8").matchAll(/ @(\S+)$/gm)].map((found) => found[1] ?? "");
  expect(abstract).toContain(abstractName);

  // The listeners count: the host itself is seen.
  for (const where of [{ port: ports.tcp, host: "127.0.0.1" }, { path: `\0${abstractName}` }])
    await once(connect(where).resume(), "close");
  const client = createSocket("udp4");
  client.send("x", ports.udp, "127.0.0.1", () => client.close());
  await expect.poll(() => hits).toEqual({ tcp: 1, udp: 1, abstract: 1 });
  const before = await redisConnections();

  const tried = {
    hosts: [...hosts, ...resolvers],
    tcp: [ports.tcp, ports.redis, 22, 53, 80, 443, 2375, 2376, 6379],
    udp: [ports.udp, 53],
    paths,
    abstract,
    names: [
      "example.com",
      "host.docker.internal",
      "gateway.docker.internal",
      "metadata.google.internal",
      "redis",
      "host",
    ],
  };
  const result = await python(reach, tried);

  const attempts = new Set(tried.hosts).size * (tried.tcp.length + tried.udp.length) + paths.length;
  expect(result).toEqual({ reached: ["itself"], tried: 1 + attempts + new Set(abstract).size });
  expect(hits).toEqual({ tcp: 1, udp: 1, abstract: 1 });
  expect(await redisConnections()).toBe(before);
  expect(await redis.keys("*")).toEqual(["secret"]);
  expect(
    await shell(
      sandbox,
      "find / -type s 2>/dev/null; getent ahosts example.com; tail -n +2 /proc/net/unix | grep @; true",
      "/",
    ),
  ).toBe("");
});

const whoAmI = `
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void say(void) {
  uid_t r, e, s; gid_t a, b, c;
  getresuid(&r, &e, &s); getresgid(&a, &b, &c);
  dprintf(1, "%d %d %d %d %d %d\\n", r, e, s, a, b, c);
  _exit(0);
}`;

test("every setuid and setgid program of the image runs as user 1000 and may be told what to load", async () => {
  await sandbox.writeFile("/tmp/who.c", Buffer.from(whoAmI));

  const said = await shell(
    sandbox,
    `gcc -shared -fPIC -o who.so who.c && find / -xdev -perm /6000 -type f -executable 2>/dev/null >programs; wc -l <programs
     while read -r program; do LD_PRELOAD=/tmp/who.so "$program" </dev/null; done <programs`,
    "/tmp",
  );

  const [programs, ...ids] = said.trim().split("\n");
  expect(Number(programs)).toBeGreaterThan(5);
  expect(ids).toEqual(Array.from({ length: Number(programs) }, () => "1000 1000 1000 1000 1000 1000"));
});

const become = `
import ctypes, json, os, subprocess
libc = ctypes.CDLL(None, use_errno=True)
ways = {
    "setuid": lambda: os.setuid(0), "setgid": lambda: os.setgid(0), "setgroups": lambda: os.setgroups([0]),
    "setresuid": lambda: os.setresuid(0, 0, 0), "setresgid": lambda: os.setresgid(0, 0, 0),
    "setreuid": lambda: os.setreuid(-1, 0), "initgroups": lambda: os.initgroups("root", 0),
}
done = []
for name, way in ways.items():
    try: way(); done.append(name)
    except OSError: pass
# An ambient capability; no bound on new privileges any more; capset with every bit.
if libc.prctl(47, 2, 21, 0, 0) == 0: done.append("ambient")
if libc.prctl(38, 0, 0, 0, 0) == 0: done.append("new privileges")
header = (ctypes.c_uint32 * 2)(0x20080522, 0); every = (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)
if libc.capset(header, every) == 0: done.append("capset")
for line in ["su -c id", "sudo -n id", "pkexec id", "doas id", "newgrp root", "sg root id", "runuser -u root id", "setpriv --reuid 0 id", "nsenter -t 1 -a id", "unshare -r id", "chroot / id"]:
    if subprocess.run(line, shell=True, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True).returncode == 0: done.append(line)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({"done": done, **{name: status[name] for name in ["Uid", "Gid", "CapEff", "CapPrm", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]}}))
`;

test("no call and no program makes it another user, or gives it a capability", async () => {
  const none = "0000000000000000";

  expect(await python(become)).toEqual({
    done: [],
    Uid: "1000\t1000\t1000\t1000",
    Gid: "1000\t1000\t1000\t1000",
    CapEff: none,
    CapPrm: none,
    CapBnd: none,
    CapAmb: none,
    NoNewPrivs: "1",
    Seccomp: "2",
  });
});

const writable = `
import json, os
files, folders = [], []
for root in ["/proc", "/sys", "/dev"]:
    for folder, inner, names in os.walk(root):
        if folder == "/proc": inner[:] = [name for name in inner if not name.isdigit()]
        for name in names:
            path = folder + "/" + name
            if os.path.islink(path): continue
            try: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)); files.append(path)
            except OSError: pass
def walk(folder):
    for entry in os.scandir(folder):
        if entry.path in ("/proc", "/sys") or not entry.is_dir(follow_symlinks=False): continue
        if os.access(entry.path, os.W_OK): folders.append(entry.path)
        elif os.access(entry.path, os.R_OK | os.X_OK): walk(entry.path)
walk("/")
print(json.dumps({"files": sorted(files), "folders": sorted(folders), "core_pattern": os.access("/proc/sys/kernel/core_pattern", os.W_OK)}))
`;

test("the kernel's files are closed to writing, and so is every folder but the run's own", async () => {
  const found = await python(writable);

  // Masked files are /dev/null in disguise; a pressure file takes a wish for a notice of the process's own.
  const harmless =
    /^\/dev\/(?:full|null|pts\/ptmx|random|urandom|zero)$|^\/proc\/(?:keys|timer_list|latency_stats|sched_debug|kcore|interrupts|asound|scsi)$|^\/proc\/pressure\/\w+$/;
  expect(found).toEqual({
    files: expect.toSatisfy(
      (files: string[]) => files.includes("/dev/null") && files.every((name) => harmless.test(name)),
    ),
    folders: ["/dev/mqueue", "/dev/shm", "/run/af", "/tmp", "/workspace"],
    core_pattern: false,
  });
});

test.each([
  ["core_pattern", "echo '|/workspace/x' >/proc/sys/kernel/core_pattern"],
  ["modprobe's path", "echo /workspace/x >/proc/sys/kernel/modprobe"],
  ["sysrq", "echo b >/proc/sysrq-trigger"],
  ["uevent_helper", "echo /workspace/x >/sys/kernel/uevent_helper"],
  [
    "release_agent",
    "for f in $(find /sys/fs/cgroup -name release_agent) /sys/fs/cgroup/release_agent; do echo /x >$f && exit 0; done; exit 1",
  ],
  [
    "its own limits",
    "for f in $(find /sys/fs/cgroup -name 'memory.limit_in_bytes' -o -name 'memory.max' -o -name pids.max) /none; do echo 99999999999 >$f && exit 0; done; exit 1",
  ],
  ["the kernel's memory", "head -c 1 /dev/mem || head -c 1 /dev/kmem || head -c 1 /proc/kcore | grep -q ."],
  ["the host's disk", "ls /dev/sd* /dev/vd* /dev/nvme* /dev/dm-* /dev/loop* /dev/kvm /dev/fuse 2>/dev/null | grep ."],
  ["a lower score for the killer of processes", "echo -1000 >/proc/self/oom_score_adj"],
  ["the host's root by pid 1", "ls /proc/1/root/var/lib/docker/overlay2"],
  ["a folder above its root", 'test "$(stat -c %i /..)" != "$(stat -c %i /)"'],
])("%s is out of reach", async (_what, command) => {
  const result = await say(sandbox, command);

  expect(result.end === "exited" && result.code).not.toBe(0);
});
