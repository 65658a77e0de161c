import { Queue } from "bullmq";
import { pino } from "pino";
import { afterAll, beforeEach, expect, it } from "vitest";
import { createInbox } from "../../../src/inbox.ts";
import { handleIntake } from "../../../src/intake.ts";
import { lostRun } from "../../../src/intake/start.ts";
import { runIdOf } from "../../../src/job.ts";
import type { RunJob } from "../../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../../src/queue.ts";
import { markerOf, renderStatus, statusMark } from "../../../src/status.ts";
import type { StatusMarker } from "../../../src/status.ts";
import { startRedis } from "../../support/redis.ts";
import { createLocalApp, createLocalHost, job, ourPull } from "../../worker/support.ts";

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
const { repo } = job;

/** Issue 7, whose label was set, and our pull request 9 for it, as a sweep finds them. */
function found() {
  const host = createLocalHost({ ".github/agent-fix.yml": "" });
  host.pulls.push({ ...ourPull, number: 9, head: { branch, commit: host.commits[0] ?? "" } });
  host.forge.labelEvent = async () => ({ id: 5, actor: job.actor, at: "2026-01-01T00:00:00Z" });
  const log = pino({ level: "silent" });
  const deps = { host: createLocalApp(host.forge), queues, inbox: createInbox(redis), log, now: () => new Date() };
  return {
    forge: host.forge,
    show: (number: number, more: Omit<StatusMarker, "state"> & { state?: StatusMarker["state"] }) =>
      host.comments.set(`${number} ${statusMark}`, { id: 1, body: renderStatus({ state: "working", ...more }, "x") }),
    label: () => handleIntake({ kind: "label", delivery: "d", repo, issue: 7 }, deps),
    watch: () => handleIntake({ kind: "watch", delivery: "d", repo, pull: 9, branch }, deps),
    runs: async () => (await waiting.getJobs()).map(({ data }) => data),
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

const named = (run: RunJob): RunJob => ({ ...run, runId: runIdOf(repo, run.subject, run.trigger) });
const approve = named({
  ...job,
  actor: { id: 4, login: "bob" },
  trigger: "comment-88",
  follows: { run: "planned", covers: "label-5", how: "approve" },
});
const checks = named({ ...job, subject: { kind: "checks", pull: 9, branch, key: "k" } });
const retried = named({
  ...job,
  subject: { kind: "review", pull: 9, branch },
  follows: { run: "r0", covers: "thread-3", how: "retry" },
});

it("what a person said after the label is carried out also where its run was lost, and not the label's old run again", async () => {
  using on = found();
  on.show(7, markerOf(approve));

  await on.label();

  expect(await on.runs()).toEqual([approve]);
});

it.each([
  ["checks", { ...markerOf(checks), watch: { attempts: 3, handled: "k" } }, checks],
  ["a round that a person asked for again", markerOf(retried), retried],
] as const)("a run on our pull request that was lost is begun again: %s", async (_what, marker, run) => {
  using on = found();
  on.show(9, marker);

  await on.watch();

  expect(await on.runs()).toEqual([run]);
});

it("a run whose status was told to have ended since it was read is no lost one", async () => {
  using on = found();
  const marker = { state: "queued" as const, ...markerOf(checks) };
  on.show(9, { ...marker, state: "cancelled" });

  expect(await lostRun({ queues }, on.forge, 9, marker)).toBeUndefined();
  on.show(9, marker);
  expect(await lostRun({ queues }, on.forge, 9, marker)).toEqual(checks);
});

it("a run of another repository, whose issue came along with its status comment, is no lost one here", async () => {
  using on = found();
  on.show(7, markerOf({ ...approve, runId: runIdOf({ ...repo, id: 8 }, approve.subject, approve.trigger) }));

  await on.label();

  expect(await on.runs()).toMatchObject([{ trigger: "label-5", actor: job.actor }]);
});

it("a run that waits or works, or has ended, is left alone", async () => {
  using on = found();
  on.show(7, { ...markerOf(approve), state: "cancelled" });
  on.show(9, { ...markerOf(checks), state: "gave-up" });

  await on.label();
  await on.watch();
  expect(await on.runs()).toEqual([]);

  on.show(7, markerOf(approve));
  await queues.addRun({ ...approve, askedAt: 1 });
  await on.label();
  expect(await on.runs()).toEqual([{ ...approve, askedAt: 1 }]);
});

it("a label set anew begins a run of its own", async () => {
  using on = found();
  on.show(7, { ...markerOf(approve), trigger: "label-4" });

  await on.label();

  expect(await on.runs()).toMatchObject([{ trigger: "label-5", subject: { kind: "issue", number: 7 } }]);
});
