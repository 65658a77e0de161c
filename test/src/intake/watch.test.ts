import { Queue } from "bullmq";
import { pino } from "pino";
import { afterAll, beforeEach, expect, it } from "vitest";
import { createGitHub } from "../../../src/github/client.ts";
import { createInbox } from "../../../src/inbox.ts";
import { onWatch } from "../../../src/intake/watch.ts";
import { handBack } from "../../../src/hands-off.ts";
import type { RunJob } from "../../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../../src/queue.ts";
import { readStatus } from "../../../src/status-comment.ts";
import { renderStatus, statusMark } from "../../../src/status.ts";
import type { Watch } from "../../../src/status.ts";
import { mergeKey } from "../../../src/watch.ts";
import { addShop, shop, startTestGitHub, webhookSecret } from "../../demo/github/support.ts";
import { startRedis } from "../../support/redis.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const queues = createQueues(redis);
const waiting = new Queue<RunJob>("runs", { connection: redis, prefix: redisPrefix, skipVersionCheck: true });
beforeEach(() => redis.flushall());
afterAll(async () => {
  await waiting.close();
  await queues.close();
  await server[Symbol.asyncDispose]();
});

const branch = "agent-fix/issue-7";
const trailer = "Agent-Fix-Run: r1";

/** Our own pull request on the embedded GitHub, as a watch finds it. */
async function watched() {
  const github = await startTestGitHub();
  const { id } = await addShop(github, { files: { "a.txt": "one\n" } });
  const [installationId = 0] = github.state.installations.keys();
  const repo = { id, owner: "ann", name: "shop", installationId };
  const { privateKey } = github.app;
  const options = { apiUrl: github.apiUrl, throttle: false };
  const host = createGitHub(options, { id: github.app.id, privateKey, webhookSecret });
  const forge = host.forge(repo, "publish");
  const base = (await forge.branchHead("main")) ?? "";
  const files = [{ path: "a.txt", mode: "100644" as const, bytes: Buffer.from("1\n") }];
  const { commit } = await forge.createCommit({ base, message: `Mend it\n\n${trailer}\n`, files, deleted: [] });
  await forge.ensureBranch(branch, commit, undefined);
  const { number } = await forge.ensurePull({ branch, base: "main", title: "t", body: "", draft: false });
  const log = pino({ level: "silent" });
  const deps = { host, queues, inbox: createInbox(redis), log, now: () => new Date() };
  const { checks, issues } = github.as("ann").rest;
  const installation = github.state.installations.get(installationId);
  return {
    forge,
    /** From now on the app may only read checks, or not even that. */
    takeChecks(left?: "read") {
      if (installation === undefined) return;
      const { checks: _, ...others } = installation.permissions;
      installation.permissions = left === undefined ? others : { ...others, checks: left };
    },
    first: commit,
    number,
    push: (to: string, message = "A change") =>
      github.push("ann/shop", { "a.txt": `${message}\n` }, { branch: to, message, author: "ann" }),
    check: (at: string, conclusion: "failure" | "action_required" | "success") =>
      github.otherApps.check("ann/shop", { app: "ci", name: "lint", commit: at, conclusion }),
    remember: (watch: Watch) =>
      forge.ensureComment(
        number,
        statusMark,
        renderStatus({ run: "r1", trigger: "label-1", state: "opened", watch }, "Done"),
      ),
    look: () => onWatch({ kind: "watch", delivery: "d", repo, pull: number, branch }, deps),
    lookByStatus: () => onWatch({ kind: "watch", delivery: "d", repo, branch }, deps),
    remembered: async () => (await readStatus(forge, number))?.watch,
    statusText: async () => (await forge.findComment(number, statusMark))?.body,
    runs: async () => (await waiting.getJobs()).map(({ data }) => data.subject),
    told: async (ref: string) =>
      (await checks.listForRef({ ...shop, ref, check_name: "agent-fix / checks" })).data.check_runs.map(
        ({ output, conclusion }) => `${conclusion}: ${output.title}`,
      ),
    said: async () =>
      (await issues.listComments({ ...shop, issue_number: number })).data.flatMap(({ body = "" }) =>
        body.startsWith(statusMark) ? [] : [body.split("\n")[1] ?? ""],
      ),
    [Symbol.asyncDispose]: () => github[Symbol.asyncDispose](),
  };
}

