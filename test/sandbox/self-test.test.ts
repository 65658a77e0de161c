import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { expect, test } from "vitest";
import { createEngine } from "../../sandbox/engine.ts";
import { judgeRuntime, proveRuntime, type Probed } from "../../sandbox/self-test.ts";
import { readConfig } from "../../src/config.ts";
import { composeTools, requireRuntime } from "../../src/cli/compose.ts";
import { ConfigError } from "../../src/errors.ts";
import { image } from "./support.ts";

const { KernelVersion: kernel }: { KernelVersion: string } = await new Docker().info();

function engineWith(runtime: string) {
  return createEngine({ instance: `test-${randomBytes(6).toString("hex")}`, image, runtime });
}

const gvisorLog = `[    0.000000] Starting gVisor...
[    0.350153] Mounting deweydecimalfs...
[    3.300441] Setting up VFS...
`;
const linuxLog = "[    0.000000] Linux version 6.1.0-40-amd64 (debian-kernel@lists.debian.org)\n";

test("a runtime that the engine does not know is refused, with those that it knows and the remedy", async () => {
  const proof = await proveRuntime(engineWith("no-such-runtime"), "no-such-runtime");

  expect(proof).toEqual({
    ok: false,
    reason: expect.stringMatching(/^Refusing to start: .*"no-such-runtime".*runc.*daemon\.json.*unset SANDBOX_RUNTIME/),
  });
});

test("a shim that the engine is not told of is tried, and refused with the engine's own words when it is not there", async () => {
  const proof = await proveRuntime(engineWith("io.containerd.nothing.v2"), "io.containerd.nothing.v2");

  expect(proof).toEqual({
    ok: false,
    reason: expect.stringMatching(
      /no container starts with the runtime "io\.containerd\.nothing\.v2".*\(.*unknown runtime.*\)/i,
    ),
  });
});

test("the engine's own runtime is what it is: the kernel of the host", async () => {
  const proof = await proveRuntime(engineWith("runc"), "runc");

  expect(proof).toEqual({ ok: true, saw: expect.stringContaining(`runtime runc: kernel ${kernel}`) });
});

test.each(["runsc", "kata"])("an engine whose %s is runc under another name is found out", async (runtime) => {
  const real = engineWith("runc");
  const posing: Probed = {
    helperImage: real.helperImage,
    runOnce: (spec, signal) => real.runOnce(spec, signal),
    facts: async () => ({ runtimes: ["runc", runtime], kernel }),
  };

  const proof = await proveRuntime(posing, runtime);

  expect(proof).toEqual({ ok: false, reason: expect.stringContaining(`the kernel ${kernel}`) });
});

test("no leftover of a self-test stays, whatever it found", async () => {
  const engine = engineWith("runc");

  await proveRuntime(engine, "runc");
  await proveRuntime(engineWith("io.containerd.nothing.v2"), "io.containerd.nothing.v2");

  expect(await engine.list()).toEqual([]);
});

test("a worker whose SANDBOX_RUNTIME is unknown does not start; without one it uses the engine's default", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "agent-fix-runtime-"));
  try {
    const config = readConfig({ DATA_DIR: dataDir, SANDBOX_RUNTIME: "no-such-runtime" });
    const refusal = requireRuntime(await composeTools(config), config);

    await expect(refusal).rejects.toThrow(ConfigError);
    await expect(refusal).rejects.toThrow("no-such-runtime");
    const plain = readConfig({ DATA_DIR: dataDir });
    expect(await requireRuntime(await composeTools(plain), plain)).toBe("the engine's default");
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test.each([
  ["its log", { release: "4.4.0", log: gvisorLog }],
  ["its log, whenever it began", { release: "4.4.0", log: gvisorLog.replace("    0.000000", "12345.678901") }],
  ["its kernel's name", { release: "4.19.0-gvisor", log: "" }],
])("gVisor is known by %s", (_mark, seen) => {
  for (const name of ["runsc", "runsc-kvm", "gvisor", "io.containerd.runsc.v1"])
    expect(judgeRuntime(name, seen, "6.1.0")).toEqual({ ok: true, saw: expect.stringContaining("gVisor") });
});

test.each([
  ["Linux", { release: "6.1.0-40-amd64", log: linuxLog }],
  ["a kernel that shows no log", { release: "6.1.0-40-amd64", log: "" }],
  [
    "a Linux that speaks of gVisor in passing",
    { release: "6.1.0", log: `${linuxLog}[  1.0] run: Not Starting gVisor...\n` },
  ],
  ["nothing at all", { release: "", log: "" }],
])("%s is not taken for gVisor", (_what, seen) => {
  expect(judgeRuntime("runsc", seen, "6.1.0")).toEqual({
    ok: false,
    reason: expect.stringContaining("nothing says gVisor"),
  });
});

test("Kata is known by a kernel of its own; the host's kernel, or an engine that does not tell its own, proves nothing", () => {
  const seen = { release: "6.12.47", log: "" };

  expect(judgeRuntime("io.containerd.kata.v2", seen, "6.1.0")).toMatchObject({ ok: true });
  expect(judgeRuntime("kata-qemu", seen, "6.12.47")).toMatchObject({
    ok: false,
    reason: expect.stringContaining("the host's own"),
  });
  expect(judgeRuntime("kata-qemu", seen, "")).toMatchObject({
    ok: false,
    reason: expect.stringContaining("does not tell"),
  });
});
