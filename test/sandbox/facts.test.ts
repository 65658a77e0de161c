import { expect, test } from "vitest";
import { EngineAway } from "../../sandbox/docker.ts";
import { createEngine } from "../../sandbox/engine.ts";
import type { EngineFacts } from "../../sandbox/facts.ts";
import { engineAnswers, startTestEngine } from "../support/engine.ts";
import { image, testEngine } from "./support.ts";

async function factsOf(answers: Record<string, unknown>): Promise<EngineFacts> {
  await using engine = await startTestEngine(answers);
  return await createEngine({ instance: "x", image, socketPath: engine.socketPath }).facts();
}

test("an engine of Debian 12 tells its packages' revisions and its limits", async () => {
  expect(await factsOf(engineAnswers.debian12)).toEqual({
    version: "20.10.24+dfsg1",
    apiVersion: "1.41",
    operatingSystem: "Debian GNU/Linux 12 (bookworm)",
    kernel: "6.1.0-49-amd64",
    components: new Map([
      ["Engine", "20.10.24+dfsg1"],
      ["containerd", "1.6.20~ds1-1+deb12u3"],
      ["runc", "1.1.5+ds1-1+deb12u1"],
      ["docker-init", "0.19.0"],
    ]),
    runtimes: ["runc", "io.containerd.runc.v2"],
    storageDriver: "overlay2",
    backingFilesystem: "extfs",
    rootDir: "/var/lib/docker",
    cgroupVersion: "2",
    security: ["apparmor", "seccomp", "cgroupns"],
    unlimited: [],
    liveRestore: false,
  });
});

test("a rootless engine with containerd's image store tells what it cannot limit", async () => {
  expect(await factsOf(engineAnswers.rootless29)).toMatchObject({
    version: "29.5.1",
    components: new Map([
      ["Engine", "29.5.1"],
      ["containerd", "v2.2.5"],
      ["runc", "1.3.6"],
      ["rootlesskit", "2.3.5"],
    ]),
    runtimes: ["runc", "runsc"],
    storageDriver: "overlayfs",
    backingFilesystem: "",
    security: ["seccomp", "rootless", "cgroupns"],
    unlimited: ["swap", "pids"],
    liveRestore: true,
  });
});

test("what another engine does not tell, or tells otherwise, is empty", async () => {
  expect(await factsOf(engineAnswers.podman)).toMatchObject({
    components: new Map([
      ["Podman Engine", "5.6.2"],
      ["OCI Runtime (crun)", "crun version 1.24"],
    ]),
    runtimes: [],
    cgroupVersion: "",
    security: [],
    unlimited: [],
  });
});

test("an engine that is away is told apart from one that tells nothing", async () => {
  const away = createEngine({ instance: "x", image, socketPath: "/nonexistent/docker.sock" });

  await expect(away.facts()).rejects.toThrow(EngineAway);
});

test("the real engine tells every fact, and when our image was built", async () => {
  const facts = await testEngine().facts();
  const { created } = await testEngine().ensureImage(image);

  expect(facts.runtimes).toContain("runc");
  expect([...facts.components.keys()]).toEqual(expect.arrayContaining(["Engine", "containerd", "runc"]));
  expect(facts.kernel).toMatch(/^\d+\.\d+/);
  expect(facts.rootDir).toMatch(/^\//);
  expect(facts.storageDriver).not.toBe("");
  expect(facts.cgroupVersion).toMatch(/^[12]$/);
  expect(facts.security).toContain("seccomp");
  expect(created?.getTime()).toBeGreaterThan(Date.parse("2026-01-01"));
});

test("an image that does not say when it was built has no date", async () => {
  await using engine = await startTestEngine({
    "/images/old/json": { Id: "sha256:1", Created: "0001-01-01T00:00:00Z" },
    "/images/reproducible/json": { Id: "sha256:2", Created: "1970-01-01T00:00:01Z" },
    "/images/new/json": { Id: "sha256:3", Created: "2026-11-01T10:00:00.5Z" },
    "/images/silent/json": { Id: "sha256:4" },
  });
  const docker = createEngine({ instance: "x", image, socketPath: engine.socketPath });

  expect(await Promise.all(["old", "reproducible", "new", "silent"].map((ref) => docker.ensureImage(ref)))).toEqual([
    { id: "sha256:1", created: undefined },
    { id: "sha256:2", created: undefined },
    { id: "sha256:3", created: new Date("2026-11-01T10:00:00.5Z") },
    { id: "sha256:4", created: undefined },
  ]);
});
