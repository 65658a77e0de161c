import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, expect, expectTypeOf, test } from "vitest";
import { createEngine, type Mount, type Sandbox } from "../../sandbox/engine.ts";
import { seccompProfile } from "../../sandbox/seccomp.ts";
import { containerSpec, type ContainerSpec, type HostConfig, type Shape } from "../../sandbox/spec.ts";
import { image, limits, say, specOf, testEngine } from "./support.ts";

const instance = `test-${randomBytes(6).toString("hex")}`;
const engine = createEngine({ instance, image });
const folder = mkdtempSync(join(tmpdir(), "agent-fix-spec-"));
const root = join(import.meta.dirname, "../..");
const canary = `canary-${randomBytes(12).toString("hex")}`;
let volume: string;
let sandbox: Sandbox;

beforeAll(async () => {
  process.env["AGENT_FIX_CANARY"] = canary;
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "file"), "from the host\n");
  volume = (await engine.createVolume({ run: "run-1", role: "workspace" })).name;
  const mounts: Mount[] = [
    { volume, at: "/workspace" },
    { hostDir: folder, at: "/mirror/0", readOnly: true },
  ];
  sandbox = await engine.startSandbox(specOf({ mounts, env: { LANG: "C.UTF-8" } }));
});

afterAll(async () => {
  delete process.env["AGENT_FIX_CANARY"];
  await sandbox[Symbol.asyncDispose]();
  await engine.removeVolume(volume);
  rmSync(folder, { recursive: true, force: true });
});

async function written(command: string): Promise<string> {
  return (await say(sandbox, command)).output.text;
}

/** Everything that the engine may report of a host configuration and that is not listed has to be empty. */
const golden = {
  CapDrop: ["ALL"],
  SecurityOpt: ["no-new-privileges", `seccomp=${seccompProfile}`],
  Privileged: false,
  ReadonlyRootfs: true,
  IpcMode: "private",
  CgroupnsMode: "private",
  NetworkMode: "none",
  PidsLimit: limits.pids,
  Memory: limits.memoryBytes,
  MemorySwap: limits.memoryBytes,
  NanoCpus: limits.cpus * 1e9,
  Init: true,
  LogConfig: { Type: "none", Config: {} },
  RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
  Ulimits: [
    { Name: "core", Soft: 0, Hard: 0 },
    { Name: "nofile", Soft: 16_384, Hard: 16_384 },
    { Name: "fsize", Soft: 8 * 2 ** 30, Hard: 8 * 2 ** 30 },
  ],
  Tmpfs: {
    "/tmp": "rw,exec,nosuid,nodev,size=512m,nr_inodes=500k,uid=1000,gid=1000,mode=1777",
    "/run/af": "rw,noexec,nosuid,nodev,size=256m,nr_inodes=40k,uid=1000,gid=1000,mode=0700",
  },
};

function isEmpty(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).every(isEmpty);
  return value === undefined || value === null || value === "" || value === false || value === 0;
}

