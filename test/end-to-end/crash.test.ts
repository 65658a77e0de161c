import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { composeTools } from "../../src/cli/compose.ts";
import { readRun } from "../../src/runlog.ts";
import {
  addProject,
  answerScripts,
  fileLabelled,
  finalStatus,
  pullsOf,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  // What is found dead is taken over soon: that wait is most of this file's time.
  laptop = await startTestLaptop({ scripts: answerScripts, worker: false, pace: { lockMs: 1500, stalledMs: 700 } });
});
afterAll(() => laptop[Symbol.asyncDispose]());

const program = fileURLToPath(new URL("support/dying-worker.ts", import.meta.url));

/** A worker process of its own, until it has killed itself after the run's N-th event. */
async function workUntil(event: number): Promise<NodeJS.Signals | null> {
  const { config, credentials, redisUrl, pace } = laptop.parts;
  const env = {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    APP_ID: String(credentials.id),
    PRIVATE_KEY: credentials.privateKey,
    WEBHOOK_SECRET: credentials.webhookSecret,
    GHE_HOST: new URL(laptop.github.url).host,
    GHE_PROTOCOL: "http",
    REDIS_URL: redisUrl,
    DATA_DIR: config.dataDir,
    MODEL_BASE_URL: config.model.baseUrl,
    LOG_LEVEL: "fatal",
  } as const;
  const child = spawn(process.execPath, [program, String(event), JSON.stringify(pace)], { env, stdio: "inherit" });
  const timer = setTimeout(() => child.kill("SIGTERM"), 60_000);
  const [, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  return signal;
}

function eventsOf(run: string) {
  return (readRun(laptop.dataDir, run) ?? []).map(({ type }) => type);
}

/** The events of one run that nothing disturbs: after each of them a worker dies. */
async function undisturbed(): Promise<string[]> {
  const where = await addProject(laptop, "undisturbed");
  const number = await fileLabelled(laptop, where);
  const worker = await laptop.startWorker();
  const { marker } = await finalStatus(laptop, where, number);
  await worker[Symbol.asyncDispose]();
  return eventsOf(marker.run);
}

test("a worker that is killed after any event of a run leaves one branch, one pull request, one comment and nothing else", async () => {
  const events = await undisturbed();
  expect(events.at(-1)).toBe("finished");
  expect(events).toContain("publish.intent");

  const { engine } = await composeTools(laptop.parts.config);

  for (const [index, event] of events.entries()) {
    const name = `killed-after-${index + 1}-${event.replace(".", "-")}`;
    const where = await addProject(laptop, name);
    const number = await fileLabelled(laptop, where);
    expect([name, await workUntil(index + 1)]).toEqual([name, "SIGKILL"]);

    const worker = await laptop.startWorker();
    const { marker } = await finalStatus(laptop, where, number);
    await expect.poll(() => worker.active.size, { timeout: 20_000 }).toBe(0);
    await worker[Symbol.asyncDispose]();

    expect([name, marker.state]).toEqual([name, "opened"]);
    const pulls = await pullsOf(laptop, where);
    expect([name, pulls.map((pull) => pull.head.ref)]).toEqual([name, [`agent-fix/issue-${number}`]]);
    const { data: full } = await laptop.as("ann").rest.pulls.get({ ...where, pull_number: pulls[0]?.number ?? 0 });
    expect([name, full.commits]).toEqual([name, 1]);
    expect([name, (await statusesOn(laptop, where, number)).length]).toEqual([name, 1]);
    expect([name, readdirSync(join(laptop.dataDir, "runs", marker.run))]).toEqual([
      name,
      expect.not.arrayContaining(["tokens"]),
    ]);
    const left = [...laptop.github.state.installationTokens.values()].map(({ permissions }) => permissions);
    const readOrWrite = left.filter(
      ({ contents, issues }) => contents === "write" || (contents && issues === undefined),
    );
    expect([name, readOrWrite]).toEqual([name, []]);
    expect([name, await engine.list()]).toEqual([name, []]);
  }
}, 900_000);
