import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createFolder,
  expectPullRequest,
  refusal,
  runCommand,
  serverIn,
  startCommand,
  startSite,
  urlOf,
} from "../support/command.ts";
import type { Folder, RunningCommand, Site } from "../support/command.ts";

let folder: Folder;
beforeAll(() => {
  folder = createFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe("up", () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site[Symbol.asyncDispose]());

  async function startUp(): Promise<RunningCommand> {
    const up = startCommand(["up"], { env: site.env });
    site.github.setWebhookUrl(`${await urlOf(up, /agent-fix is up/)}/api/github/webhooks`);
    return up;
  }

  it("makes a pull request of a labelled issue with a Redis of its own, and ends both at SIGTERM", async () => {
    await using up = await startUp();
    await expectPullRequest(site, "one-process");
    const redis = await serverIn(site.dataDir);
    expect(await redis?.config("GET", "appendonly")).toEqual(["appendonly", "yes"]);
    redis?.disconnect();

    const second = await runCommand(["up"], { env: site.env });
    up.signal("SIGTERM");

    expect(second).toMatchObject(refusal("Another agent-fix works in", site.dataDir, "DATA_DIR"));
    expect(await up.ended).toMatchObject({ code: 0 });
    expect(await serverIn(site.dataDir)).toBeUndefined();
  });

  it("goes on with the Redis and the runs that a killed one left", async () => {
    {
      await using killed = await startUp();
      killed.killAll();
      await killed.ended;
    }
    const left = await serverIn(site.dataDir);
    await left?.set("left", "here");
    left?.disconnect();
    expect(left).toBeDefined();

    await using up = await startUp();

    const adopted = await serverIn(site.dataDir);
    expect(await adopted?.get("left")).toBe("here");
    adopted?.disconnect();
    await expectPullRequest(site, "after-a-crash");
    up.signal("SIGTERM");
    expect(await up.ended).toMatchObject({ code: 0 });
    expect(await serverIn(site.dataDir)).toBeUndefined();
  });

  it("starts again with what it had when its Redis is killed", async () => {
    await using up = await startUp();
    const first = await urlOf(up, /agent-fix is up/);
    const redis = await serverIn(site.dataDir);
    await redis?.set("left", "before the crash");
    const { pid } = /process_id:(?<pid>\d+)/.exec((await redis?.info("server")) ?? "")?.groups ?? {};
    redis?.disconnect();

    process.kill(Number(pid), "SIGKILL");

    expect(await up.line(/"level":60/)).toMatch(/redis-server \d+ is gone/);
    await up.line(/ended unexpectedly \(70\) and starts again/);
    const again = await urlOf(up, new RegExp(`agent-fix is up at (?!${first}\\.)`));
    site.github.setWebhookUrl(`${again}/api/github/webhooks`);
    const back = await serverIn(site.dataDir);
    expect(await back?.get("left")).toBe("before the crash");
    back?.disconnect();
    await expectPullRequest(site, "after-its-redis");
    up.signal("SIGTERM");
    expect(await up.ended).toMatchObject({ code: 0 });
  });

  it("stops when what started it is killed", async () => {
    await using up = await startUp();
    up.signal("SIGKILL");

    await expect.poll(() => serverIn(site.dataDir), { timeout: 30_000 }).toBeUndefined();
  });

  it("keeps what Redis held over a stop", async () => {
    {
      await using up = await startUp();
      up.signal("SIGINT");
      expect(await up.ended).toMatchObject({ code: 0 });
    }

    await using up = await startUp();

    const redis = await serverIn(site.dataDir);
    expect(await redis?.get("left")).toBe("before the crash");
    redis?.disconnect();
    up.signal("SIGTERM");
    expect(await up.ended).toMatchObject({ code: 0 });
  });

  it("serves the page that creates the GitHub App where there are no credentials", async () => {
    const env = { DATA_DIR: join(folder.path, "new"), PORT: "0" };
    await using up = startCommand(["up"], { env });
    const url = await urlOf(up, /No GitHub App yet/);

    const page = await fetch(url);
    const alive = await fetch(`${url}/livez`);

    expect(page.status).toBe(200);
    expect(await page.text()).toContain("https://github.com/settings/apps/new");
    expect(alive.status).toBe(200);
    up.signal("SIGTERM");
    expect(await up.ended).toMatchObject({ code: 0 });
  });

  it("names the port that another process has", async () => {
    const port = new URL(site.model.url).port;

    const ended = await runCommand(["up"], { env: { ...site.env, PORT: port } });

    expect(ended).toMatchObject(refusal(`PORT ${port}`, "is in use"));
    expect(await serverIn(site.dataDir)).toBeUndefined();
  });
});
