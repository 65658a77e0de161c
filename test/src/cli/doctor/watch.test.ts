import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { watchVersions } from "../../../../src/cli/doctor/watch.ts";
import { readConfig } from "../../../../src/config.ts";
import { createLog } from "../../../../src/log.ts";
import { engineAnswers, startTestEngine } from "../../../support/engine.ts";
import { patiently, startRedis } from "../../../support/redis.ts";

it("warns at the start and again later of each version under its floor, and of no other", async () => {
  await using stack = new AsyncDisposableStack();
  const dataDir = mkdtempSync(join(tmpdir(), "agent-fix-watch-"));
  stack.defer(() => rmSync(dataDir, { recursive: true }));
  const redis = stack.use(await startRedis());
  // Debian's old runc beside an engine that is well.
  const version = engineAnswers.rootless29["/version"];
  const [engineItself, containerd] = version.Components;
  const runc = engineAnswers.debian12["/version"].Components[2];
  const engine = stack.use(
    await startTestEngine({
      ...engineAnswers.rootless29,
      "/version": { ...version, Components: [engineItself, containerd, runc] },
    }),
  );
  const config = readConfig({ DOCKER_HOST: `unix://${engine.socketPath}`, DATA_DIR: dataDir }, {});
  const said: { level: number; part: string; saw: string }[] = [];
  const log = createLog("info", (line) => line, { write: (line) => said.push(JSON.parse(line)) });
  const of = (part: string) => said.filter((line) => line.part === part);

  const watch = watchVersions({ config, redisUrl: redis.url, log }, 100);
  await expect.poll(() => of("runc").length, patiently).toBeGreaterThan(1);
  await watch[Symbol.asyncDispose]();

  expect(of("runc")[0]).toMatchObject({ level: 40, saw: expect.stringMatching(/^runc 1\.1\.5\+ds1.*Update it/) });
  for (const part of ["engine", "containerd", "kernel"]) expect(of(part)).toEqual([]);
});
