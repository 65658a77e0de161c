import { release } from "node:os";
import { describe, expect, it, test } from "vitest";
import { createEngine } from "../../../../sandbox/engine.ts";
import type { EngineFacts } from "../../../../sandbox/facts.ts";
import type { Finding } from "../../../../src/cli/doctor/finding.ts";
import { gitVersion, judgeVersions, redisServerVersion } from "../../../../src/cli/doctor/versions.ts";
import { redisInfo } from "../../../../src/cli/doctor/services.ts";
import { engineAnswers, startTestEngine } from "../../../support/engine.ts";
import { startRedis } from "../../../support/redis.ts";

async function factsOf(answers: Record<string, unknown>): Promise<EngineFacts> {
  await using engine = await startTestEngine(answers);
  return await createEngine({ instance: "x", image: "x", socketPath: engine.socketPath }).facts();
}

const silent = { engine: undefined, git: undefined, redis: undefined };
const levels = (findings: Finding[]) => Object.fromEntries(findings.map(({ part, level }) => [part, level]));
const find = (findings: Finding[], part: string) => findings.find((finding) => finding.part === part);

test("old versions of a distribution are warned of, with the fault, the fixed versions and what to do", async () => {
  const findings = judgeVersions({
    ...silent,
    engine: await factsOf(engineAnswers.debian12),
    git: "git version 2.39.5",
  });

  expect(levels(findings)).toEqual({
    engine: "warn",
    runc: "warn",
    containerd: "warn",
    kernel: "warn",
    git: "warn",
    "redis-server": "warn",
  });
  expect(find(findings, "engine")?.saw).toMatch(/^Docker 20\.10\.24\+dfsg1 on Debian GNU\/Linux 12 .*CVE-2024-29018/);
  expect(find(findings, "git")).toMatchObject({
    saw: expect.stringMatching(/^git 2\.39\.5 is older than the fix of CVE-2025-48384 .*mended in 2\.43\.7, 2\.44\.4/),
    remedy: expect.stringMatching(/Update it, unless your distribution/),
  });
  expect(find(findings, "runc")?.saw).toMatch(
    /^runc 1\.1\.5\+ds1-1\+deb12u1 .*CVE-2024-21626.*; and of CVE-2025-31133/,
  );
});

test("versions with every fix are well", async () => {
  const engine = await factsOf(engineAnswers.rootless29);

  const findings = judgeVersions({ engine, git: "git version 2.51.0", redis: "redis_version:8.6.3\r\n" });

  expect(findings.map(({ level }) => level)).toEqual(Array(6).fill("ok"));
  expect(findings.map(({ saw }) => saw)).toEqual([
    "Docker 29.5.1 on Ubuntu 26.04 LTS",
    "runc 1.3.6",
    "containerd v2.2.5",
    "Linux 6.18.30",
    "git 2.51.0",
    "Redis 8.6.3",
  ]);
});

test("what does not answer is not known, and not bad", () => {
  const findings = judgeVersions(silent);

  expect(findings.map(({ level }) => level)).toEqual(Array(6).fill("warn"));
  for (const { saw } of findings) expect(saw).toMatch(/^not known: /);
});

test("an engine that is not Docker's is held against no floor of Docker's", async () => {
  const findings = judgeVersions({ ...silent, engine: await factsOf(engineAnswers.podman) });

  expect(find(findings, "engine")).toMatchObject({
    level: "ok",
    saw: expect.stringMatching(/^Podman Engine.*5\.6\.2/),
  });
  expect(find(findings, "runc")).toMatchObject({ level: "warn", saw: expect.stringContaining("not known") });
});

describe("the server behind REDIS_URL", () => {
  it.each([
    ["redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.7\r\n", "ok", "Valkey 8.1.7"],
    ["redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.3\r\n", "warn", "Valkey 8.1.3"],
    ["redis_version:7.4.0\r\ndragonfly_version:df-v1.34.2\r\n", "ok", "Dragonfly df-v1.34.2"],
    ["redis_version:8.2.5\r\n", "warn", "Redis 8.2.5"],
    ["Redis server v=8.6.3 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1", "ok", "Redis 8.6.3"],
    ["Valkey server v=9.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1", "ok", "Valkey 9.1.1"],
    ["something else", "warn", "not known"],
  ])("that says %j is %s", (redis, level, saw) => {
    const finding = find(judgeVersions({ ...silent, redis }), "redis-server");

    expect(finding).toMatchObject({ level, saw: expect.stringMatching(`^${saw}`) });
  });

  it("is asked, and so is the one that `up` would start", async () => {
    await using server = await startRedis();

    const [running, installed] = [await redisInfo(server.url), await redisServerVersion()];

    const saw = (redis: string | undefined) => find(judgeVersions({ ...silent, redis }), "redis-server")?.saw;
    expect(saw(running)).toMatch(/^(Redis|Valkey) \d/);
    expect(saw(installed)).toBe(saw(running));
  });
});

test("git is asked for its version", async () => {
  expect(await gitVersion()).toMatch(/^git version \d+\.\d+/);
});

test("the kernel of this machine has a number", async () => {
  const engine = await factsOf(engineAnswers.rootless29);

  const finding = find(judgeVersions({ ...silent, engine: { ...engine, kernel: release() } }), "kernel");

  expect(finding?.saw).toMatch(/^Linux \d+\.\d+/);
});