test("a live container is exactly the frozen spec: no privilege, no device, no host namespace, no log, our labels", async () => {
  const inspected = await new Docker().getContainer(sandbox.id).inspect();
  const {
    Mounts: _mounts,
    MaskedPaths: masked,
    ReadonlyPaths: readonly,
    Runtime,
    ShmSize,
    ...host
  } = inspected.HostConfig;
  const rest = Object.entries(host).filter(([name, value]) => name in golden || !isEmpty(value));

  expect(Object.fromEntries(rest)).toEqual(golden);
  // What the engine fills in by itself.
  expect(masked).toEqual(expect.arrayContaining(["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]));
  expect(readonly).toEqual(
    expect.arrayContaining(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
  );
  expect([Runtime, ShmSize]).toEqual(["runc", 64 * 2 ** 20]);
});

test("the process of a live container is ours: its user, command and labels, and nothing that the image asks for", async () => {
  const { Config: config, Image } = await new Docker().getContainer(sandbox.id).inspect();

  expect(Image).toBe(sandbox.image.id);
  expect(config).toMatchObject({
    User: "1000:1000",
    Tty: false,
    WorkingDir: "/tmp",
    Entrypoint: [],
    Cmd: ["/bin/sh", "-s"],
    Healthcheck: { Test: ["NONE"] },
  });
  expect(config.Labels).toMatchObject({
    "agent-fix.instance": instance,
    "agent-fix.run": "run-1",
    "agent-fix.role": "agent",
  });
});

const shape: Shape = {
  image,
  command: ["true"],
  labels: {},
  mounts: [
    { volume: "some-volume", at: "/workspace" },
    { hostDir: "/srv/mirror", at: "/mirror/0", readOnly: true },
  ],
  cwd: "/",
  env: {},
  limits,
  network: "none",
  runtime: undefined,
  stdin: "once",
};

test("a spec is frozen to its depths", () => {
  const { HostConfig: host } = containerSpec(shape);

  expect(() => Object.assign(host, { Privileged: true })).toThrow("read only");
  expect(() => host.Mounts.pop()).toThrow("delete property");
  expect(() => Object.assign(host.SecurityOpt, ["no-new-privileges", "seccomp=unconfined"])).toThrow("read only");
});

type With<Spec, More> = Omit<Spec, keyof More> & More;
type Folder = Extract<HostConfig["Mounts"][number], { Type: "bind" }>;
type VolumeMount = Extract<HostConfig["Mounts"][number], { Type: "volume" }>;

test("privileges, host folders and host namespaces can't be written in the type of a spec", () => {
  // `tsc` checks these. The first ones show that what may differ does fit.
  expectTypeOf<With<HostConfig, { Memory: 1; NetworkMode: "none" }>>().toExtend<HostConfig>();
  expectTypeOf<With<ContainerSpec, { Image: "other" }>>().toExtend<ContainerSpec>();
  expectTypeOf<With<Folder, { Target: "/other" }>>().toExtend<HostConfig["Mounts"][number]>();

  expectTypeOf<With<HostConfig, { Privileged: true }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { CapAdd: ["SYS_ADMIN"] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { CapDrop: ["NET_RAW"] }>>().not.toExtend<HostConfig>();
  expectTypeOf<
    With<HostConfig, { SecurityOpt: ["no-new-privileges", "apparmor=unconfined"] }>
  >().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { SecurityOpt: [`seccomp=${string}`] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { ReadonlyRootfs: false }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { Binds: ["/var/run/docker.sock:/var/run/docker.sock"] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { VolumesFrom: ["other"] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { NetworkMode: "host" }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { NetworkMode: "bridge" }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { PidMode: "host" }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { IpcMode: "host" }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { CgroupnsMode: "host" }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { UTSMode: "host" }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { UsernsMode: "host" }>>().not.toExtend<HostConfig>();
  expectTypeOf<
    With<HostConfig, { Devices: [{ PathOnHost: "/dev/kvm"; PathInContainer: "/dev/kvm"; CgroupPermissions: "rwm" }] }>
  >().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { DeviceCgroupRules: ["a *:* rwm"] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { MaskedPaths: string[] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { ReadonlyPaths: string[] }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { Sysctls: { "net.ipv4.ip_forward": "1" } }>>().not.toExtend<HostConfig>();
  expectTypeOf<
    With<HostConfig, { LogConfig: { Type: "json-file"; Config: Record<string, never> } }>
  >().not.toExtend<HostConfig>();
  expectTypeOf<With<HostConfig, { PortBindings: { "80/tcp": [{ HostPort: "80" }] } }>>().not.toExtend<HostConfig>();
  expectTypeOf<With<Folder, { Source: string }>>().not.toExtend<HostConfig["Mounts"][number]>();
  expectTypeOf<With<Folder, { ReadOnly: false }>>().not.toExtend<HostConfig["Mounts"][number]>();
  expectTypeOf<With<Folder, { BindOptions: { Propagation: "rshared" } }>>().not.toExtend<
    HostConfig["Mounts"][number]
  >();
  expectTypeOf<
    With<VolumeMount, { VolumeOptions: { DriverConfig: { Name: string; Options: Record<string, string> } } }>
  >().not.toExtend<HostConfig["Mounts"][number]>();
  expectTypeOf<With<ContainerSpec, { User: "0:0" }>>().not.toExtend<ContainerSpec>();
  expectTypeOf<With<ContainerSpec, { Volumes: { "/data": object } }>>().not.toExtend<ContainerSpec>();
  expectTypeOf<With<ContainerSpec, { NetworkingConfig: { EndpointsConfig: object } }>>().not.toExtend<ContainerSpec>();
});

test("one place creates containers, and one describes their host configuration", () => {
  const files = ["src", "worker", "sandbox"].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: "utf8" }).map((name) => join(room, name)),
  );
  const code = files
    .filter((name) => /\.[jt]s$/.test(name))
    .map((name) => [name, readFileSync(join(root, name), "utf8")] as const);
  const naming = (pattern: RegExp) => code.flatMap(([name, text]) => (pattern.test(text) ? [name] : []));

  expect(code.length).toBeGreaterThan(50);
  expect(naming(/\bHostConfig\b/)).toEqual(["sandbox/spec.ts"]);
  expect(naming(/\.createContainer\(|\/containers\/create/)).toEqual(["sandbox/docker.ts"]);
  expect(naming(/\bcreateContainer\b/).filter((name) => name !== "sandbox/docker.ts")).toEqual(
    naming(/import \{[^}]*\bcontainerSpec\b[^}]*\} from/),
  );
  expect(naming(/\bPrivileged\b|seccomp=unconfined|docker\.sock:/)).toEqual(["sandbox/spec.ts"]);
  expect(naming(/["'`](?:docker|podman|nerdctl)["'`],\s*\[/)).toEqual([]);
});

test("a volume is the one thing that can be written; folders of the host are mounted read-only and privately", async () => {
  const { Mounts: mounts } = await new Docker().getContainer(sandbox.id).inspect();

  expect(
    mounts
      .map(({ Type, Source, Destination, RW, Propagation }) => ({
        Type,
        Source: Type === "bind" ? Source : "",
        Destination,
        RW,
        Propagation,
      }))
      .toSorted((left, right) => (left.Destination < right.Destination ? -1 : 1)),
  ).toEqual([
    { Type: "bind", Source: folder, Destination: "/mirror/0", RW: false, Propagation: "rprivate" },
    { Type: "volume", Source: "", Destination: "/workspace", RW: true, Propagation: "" },
  ]);
  expect(await written("cat /mirror/0/file; echo x >/mirror/0/file; echo x >/workspace/x && echo wrote")).toMatch(
    /^from the host\n.*Read-only file system\nwrote\n$/,
  );
});

test("no process has a capability or can get one, in whatever way it is started", async () => {
  const status = "grep -hE '^(Uid|Gid|Cap|NoNewPrivs|Seccomp:)' /proc/self/status";

  const lines = (await written(`${status}; cp /bin/grep /tmp/grep; chmod u+s /tmp/grep; /tmp/${status}`))
    .trim()
    .split("\n");

  expect(new Set(lines.map((line) => line.replaceAll("\t", " ")))).toEqual(
    new Set([
      "Uid: 1000 1000 1000 1000",
      "Gid: 1000 1000 1000 1000",
      ...["Inh", "Prm", "Eff", "Bnd", "Amb"].map((set) => `Cap${set}: 0000000000000000`),
      "NoNewPrivs: 1",
      "Seccomp: 2",
    ]),
  );
  expect(await written("for p in /proc/[0-9]*/status; do grep -h CapEff $p; done 2>/dev/null | sort -u")).toBe(
    "CapEff:\t0000000000000000\n",
  );
});

test.each([
  ["a user namespace", "unshare -U true"],
  ["a network namespace", "unshare -n true"],
  ["a mount", "mount -t tmpfs none /tmp"],
  ["a mount in a user namespace", "unshare -Urm true"],
  ["a device", "mknod /tmp/disk b 8 0"],
  ["the root", "touch /written"],
  ["a program of the image", "touch /usr/bin/written"],
  ["the list of users", "echo x >>/etc/passwd"],
  ["kernel settings", "echo 1 >/proc/sys/kernel/core_pattern"],
  ["control groups", "mkdir /sys/fs/cgroup/mine || mkdir /sys/fs/cgroup/memory/mine"],
  ["the owner of a file", "touch /tmp/mine && chown 0 /tmp/mine"],
  ["raw packets", "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'"],
  ["the kernel's log", "dmesg"],
  ["another root", "chroot / true"],
  ["an engine", "ls /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock 2>/dev/null | grep ."],
  ["the host's processes", "ps -e -o args= | grep -E 'dockerd|containerd|vitest' | grep -v grep"],
  ["a file of nine gigabytes", "truncate -s 9G /workspace/x"],
  ["a file that fills /run/af", "head -c 300000000 /dev/zero >/run/af/x; code=$?; rm /run/af/x; exit $code"],
])("%s is out of reach", async (_what, command) => {
  const result = await say(sandbox, command);

  expect(result.end === "exited" && result.code).not.toBe(0);
});

test("there is no network: loopback alone, no route, no name, no connection", async () => {
  const found = await written(
    `ls /sys/class/net; tail -n +2 /proc/net/route; grep -v ' lo$' /proc/net/ipv6_route /proc/net/if_inet6
     getent hosts example.com; for a in 8.8.8.8/53 172.17.0.1/2375 169.254.169.254/80; do (echo >/dev/tcp/$a) 2>/dev/null && echo reached $a; done`,
  );

  expect(found).toBe("lo\n");
});

test("nothing of the worker's environment is inside: no variable, no process, no file tells its secret", async () => {
  expect(
    await written("env | sed 's/=.*//' | sort | grep -vxE '_|AF_STEP|HOME|HOSTNAME|LANG|OLDPWD|PATH|PWD|SHLVL'"),
  ).toBe("");
  const pattern = canary.replace("canary", "c[a]nary");
  const search = `grep -laE '${pattern}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; grep -rlE '${pattern}' /etc /run /tmp /workspace /home 2>/dev/null`;

  expect(await written(search)).toBe("");
  await sandbox.writeFile("/tmp/planted", Buffer.from(canary));
  expect(await written(search)).toBe("/tmp/planted\n");
});

test("a process that takes every process there may be does not take the host's", async () => {
  await using own = await engine.startSandbox(specOf({ limits: { ...limits, pids: 40 } }));

  const result = await say(own, "i=0; while [ $i -lt 100 ]; do sleep 60 & i=$((i+1)); done; sleep 60", {
    timeoutMs: 3_000,
  });

  expect(["exited", "timed-out", "killed"]).toContain(result.end);
  const running = execFileSync("docker", ["top", own.id], { encoding: "utf8" }).trim().split("\n").length - 1;
  expect(running).toBeLessThanOrEqual(40);
});

test.each([
  "/",
  "/proc",
  "/proc/1/root",
  "/sys",
  "/dev",
  "/etc",
  "/home",
  "/root",
  "/var/run",
  "/var/run/docker.sock",
  "/srv/own/docker.sock",
  "/srv/own/podman.sock",
  "/run",
  "/run/docker",
  "/run/containerd/io.containerd.runtime.v2.task",
  "/run/user/1000",
  "/run/user/1000/podman",
  "/var/lib/docker",
  "/var/lib/docker/volumes/of-another/_data",
  "/proc/",
  "//etc",
  "/./etc/",
  "relative/path",
  "/tmp/../etc",
])("the folder %s of the host is not mounted", async (hostDir) => {
  const mounts: Mount[] = [{ hostDir, at: "/mirror/0", readOnly: true }];

  await expect(engine.startSandbox(specOf({ mounts }))).rejects.toThrow("does not mount");
});

test("a runtime that the engine does not know is an error and not another runtime", async () => {
  const strict = createEngine({ instance, image, runtime: "no-such-runtime" });

  await expect(strict.startSandbox(specOf())).rejects.toThrow("no-such-runtime");
});

test("the engine tells its version and its runtimes", async () => {
  const told = await testEngine().facts();

  expect(told.version).toMatch(/^\d+\./);
  expect(told.apiVersion).toMatch(/^1\.\d+$/);
  expect(told.runtimes).toContain("runc");
});
