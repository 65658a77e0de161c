import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const plain = [
  "sh",
  "cat",
  "dirname",
  "tr",
  "sort",
  "sed",
  "cut",
  "sha256sum",
  "timeout",
  "touch",
  "git",
  "grep",
  "rm",
  "seq",
];

let bin: string;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), "agent-fix-bin-"));
  for (const name of plain) symlinkSync(find(name), join(bin, name));
});
afterEach(() => rmSync(bin, { recursive: true }));

function find(name: string): string {
  return spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim();
}

/** A program that answers in the place of a real one. */
function stub(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** The set-up on a machine that has only these programs; the packages of npm are there already. */
function setUp() {
  const { status, stdout, stderr } = spawnSync("sh", ["setup.sh"], { cwd: root, env: { PATH: bin }, encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("setup.sh says what it can't do, and the remedy", () => {
  it("without apt-get it names the programs to install", () => {
    stub("id", "echo 0");

    expect(setUp()).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/there is no apt-get .*docker\.io.*redis-server.*Install them/),
    });
  });

  it("without root it names the command for whoever has it", () => {
    stub("id", "echo 1000");
    stub("apt-get", "exit 1");

    expect(setUp()).toMatchObject({ status: 1, stderr: expect.stringContaining("Run: sudo apt-get install") });
  });

  it("when no engine answers and it may not start one, it says how to", () => {
    stub("id", "echo 1000");
    for (const name of ["redis-server", "dockerd"]) stub(name, "exit 1");
    stub("docker", "exit 1");

    expect(setUp()).toMatchObject({ status: 1, stderr: expect.stringContaining("sudo systemctl start docker") });
  });

  it("when DOCKER_HOST names an engine that does not answer, it starts none beside it", () => {
    stub("id", "echo 0");
    for (const name of ["redis-server", "dockerd"]) stub(name, "exit 1");
    stub("docker", "exit 1");
    const env = { PATH: bin, DOCKER_HOST: "unix:///nowhere" };
    const { status, stderr } = spawnSync("sh", ["setup.sh"], { cwd: root, env, encoding: "utf8" });

    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("DOCKER_HOST is unix:///nowhere"),
    });
  });
});