it("counts attempts in a row: where every check passes, they begin anew, and people read the same as before", async () => {
  await using on = await watched();
  await on.check(on.first, "success");
  await on.remember({ attempts: 3, handled: "of another commit" });
  const before = await on.statusText();

  await on.look();

  expect(await on.remembered()).toEqual({ attempts: 0, handled: "of another commit" });
  expect((await on.statusText())?.split("-->").at(-1)).toBe(before?.split("-->").at(-1));
});

it("counts nothing anew where no check has judged the commit yet", async () => {
  await using on = await watched();
  await on.remember({ attempts: 3, handled: "of another commit" });

  await on.look();

  expect(await on.remembered()).toMatchObject({ attempts: 3 });
});

it("finds the pull request of which a commit status knows the branch alone", async () => {
  await using on = await watched();
  await on.check(on.first, "failure");

  await on.lookByStatus();

  expect(await on.runs()).toMatchObject([{ kind: "checks", pull: on.number }]);
});

it("begins no run where as many as the settings allow were made, and says so beside the checks", async () => {
  await using on = await watched();
  await on.check(on.first, "failure");
  await on.remember({ attempts: 3, handled: "of another commit" });

  await on.look();

  expect(await on.runs()).toEqual([]);
  expect(await on.told(on.first)).toEqual(["neutral: Tried often enough"]);
});

it("begins a run where there is one more to make", async () => {
  await using on = await watched();
  await on.check(on.first, "failure");
  await on.remember({ attempts: 2, handled: "of another commit" });

  await on.look();

  expect(await on.runs()).toMatchObject([{ kind: "checks", pull: on.number }]);
});

it("sees to a conflict also where the app may read no checks", async () => {
  await using on = await watched();
  on.takeChecks();
  await on.push("main");

  await on.look();

  expect(await on.runs()).toMatchObject([{ kind: "merge", pull: on.number }]);
});

it("merges a base that conflicts, once for the two commits, and anew where the base has moved", async () => {
  await using on = await watched();
  const base = await on.push("main");
  const key = mergeKey(on.first, base);

  await on.look();

  expect(await on.runs()).toEqual([{ kind: "merge", pull: on.number, branch, key }]);
  await waiting.obliterate({ force: true });
  await on.remember({ attempts: 1, handled: key });
  await on.look();
  expect(await on.runs()).toEqual([]);
  const next = await on.push("main", "Another change");
  await on.look();
  expect(await on.runs()).toMatchObject([{ kind: "merge", key: mergeKey(on.first, next) }]);
});

it("leaves a person's commit alone, one with our trailer too, and tells it in one comment", async () => {
  await using on = await watched();
  const first = await on.push(branch);
  await on.check(first, "failure");
  await on.look();
  const second = await on.push(branch, `Another change\n\n${trailer}`);
  await on.check(second, "failure");

  await on.look();
  await on.look();

  expect(await on.runs()).toEqual([]);
  expect(await on.told(second)).toEqual([]);
  expect(await on.said()).toEqual([expect.stringContaining(`You pushed \`${second.slice(0, 7)}\``)]);
});

it("works again on a person's commit that was handed back, and on no later one", async () => {
  await using on = await watched();
  const first = await on.push(branch);
  await on.check(first, "failure");
  await handBack(on.forge, on.number, { head: first, by: { id: 1, login: "ann" } });

  await on.look();

  expect(await on.runs()).toMatchObject([{ kind: "checks" }]);
  await waiting.obliterate({ force: true });
  await on.remember({ attempts: 1, handled: "of another commit" });
  const second = await on.push(branch, "Another change");
  await on.check(second, "failure");
  await on.look();
  expect(await on.runs()).toEqual([]);
});

it("says of a check that waits for a person that it does", async () => {
  await using on = await watched();
  await on.check(on.first, "action_required");

  await on.look();

  expect(await on.told(on.first)).toEqual(["neutral: Waiting for a maintainer"]);
});

it("says it in one comment where the app may write no check run", async () => {
  await using on = await watched();
  await on.check(on.first, "action_required");
  on.takeChecks("read");

  await on.look();
  await on.look();

  expect(await on.told(on.first)).toEqual([]);
  expect(await on.said()).toEqual([`**Waiting for a maintainer** (of \`${on.first.slice(0, 7)}\`)`]);
});
