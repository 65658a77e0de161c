import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startWebRole } from "../../src/cli/compose.ts";
import type { WebRole } from "../../src/cli/compose.ts";
import { readRun } from "../../src/runlog.ts";
import { connectRedis, createQueues } from "../../src/queue.ts";
import type { Queues } from "../../src/queue.ts";
import { dashboardMark } from "../../src/triggers.ts";
import { addProject, answerScripts, brokenProject, pullsOf, repliesOn, startTestLaptop } from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

/** The app, its repositories and GitHub, all by one clock that the test sets. */
let laptop: TestLaptop;
let web: WebRole;
let worker: AsyncDisposable;
let queues: Queues;
const clock = { now: new Date("2026-10-31T12:00:00Z") };

beforeEach(async () => {
  clock.now = new Date("2026-10-31T12:00:00Z");
  laptop = await startTestLaptop({ scripts: answerScripts, worker: false, now: () => clock.now });
  laptop.github.state.now = () => `${clock.now.toISOString().slice(0, 19)}Z`;
  worker = await laptop.startWorker();
  web = laptop.web;
  queues = createQueues(connectRedis(laptop.parts.redisUrl, "producer"));
});
afterEach(async () => {
  await queues.close();
  await laptop[Symbol.asyncDispose]();
});

/** One sweep as of a time, and then all work that came of it. */
async function sweepAt(time: string | Date): Promise<void> {
  clock.now = new Date(time);
  await web.sweep();
  await idle();
}

async function idle(): Promise<void> {
  const [repository] = laptop.github.state.repositories.values();
  await expect.poll(() => queues.liveIn(repository?.id ?? 0), { timeout: 120_000, interval: 100 }).toEqual([]);
}

/** Sweeps every twelve hours, up to and with a time. */
async function sweepUntil(time: string): Promise<void> {
  for (let at = clock.now.getTime() + 12 * 3600_000; at <= Date.parse(time); at += 12 * 3600_000)
    await sweepAt(new Date(at));
}

async function flushRedis(): Promise<void> {
  const redis = new Redis(laptop.parts.redisUrl.replace("unix://", ""));
  await redis.flushall();
  redis.disconnect();
}

