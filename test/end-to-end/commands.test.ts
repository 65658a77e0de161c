import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runsDir } from "../../src/runlog.ts";
import { startRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import {
  connectTo,
  createFolder,
  engineOf,
  launcher,
  nodes,
  processesWith,
  refusal,
  runCommand,
  serverIn,
  startCommand,
  startFailingModel,
  startSite,
} from "./support/command.ts";
import type { Folder, RunningCommand, Site } from "./support/command.ts";
import { brokenProject } from "./support/laptop.ts";

let folder: Folder;
beforeAll(() => {
  folder = createFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const waitMs = 90_000;

/** Files an issue on a new project as ann and sets the label; waits for the pull request that answers it. */
async function expectPullRequest(site: Site, name: string): Promise<void> {
  await site.github.addRepository({ owner: "ann", name, files: brokenProject });
  site.github.install({ repositories: [`ann/${name}`] });
  const where = { owner: "ann", repo: name };
  const octokit = site.as("ann");
  const { data: issue } = await octokit.rest.issues.create({ ...where, title: "The answer is wrong", body: "41?" });
  await octokit.rest.issues.addLabels({ ...where, issue_number: issue.number, labels: ["agent-fix"] });
  const pulls = async () => (await octokit.rest.pulls.list({ ...where, state: "all" })).data;
  const comments = async () =>
    (await octokit.rest.issues.listComments({ ...where, issue_number: issue.number })).data.map(({ body }) => body);
  await expect.poll(comments, { timeout: waitMs, interval: 200 }).toEqual([expect.stringMatching(/Opened .*#2/)]);
  expect(await pulls()).toMatchObject([{ title: "Give the right answer", state: "open", number: 2 }]);
}

async function urlOf(command: RunningCommand, line: RegExp): Promise<string> {
  return /http:\/\/[\d.]+:\d+/.exec(await command.line(line))?.[0] ?? "";
}

describe("the launcher", () => {
  it.each(["system", "own"] as const)(
    "starts the command from any folder and through a symlink with %s Node",
    async (node) => {
      const bin = join(folder.path, `agent-fix-${node}`);
      symlinkSync(launcher, bin);

      const ended = await runCommand(["runs", "--json"], { node, bin, cwd: "/", env: { DATA_DIR: folder.path } });

      expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
    },
  );

  it.each(["SIGTERM", "SIGINT"] as const)("passes %s and the exit code on under the system's Node", async (signal) => {
    const env = { DATA_DIR: join(folder.path, signal), PORT: "0" };
    await using command = startCommand(["up"], { node: "system", env });
    await command.line(/No GitHub App yet/);

    command.signal(signal);

    expect(await command.ended).toMatchObject({ code: 0 });
    expect(await runCommand(["frobnicate"], { node: "system" })).toMatchObject({ code: 2 });
    expect(nodes.system).not.toBe(nodes.own);
  });
});

describe.concurrent("usage", () => {
  const commands = ["up", "web", "worker", "resolve", "doctor", "demo", "runs", "runs show"];

  it.for(commands)("%s --help says how it is used", async (command, { expect }) => {
    const ended = await runCommand([...command.split(" "), "--help"]);

    expect(ended).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining(`Usage: agent-fix ${command}`),
    });
  });

  it("the help of agent-fix names every command", async ({ expect }) => {
    const ended = await runCommand(["--help"]);

    const named = [...ended.stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(named).toEqual(["up", "web", "worker", "resolve", "doctor", "demo", "runs", "help"]);
  });

  it.for<[args: string[], says: string]>([
    [["frobnicate"], "unknown command 'frobnicate'"],
    [["up", "--frob"], "unknown option '--frob'"],
    [["web", "extra"], "extra"],
    [["runs", "show"], "missing required argument 'id'"],
    [["resolve", "--repo"], "--repo <dir>"],
    [["demo", "--story", "nope"], "issue, review, maintenance"],
    [["demo", "--case", "nope"], "minimist"],
    [["demo", "--story", "review", "--case", "minimist"], "--case"],
  ])("%j is wrong usage", async ([args, says], { expect }) => {
    expect(await runCommand(args)).toMatchObject(refusal(says));
  });

  it.for<[variable: string, value: string, says: string[]]>([
    ["PORT", "99999", ["PORT", "99999", "0 to 65535"]],
    ["PRIVATE_KEY", "garbage", ["PRIVATE_KEY", ".pem"]],
    ["PRIVATE_KEY_PATH", "/nonexistent.pem", ["PRIVATE_KEY_PATH", "/nonexistent.pem", ".pem file"]],
    ["MODEL_BASE_URL", "nonsense", ["MODEL_BASE_URL", "nonsense", "http://localhost:8000/v1"]],
    ["REDIS_URL", "localhost", ["REDIS_URL", "localhost", "redis://HOST:PORT"]],
    ["GHE_HOST", "https://x.example", ["GHE_HOST", "https://x.example", "without protocol"]],
    ["WORKER_CONCURRENCY", "0", ["WORKER_CONCURRENCY", "0", "at least 1"]],
  ])("%s=%s is named with what to do", async ([variable, value, says], { expect }) => {
    const ended = await runCommand(["up"], { env: { [variable]: value, DATA_DIR: folder.path } });

    expect(ended).toMatchObject(refusal(...says));
  });
});

describe("web and worker", () => {
  let site: Site;
  let redis: TestRedis;
  beforeAll(async () => {
    site = await startSite();
    redis = await startRedis();
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  it("make one pull request of a labelled issue as two processes, and stop at SIGTERM", async () => {
    const env = { ...site.env, REDIS_URL: redis.url };
    await using web = startCommand(["web"], { env });
    await using worker = startCommand(["worker"], { env });
    site.github.setWebhookUrl(`${await urlOf(web, /web is up/)}/api/github/webhooks`);
    await worker.line(/worker is up/);

    await expectPullRequest(site, "two-processes");

    web.signal("SIGTERM");
    worker.signal("SIGTERM");
    expect([await web.ended, await worker.ended]).toMatchObject([{ code: 0 }, { code: 0 }]);
  });

  it("end at SIGTERM also when their Redis is gone", async () => {
    await using own = await startRedis();
    const env = { ...site.env, REDIS_URL: own.url };
    await using web = startCommand(["web"], { env });
    await using worker = startCommand(["worker"], { env });
    await web.line(/web is up/);
    await worker.line(/worker is up/);
    await own[Symbol.asyncDispose]();

    web.signal("SIGTERM");
    worker.signal("SIGTERM");

    expect([await web.ended, await worker.ended]).toMatchObject([{ code: 0 }, { code: 0 }]);
  });

  describe.concurrent.each(["web", "worker"])("%s", (role) => {
    it.for<[what: string, env: Record<string, string>, says: string[]]>([
      ["without Redis", { REDIS_URL: "" }, ["REDIS_URL is not set", "agent-fix up"]],
      ["without WEBHOOK_SECRET", { WEBHOOK_SECRET: "" }, ["WEBHOOK_SECRET is not set", "openssl rand -hex 32"]],
      ["with a weak WEBHOOK_SECRET", { WEBHOOK_SECRET: "development" }, ["WEBHOOK_SECRET is too weak", "openssl"]],
      ["with one letter as WEBHOOK_SECRET", { WEBHOOK_SECRET: "a".repeat(40) }, ["WEBHOOK_SECRET is too weak"]],
      ["without APP_ID", { APP_ID: "" }, ["APP_ID is not set"]],
      ["without any credential", { APP_ID: "", PRIVATE_KEY: "", WEBHOOK_SECRET: "" }, ["APP_ID", "agent-fix up"]],
    ])("does not start %s", async ([, wrong, says], { expect }) => {
      const ended = await runCommand([role], { env: { ...site.env, REDIS_URL: redis.url, ...wrong } });

      expect(ended).toMatchObject(refusal(...says));
      expect(ended.stderr).not.toContain("a".repeat(40));
    });

    it("exits with 1 and the reason where Redis refuses", async ({ expect }) => {
      const ended = await runCommand([role], { env: { ...site.env, REDIS_URL: "redis://127.0.0.1:2" } });

      expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/Redis .*REDIS_URL/) });
    });
  });

  it("exit with 1 where the engine is away", async () => {
    const env = { ...site.env, REDIS_URL: redis.url, DOCKER_HOST: "unix:///nonexistent.sock" };

    const ended = await runCommand(["worker"], { env });

    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining("/nonexistent.sock") });
  });
});

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
      killed.signal("SIGKILL");
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

  it("keeps what Redis held over a stop", async () => {
    {
      await using up = await startUp();
      up.signal("SIGINT");
      expect(await up.ended).toMatchObject({ code: 0 });
    }

    await using up = await startUp();

    const redis = await serverIn(site.dataDir);
    expect(await redis?.get("left")).toBe("here");
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

describe.concurrent("doctor", () => {
  let site: Site;
  let redis: TestRedis;
  beforeAll(async () => {
    site = await startSite();
    redis = await startRedis();
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  interface Finding {
    part: string;
    ok: boolean;
    level: "ok" | "warn" | "bad";
    saw: string;
  }
  const services = ["versions", "github", "redis", "docker", "image", "model"];
  const versions = ["engine", "runc", "containerd", "kernel", "git", "redis-server"];
  const abilities = ["storage", "quota", "seccomp", "cgroup", "users", "live-restore", "trees", "folders", "runtime"];
  const binds = ["web-bind", "redis-bind", "engine-bind"];
  const parts = [...services, ...versions, "image-age", ...abilities, ...binds];

  async function examine(env: Record<string, string>) {
    const ended = await runCommand(["doctor", "--json"], { env: { ...site.env, REDIS_URL: redis.url, ...env } });
    const lines = ended.stdout.trim().split("\n");
    return { code: ended.code, stderr: ended.stderr, findings: lines.map((line) => JSON.parse(line) as Finding) };
  }

  it("says one line for each part and exits with 0 where all is well", async ({ expect }) => {
    const ended = await runCommand(["doctor"], { env: { ...site.env, REDIS_URL: redis.url } });

    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const lines = ended.stdout.trim().split("\n");
    expect(lines.slice(0, services.length)).toEqual([
      expect.stringMatching(/^ok {3}versions {5}Node v24\S+, git version 2\S+, DATA_DIR \S+$/),
      expect.stringMatching(/^ok {3}github {7}http:\S+ knows the app agent-fix \(4242\)$/),
      expect.stringMatching(/^ok {3}redis {8}Redis \d\S+ answers, maxmemory-policy noeviction$/),
      expect.stringMatching(/^ok {3}docker {7}Docker engine \S+ answers/),
      expect.stringMatching(/^ok {3}image {8}agent-fix-sandbox:latest is there \(sha256:/),
      expect.stringMatching(/^ok {3}model {8}http:\S+ serves Qwen\S+ with 262144 tokens of context and answered/),
    ]);
    expect(lines.map((line) => /^(?:ok {2}|warn) (\S+) +\S/.exec(line)?.[1])).toEqual(parts);
    const line = (part: string) => lines.find((one) => one.slice(5).startsWith(`${part} `));
    expect(line("engine")).toMatch(/Docker \d+\.\d+/);
    expect(line("runc")).toMatch(/runc \d+\.\d+/);
    expect(line("git")).toMatch(/git 2\.\d+/);
    expect(line("redis-server")).toMatch(/Redis \d\S+/);
    expect(line("image-age")).toMatch(/agent-fix-sandbox:latest was built \d+ days? ago/);
    expect(line("trees")).toMatch(/^ok {3}trees +(overlay|copy): /);
    expect(line("folders")).toMatch(/^ok {3}folders +shared: /);
    expect(line("redis-bind")).toMatch(/^ok {3}redis-bind +a unix socket$/);
  });

  it("says that up brings a Redis where REDIS_URL is not set", async ({ expect }) => {
    const { code, findings } = await examine({ REDIS_URL: "" });

    expect(code).toBe(0);
    expect(findings.find(({ part }) => part === "redis")?.saw).toContain("`agent-fix up` starts its own");
  });

  const { privateKey: otherKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });

  it.for<[what: string, env: Record<string, string>, bad: string[], says: RegExp]>([
    ["no app", { APP_ID: "", PRIVATE_KEY: "", WEBHOOK_SECRET: "" }, ["github"], /agent-fix up.*APP_ID/],
    ["another app's key", { PRIVATE_KEY: otherKey }, ["github"], /refused.*APP_ID and PRIVATE_KEY/],
    ["an unknown app", { APP_ID: "77" }, ["github"], /refused.*APP_ID and PRIVATE_KEY/],
    ["GitHub away", { GHE_HOST: "127.0.0.1:2" }, ["github"], /127\.0\.0\.1:2.*GHE_HOST/],
    ["Redis away", { REDIS_URL: "redis://127.0.0.1:2" }, ["redis"], /REDIS_URL/],
    ["Docker away", { DOCKER_HOST: "unix:///nonexistent.sock" }, ["docker", "image"], /nonexistent\.sock/],
    ["no image", { SANDBOX_IMAGE: "nope:none" }, ["image"], /nope:none.*(SANDBOX_IMAGE|pull|build|setup)/],
    [
      "the model away",
      { MODEL_BASE_URL: "http://127.0.0.1:2/v1" },
      ["model"],
      /MODEL_BASE_URL http:\/\/127\.0\.0\.1:2\/v1 is not reachable/,
    ],
    ["a wrong MODEL_NAME", { MODEL_NAME: "gpt-0" }, ["model"], /gpt-0.*Qwen/],
  ])("names what is broken with %s, and looks at the rest", async ([, env, bad, says], { expect }) => {
    const { code, stderr, findings } = await examine(env);

    expect(findings.map(({ part }) => part)).toEqual(parts);
    expect(findings.filter(({ ok }) => !ok).map(({ part }) => part)).toEqual(bad);
    for (const { saw } of findings.filter(({ ok }) => !ok)) expect(saw).toMatch(says);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  });

  it("names a Redis that evicts keys", async ({ expect }) => {
    await using evicting = await startRedis();
    const server = await connectTo(evicting.socket);
    await server?.config("SET", "maxmemory-policy", "allkeys-lru");
    server?.disconnect();

    const { code, findings } = await examine({ REDIS_URL: evicting.url });

    expect(code).toBe(1);
    expect(findings.find(({ ok }) => !ok)).toMatchObject({
      part: "redis",
      saw: expect.stringMatching(/allkeys-lru.*noeviction/),
    });
  });

  it("warns of a server that listens on every address, and still exits with 0", async ({ expect }) => {
    const { code, findings } = await examine({ HOST: "0.0.0.0" });

    expect(code).toBe(0);
    expect(findings.find(({ part }) => part === "web-bind")).toMatchObject({
      ok: true,
      level: "warn",
      saw: expect.stringMatching(/^HOST is 0\.0\.0\.0.*Leave it unset/),
    });
  });

  it.for([400, 500])("names a model that answers %i", async (status, { expect }) => {
    await using failing = await startFailingModel(status, "the GPU fell off");

    const { code, findings } = await examine({ MODEL_BASE_URL: failing.url });

    expect(code).toBe(1);
    const bad = findings.filter(({ ok }) => !ok);
    expect(bad).toMatchObject([{ part: "model", saw: expect.stringContaining("the GPU fell off") }]);
    expect(bad[0]?.saw).toContain(String(status));
  });
});

describe("runs", () => {
  let site: Site;
  let dataDir: string;
  beforeAll(async () => {
    site = await startSite();
    ({ dataDir } = site);
  });
  afterAll(() => site[Symbol.asyncDispose]());
  const runs = (args: string[], env = site.env) => runCommand(["runs", ...args], { env });

  it("says that there is none in an empty DATA_DIR, also in one that is missing", async () => {
    const missing = join(dataDir, "missing");

    expect(await runs([])).toMatchObject({ code: 0, stdout: `No runs in ${dataDir}.\n` });
    expect(await runs(["--json"])).toMatchObject({ code: 0, stdout: "" });
    expect(await runs([], { DATA_DIR: missing })).toMatchObject({ code: 0, stdout: `No runs in ${missing}.\n` });
  });

  it.each(["ab12", "../runs", ""])("show %j is refused where there is no such run", async (id) => {
    expect(await runs(["show", id])).toMatchObject(refusal(JSON.stringify(id), "`agent-fix runs` lists them"));
  });

  it("lists a run and shows its events, for people and as JSON", async () => {
    await site.github.addRepository({ owner: "ann", name: "shown", files: brokenProject });
    const { data: issue } = await site
      .as("ann")
      .rest.issues.create({ owner: "ann", repo: "shown", title: "The answer is wrong" });
    const env = { ...site.env, GITHUB_TOKEN: site.github.addUser("ann") };
    await runCommand(["resolve", issue.html_url], { env });
    const [id = ""] = readdirSync(runsDir(dataDir));

    const [list, listJson, show, showJson] = await Promise.all([
      runs([]),
      runs(["--json"]),
      runs(["show", id]),
      runs(["show", id, "--json"]),
    ]);

    expect(list.stdout).toMatch(new RegExp(`^\\S+Z {2}${id} {2}ann/shown #1 {2}published\\n$`));
    expect(JSON.parse(listJson.stdout)).toMatchObject({ id, subject: "ann/shown #1", outcome: "published" });
    expect(show.stdout).toMatch(/^\S+Z {2}gate +passed: /m);
    const events = showJson.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["claimed", "gate", "finished"]));
    const lines = show.stdout.trim().split("\n");
    expect(lines).toHaveLength(events.length + 1);
    expect(lines.at(-1)).toBe(`What the last verdict rests on: ${join(runsDir(dataDir), id, "evidence.json")}`);
  });
});

describe("demo", () => {
  it("ends with exit code 0, and prints nothing but JSON, the outcome last", async () => {
    const ended = await runCommand(["demo", "--json"], { env: { TMPDIR: own("demo") } });

    const events = jsonLines(ended.stdout);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(events.at(-1)).toMatchObject({
      event: "end",
      outcome: "published",
      pull_request: expect.stringMatching(/^http:.*\/pull\/2$/),
      duration_seconds: expect.any(Number),
    });
    expect(readdirSync(join(folder.path, "demo"))).toEqual([]);
  });

  it("stays up with --keep and says in JSON where to look; SIGTERM takes it down", async () => {
    await using demo = startCommand(["demo", "--json", "--keep"], { env: { TMPDIR: own("kept") } });
    const end = JSON.parse(await demo.line(/"event":"end"/)) as { pull_request: string };

    const page = await fetch(end.pull_request);
    demo.signal("SIGTERM");
    const ended = await demo.ended;

    expect(page.status).toBe(200);
    expect(ended).toMatchObject({ code: 0 });
    expect(jsonLines(ended.stdout).filter(({ event }) => event === "keep")).toEqual([
      { event: "keep", page: end.pull_request },
    ]);
    expect(readdirSync(join(folder.path, "kept"))).toEqual([]);
  });

  it.each([
    ["SIGTERM", /"event":"attempt"/],
    ["SIGINT", /"event":"environment"/],
  ] as const)("leaves no server, container or folder when %s ends it midway", async (signal, midway) => {
    const path = own(signal);
    await using demo = startCommand(["demo", "--json"], { env: { TMPDIR: path } });
    await demo.line(midway);
    const [data = ""] = readdirSync(path);
    const engine = await engineOf(join(path, data));
    expect(processesWith(data)).toEqual([expect.stringContaining("redis-server")]);

    demo.signal(signal);

    const ended = await demo.ended;
    expect(ended.code).toBe(1);
    expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ event: "end", outcome: "cancelled", pull_request: null });
    expect(readdirSync(path)).toEqual([]);
    expect(processesWith(data)).toEqual([]);
    expect(await engine.list()).toEqual([]);
  });

  function own(name: string): string {
    const path = join(folder.path, name);
    mkdirSync(path);
    return path;
  }
});

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