async function restart(): Promise<void> {
  await worker[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  web = await startWebRole(laptop.parts);
  laptop.github.setWebhookUrl(`${web.url}/api/github/webhooks`);
  worker = await laptop.startWorker();
}

async function dashboard(where: { owner: string; repo: string }) {
  const { data } = await laptop
    .as("ann")
    .rest.issues.listForRepo({ ...where, state: "all", creator: "agent-fix[bot]" });
  return data.find(({ body }) => body?.startsWith(dashboardMark));
}

/** Without settings. */
async function addBare(name: string, files: Record<string, string>) {
  await laptop.github.addRepository({ owner: "ann", name, files });
  laptop.github.install({ repositories: [`ann/${name}`] });
  return { owner: "ann", repo: name };
}

const push = (name: string, files: Record<string, string>) =>
  laptop.github.push(`ann/${name}`, files, { branch: "main", message: "Change", author: "ann" });

const scheduled = (cron: string, text = "Put the right answer in place") =>
  `checks: [sh check.sh]\nmaintenance:\n  answer: {task: "${text}", schedule: "${cron}", timezone: Europe/Berlin}\n`;

test("a month of schedules, with restarts, a lost Redis and other settings in between, brings exactly its pull requests", async () => {
  const files = { ...brokenProject, ".github/agent-fix.yml": scheduled("0 5 * * 1") };
  const where = await addProject(laptop, "month", files);
  const ann = laptop.as("ann");
  await sweepUntil("2026-11-02T12:00:00Z");
  expect(await pullsOf(laptop, where)).toMatchObject([{ state: "open", head: { ref: "agent-fix/task/answer" } }]);
  const [first] = await pullsOf(laptop, where);

  await sweepUntil("2026-11-10T12:00:00Z");
  await ann.rest.pulls.merge({ ...where, pull_number: first?.number ?? 0 });
  await restart();
  await push("month", { "answer.txt": "41\n" });
  await sweepUntil("2026-11-16T12:00:00Z");
  expect((await pullsOf(laptop, where)).map(({ state }) => state)).toEqual(["open", "closed"]);

  await flushRedis();
  await restart();
  await sweepUntil("2026-11-19T12:00:00Z");
  await push("month", { ".github/agent-fix.yml": scheduled("0 6 * * 3") });
  const [second] = await pullsOf(laptop, where);
  await ann.rest.pulls.update({ ...where, pull_number: second?.number ?? 0, state: "closed" });
  await sweepUntil("2026-11-26T12:00:00Z");
  await push("month", { ".github/agent-fix.yml": scheduled("0 6 * * 3", "Put the right answer in place, please") });
  await sweepUntil("2026-12-02T12:00:00Z");

  const pulls = (await pullsOf(laptop, where)).toReversed();
  expect(pulls.map(({ head, state, merged_at: merged }) => [head.ref, state, merged !== null])).toEqual([
    ["agent-fix/task/answer", "closed", true],
    ["agent-fix/task/answer-2", "closed", false],
    ["agent-fix/task/answer-3", "open", false],
  ]);
  await expect
    .poll(async () => (await dashboard(where))?.body, { timeout: 20_000 })
    .toContain(`## Open\n\n- [ ] <!-- run-task=answer -->`);
});

test("two apps and three workers on one Redis start each task once, and one after the other", async () => {
  const tasks = `${scheduled("0 5 * * 1")}  stamp: {update: ["echo 1 >stamp.txt"], schedule: "0 5 * * 1"}\n`;
  const settings = `${tasks}unattended: {hourly: 2}\n`;
  const where = await addProject(laptop, "crowd", { ...brokenProject, ".github/agent-fix.yml": settings });
  await sweepAt("2026-11-01T12:00:00Z");
  await using other = await startWebRole(laptop.parts);
  await Promise.all([laptop.startWorker(), laptop.startWorker()]);
  clock.now = new Date("2026-11-02T12:00:00Z");

  await Promise.all([web, other, web, other].map((app) => app.sweep()));
  await idle();
  await sweepAt("2026-11-02T12:05:00Z");

  expect(await pullsOf(laptop, where)).toHaveLength(1);
  const runs = readdirSync(join(laptop.dataDir, "runs")).map((run) => readRun(laptop.dataDir, run) ?? []);
  const spans = runs.map((events) => [
    events.find(({ type }) => type === "claimed")?.at ?? "",
    events.at(-1)?.at ?? "",
  ]);
  const [[, firstEnd = ""] = [], [secondStart = ""] = []] = spans.toSorted(([one = ""], [other = ""]) =>
    one.localeCompare(other),
  );
  expect(spans).toHaveLength(2);
  expect(firstEnd < secondStart).toBe(true);
});

test("a repository without settings gets them as a pull request; merged, what is added to them is on the dashboard", async () => {
  const files = {
    "package.json": '{"name":"x","version":"1.0.0","scripts":{"test":"node --test"},"dependencies":{}}\n',
    "package-lock.json":
      '{"name":"x","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"x","version":"1.0.0"}}}\n',
    "a.test.js": 'require("node:test").test("adds", () => {});\n',
  };
  const where = await addBare("fresh", files);
  await sweepAt("2026-11-01T12:00:00Z");

  const [pull] = await pullsOf(laptop, where);
  expect(pull).toMatchObject({ title: "Configure agent-fix", head: { ref: "agent-fix/configure" }, state: "open" });
  expect(pull?.body).toMatch(
    /Merge it to enable agent-fix here[\s\S]*\| Checks \| `npm test` \|[\s\S]*`npm test` \| passed/,
  );
  expect(pull?.body).toMatch(/<summary>The log<\/summary>[\s\S]*adds/);
  await sweepAt("2026-11-02T12:00:00Z");
  await laptop.as("ann").rest.pulls.merge({ ...where, pull_number: pull?.number ?? 0 });
  await sweepAt("2026-11-02T13:00:00Z");
  expect(await dashboard(where)).toBeUndefined();
  await push("fresh", { ".github/agent-fix.yml": scheduled("0 5 * * 1") });
  await sweepAt("2026-11-02T14:00:00Z");

  expect((await dashboard(where))?.body).toContain("Put the right answer in place (2026-11-09 05:00 (Europe/Berlin))");
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("a pull request with first settings that is closed keeps everything off, and one that is renamed then comes again", async () => {
  const { ".github/agent-fix.yml": _, ...files } = brokenProject;
  const where = await addBare("refused", files);
  await sweepAt("2026-11-01T12:00:00Z");
  const [pull] = await pullsOf(laptop, where);
  const number = pull?.number ?? 0;
  await laptop.as("ann").rest.pulls.update({ ...where, pull_number: number, state: "closed" });

  await sweepAt("2026-11-05T12:00:00Z");
  expect(await pullsOf(laptop, where)).toHaveLength(1);
  expect(await dashboard(where)).toBeUndefined();
  await laptop.as("ann").rest.pulls.update({ ...where, pull_number: number, title: "Configure it after all" });
  await sweepAt("2026-11-06T12:00:00Z");

  expect((await pullsOf(laptop, where)).map(({ head, state }) => [head.ref, state])).toEqual([
    ["agent-fix/configure-2", "open"],
    ["agent-fix/configure", "closed"],
  ]);
});

const updating = (command: string) =>
  `checks: [test -f README.md]\nmaintenance:\n  stamp: {update: ["${command}"], schedule: "0 5 * * 1"}\n`;

test("an open pull request that commands made is brought up to date with one more commit, which a comment tells of", async () => {
  const settings = updating("cat /proc/sys/kernel/random/uuid >stamp.txt");
  const where = await addProject(laptop, "stamped", { "README.md": "#\n", ".github/agent-fix.yml": settings });
  await sweepAt("2026-11-01T12:00:00Z");
  await sweepAt("2026-11-02T12:00:00Z");
  const [before] = await pullsOf(laptop, where);

  await sweepAt("2026-11-09T12:00:00Z");

  const pulls = await pullsOf(laptop, where);
  expect(pulls).toHaveLength(1);
  const number = pulls[0]?.number ?? 0;
  const { data: commits } = await laptop.as("ann").rest.pulls.listCommits({ ...where, pull_number: number });
  expect(commits.map(({ sha }) => sha)).toEqual([before?.head.sha, pulls[0]?.head.sha]);
  expect(await repliesOn(laptop, where, number)).toEqual([
    expect.stringContaining("**One more commit: Run the updates"),
  ]);
});

test.each<[string, (number: number) => Promise<unknown>]>([
  [
    "pushes to its pull request",
    () =>
      laptop.github.push(
        "ann/waits",
        { "b.txt": "1\n" },
        { branch: "agent-fix/task/stamp", message: "Mine", author: "ann" },
      ),
  ],
  [
    "closes its pull request",
    (pull_number) => laptop.as("ann").rest.pulls.update({ owner: "ann", repo: "waits", pull_number, state: "closed" }),
  ],
])("a run that waits ends without a change where a person %s meanwhile", async (_deed, act) => {
  const settings = updating("cat /proc/sys/kernel/random/uuid >stamp.txt");
  const where = await addProject(laptop, "waits", { "README.md": "#\n", ".github/agent-fix.yml": settings });
  await sweepAt("2026-11-01T12:00:00Z");
  await sweepAt("2026-11-02T12:00:00Z");
  const number = (await pullsOf(laptop, where))[0]?.number ?? 0;
  await worker[Symbol.asyncDispose]();
  clock.now = new Date("2026-11-09T12:00:00Z");
  await web.sweep();
  await act(number);
  const before = await pullsOf(laptop, where);

  worker = await laptop.startWorker();
  await idle();

  expect((await pullsOf(laptop, where)).map(({ head }) => head.sha)).toEqual(before.map(({ head }) => head.sha));
  const ended = readdirSync(join(laptop.dataDir, "runs")).map((run) => readRun(laptop.dataDir, run)?.at(-1));
  const outcomes = new Set(ended.map((event) => event?.type === "finished" && event.outcome));
  expect(outcomes).toEqual(new Set(["cancelled", "published"]));
});

test("a pull request whose change the base has by now is closed, with its branch", async () => {
  const files = { "README.md": "#\n", "a.txt": "one\n", ".github/agent-fix.yml": updating("echo two >a.txt") };
  const where = await addProject(laptop, "spent", files);
  await sweepAt("2026-11-01T12:00:00Z");
  await sweepAt("2026-11-02T12:00:00Z");
  await push("spent", { "a.txt": "two\n" });

  await sweepAt("2026-11-09T12:00:00Z");
  await sweepAt("2026-11-16T12:00:00Z");

  expect(await pullsOf(laptop, where)).toMatchObject([
    { state: "closed", title: "Run the updates of stamp - autoclosed" },
  ]);
  const gitDir = laptop.github.state.repositories.get("ann/spent")?.gitDir ?? "";
  const refs = execFileSync("git", ["for-each-ref", "--format=%(refname)"], { cwd: gitDir, encoding: "utf8" });
  expect(refs.trim()).toBe("refs/heads/main");
});

test("a dry run does everything but the branch, and the dashboard shows what would be", async () => {
  const settings = `${scheduled("0 5 * * 1")}unattended: {dryRun: true}\n`;
  const where = await addProject(laptop, "dry", { ...brokenProject, ".github/agent-fix.yml": settings });
  await sweepAt("2026-11-01T12:00:00Z");
  await sweepAt("2026-11-02T12:00:00Z");
  await sweepAt("2026-11-02T12:05:00Z");

  expect(await pullsOf(laptop, where)).toEqual([]);
  const gitDir = laptop.github.state.repositories.get("ann/dry")?.gitDir ?? "";
  const refs = execFileSync("git", ["for-each-ref", "--format=%(refname)"], { cwd: gitDir, encoding: "utf8" });
  expect(refs.trim()).toBe("refs/heads/main");
  const board = async () => (await dashboard(where))?.body;
  await expect
    .poll(board, { timeout: 20_000 })
    .toMatch(/## Dry run[\s\S]*Put the right answer in place[\s\S]*`answer.txt`/);
});

test("a box that is ticked starts its task, and a command does", async () => {
  const where = await addProject(laptop, "asked", {
    ...brokenProject,
    ".github/agent-fix.yml": scheduled("0 5 * * 1"),
  });
  const ann = laptop.as("ann");
  await sweepAt("2026-11-01T12:00:00Z");
  const board = await dashboard(where);
  const body = board?.body?.replace("[ ] <!-- run-task=answer", "[x] <!-- run-task=answer") ?? "";
  await ann.rest.issues.update({ ...where, issue_number: board?.number ?? 0, body });

  await expect.poll(() => pullsOf(laptop, where), { timeout: 60_000 }).toHaveLength(1);
  await expect.poll(async () => (await dashboard(where))?.body, { timeout: 60_000 }).toContain("## Open");
  expect((await dashboard(where))?.body).not.toContain("[x]");
  const number = (await pullsOf(laptop, where))[0]?.number ?? 0;
  await ann.rest.pulls.update({ ...where, pull_number: number, state: "closed" });
  await ann.rest.issues.createComment({ ...where, issue_number: number, body: "/agent-fix run answer" });

  await expect.poll(() => pullsOf(laptop, where), { timeout: 60_000 }).toHaveLength(2);
  await idle();
});
