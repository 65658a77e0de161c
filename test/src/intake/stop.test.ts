import { DelayedError, Worker } from "bullmq";
import type { Job } from "bullmq";
import { pino } from "pino";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { OutageError } from "../../../src/errors.ts";
import { createInbox } from "../../../src/inbox.ts";
import { handleIntake } from "../../../src/intake.ts";
import type { IntakeJob, RunJob, Subject } from "../../../src/job.ts";
import { connectRedis, createQueues, epochKey, redisPrefix } from "../../../src/queue.ts";
import { recallStatus, writeStatus } from "../../../src/status-comment.ts";
import { parseStatus, renderStatus, statusMark } from "../../../src/status.ts";
import type { StatusMarker } from "../../../src/status.ts";
import { patiently, startRedis } from "../../support/redis.ts";
import { startWorker } from "../../../worker/process.ts";
import {
  createLocalApp,
  createLocalDeps,
  createLocalHost,
  job as anyJob,
  ourPull,
  person,
} from "../../worker/support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const queues = createQueues(redis);
const inbox = createInbox(redis);
beforeEach(() => redis.flushall());
afterAll(async () => {
  await queues.close();
  await server[Symbol.asyncDispose]();
});

const branch = "agent-fix/issue-7";
const { repo } = anyJob;
const ann = { id: 2, login: "ann" };

/** Our pull request 9 for issue 7, on which people say things, and a worker that holds on to what it begins. */
function ourPullRequest() {
  const stack = new AsyncDisposableStack();
  const host = stack.use(createLocalHost({ ".github/agent-fix.yml": "" }));
  const [commit = ""] = host.commits;
  host.pulls.push({ ...ourPull, number: 9, head: { branch, commit } });
  const deps = {
    host: createLocalApp(host.forge),
    queues,
    inbox,
    log: pino({ level: "silent" }),
    now: () => new Date(),
  };
  let comment = 70;
  const bodyOf = (start: string) =>
    [...host.comments].filter(([key]) => key.startsWith(`9 ${start}`)).map(([, { body }]) => body.split("-->").at(-1));
  const feedback = { kind: "feedback" as const, delivery: "d", repo, pull: 9, branch };
  return {
    host,
    show: (number: number, marker: Partial<StatusMarker>) =>
      host.comments.set(`${number} ${statusMark}`, {
        id: number,
        body: renderStatus({ run: "r0", trigger: "label-1", state: "working", ...marker }, "Working"),
      }),
    shown: (number: number) => parseStatus(host.comments.get(`${number} ${statusMark}`)?.body ?? ""),
    statusText: () => host.comments.get(`9 ${statusMark}`)?.body,
    replies: () => bodyOf("<!-- agent-fix:reply"),
    answers: () => bodyOf("<!-- agent-fix:answer"),
    /** A remark on a line, with a number that is its time too, which GitHub tells of unless it is lost. */
    async review(id: number, told = true) {
      const at = `2026-01-01T00:00:${id}Z`;
      const remark = { author: person("ann"), body: "Trim it.", createdAt: at, editedAt: undefined, url: "u" };
      const place = { path: "a.js", line: 1, startLine: undefined, hunk: "@@", isResolved: false, isOutdated: false };
      host.said.threads.push({ id: `node-${id}`, ...place, remarks: [{ id, ...remark, review: undefined }] });
      if (told) await handleIntake({ ...feedback, actor: ann }, deps);
    },
    sweep: () => handleIntake(feedback, deps),
    handle: (event: Exclude<IntakeJob, { kind: "sweep" }>) => handleIntake(event, deps),
    say: (text: string, { number = 9, kind = "command" }: { number?: number; kind?: "command" | "comment" } = {}) =>
      handleIntake(
        { kind, delivery: "e", repo, number, isPull: number === 9, actor: ann, comment: ++comment, text },
        deps,
      ),
    /** What a worker makes of what it is given, one after the other or at once. */
    work(concurrency: number, take: (job: Job<RunJob>, token: string | undefined) => Promise<void>) {
      const worker = new Worker<RunJob>("runs", take, {
        connection: connectRedis(server.url, "worker"),
        prefix: redisPrefix,
        concurrency,
      });
      stack.defer(() => worker.close(true));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
const forGood = () => new Promise<void>(() => {});
const live = async () => (await queues.liveIn(repo.id)).map(({ run: { runId, subject } }) => ({ runId, subject }));
const working = async () =>
  (await queues.liveIn(repo.id)).filter(({ isWorking }) => isWorking).map(({ run }) => run.runId);
const runOf = (runId: string, subject: Subject): RunJob => ({ ...anyJob, runId, subject });
const stopBy = { kind: "stop", by: "ann", reason: "stopped by command" };

/** A round works, and another waits behind it. */
async function twoRounds(concurrency: number) {
  const on = ourPullRequest();
  const begun: string[] = [];
  const held = Promise.withResolvers<void>();
  on.work(concurrency, async (job, token) => {
    begun.push(String(job.id));
    if (job.id === begun[0]) return held.promise;
    // As a worker does that finds the branch taken.
    await job.moveToDelayed(Date.now() + 600_000, token);
    throw new DelayedError();
  });
  await on.review(12);
  await expect.poll(working, patiently).toHaveLength(1);
  const [first = ""] = begun;
  on.show(9, { run: first, trigger: "thread-12" });
  await on.review(13);
  const second = (await live()).find(({ runId }) => runId !== first)?.runId ?? "";
  return {
    ...on,
    first,
    second,
    async endFirst() {
      held.resolve();
      await expect.poll(() => queues.isLive(first), patiently).toBe(false);
      on.show(9, { run: first, trigger: "thread-12", state: "cancelled" });
    },
  };
}

describe("`stop` while a round works and another waits", () => {
  it.each([
    ["for a slot", 1],
    ["for the branch", 2],
  ])("ends both, and says so where each is told of: the other waits %s", async (_what, concurrency) => {
    await using on = await twoRounds(concurrency);
    const before = on.statusText();

    await on.say("/agent-fix stop");

    expect(await inbox.read(on.first)).toEqual([stopBy]);
    expect(await live()).toMatchObject([{ runId: on.first }]);
    expect(on.statusText()).toBe(before);
    const texts = on.replies();
    expect(texts).toHaveLength(2);
    for (const text of texts) expect(text).toContain("Stopped by ann: stopped by command.");
    expect(on.answers()).toEqual([]);
  });

  it("begins the stopped round no more by itself, also where its status comment is another run's by then", async () => {
    await using on = await twoRounds(1);
    await on.say("/agent-fix stop");
    on.show(9, { run: "r-checks", trigger: "checks-1", state: "opened" });

    await on.sweep();

    expect(await live()).toMatchObject([{ runId: on.first }]);
  });

  it.each([
    ["another review", (on: Awaited<ReturnType<typeof twoRounds>>) => on.review(14)],
    ["`continue`", (on: Awaited<ReturnType<typeof twoRounds>>) => on.say("/agent-fix continue")],
    ["`retry`", (on: Awaited<ReturnType<typeof twoRounds>>) => on.say("/agent-fix retry")],
  ])("has what was said answered after %s", async (_what, ask) => {
    await using on = await twoRounds(1);
    await on.say("/agent-fix stop");
    await on.endFirst();

    await ask(on);

    expect((await live()).map(({ subject }) => subject.kind)).toEqual(["review"]);
  });

  it("takes nothing else for stopped: a comment reaches the run that works", async () => {
    await using on = await twoRounds(1);

    await on.say("Mind the tabs.", { kind: "comment" });

    expect(await inbox.read(on.first)).toMatchObject([{ kind: "comment", text: "Mind the tabs." }]);
    expect(await inbox.read(on.second)).toEqual([]);
  });
});

it("a run that waits out an outage is stopped within seconds, and its worker says so", async () => {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(createLocalHost({ ".github/agent-fix.yml": "" }));
  // No engine is there.
  const worker = stack.use(await createLocalDeps(host.forge));
  const own = createQueues(worker.redis);
  const state = async () => (await own.liveIn(repo.id)).map(({ isWorking }) => isWorking);
  const shown = () => host.comments.get(`7 ${statusMark}`)?.body ?? "";
  const times = { concurrency: 1, lockMs: 30_000, stalledMs: 30_000, tidyEveryMs: 3600_000 };
  stack.use(await startWorker({ ...times, redisUrl: worker.redisUrl }, worker));
  await own.addRun(runOf("run-1", { kind: "issue", number: 7 }));
  host.comments.set(`7 ${statusMark}`, {
    id: 1,
    body: renderStatus({ run: "run-1", trigger: "label-1", state: "queued" }, "Queued"),
  });
  await expect.poll(() => worker.redis.exists(epochKey("run-1")), patiently).toBe(1);
  await expect.poll(state, patiently).toEqual([false]);
  const said = { delivery: "d", repo, number: 7, isPull: false, actor: ann, comment: 21, text: "/agent-fix stop" };

  await handleIntake({ kind: "command", ...said }, { ...worker, queues: own, now: () => new Date() });

  expect(shown()).toMatch(/\*\*Stopp(?:ing, as ann asked|ed by ann)\*\*/);
  await expect.poll(shown, { timeout: 5000 }).toContain("**Stopped by ann**");
  await expect.poll(state).toEqual([]);
});

it("`stop` on a pull request ends the run of its issue as well, which is told there, and says so here", async () => {
  await using on = ourPullRequest();
  on.work(1, forGood);
  await queues.addRun(runOf("issue-run", { kind: "issue", number: 7 }));
  await expect.poll(working, patiently).toEqual(["issue-run"]);
  on.show(7, { run: "issue-run" });
  await on.review(12);

  await on.say("/agent-fix stop");

  expect(await inbox.read("issue-run")).toEqual([stopBy]);
  expect(await live()).toMatchObject([{ runId: "issue-run" }]);
  expect(on.shown(9)).toMatchObject({ state: "cancelled", trigger: "thread-12" });
  expect(on.statusText()).toContain("The run had not started. Another review");
  expect(on.answers()).toEqual(["\nI stop the run on #7."]);
});

it("checks that a stopped run was to see to are not found anew", async () => {
  await using on = ourPullRequest();
  await queues.addRun(runOf("checks-run", { kind: "checks", pull: 9, branch, key: "of this commit" }));
  on.show(9, { run: "checks-run", state: "queued", watch: { attempts: 1, handled: "of another" } });

  await on.say("/agent-fix stop");

  expect(await live()).toEqual([]);
  expect(on.shown(9)).toMatchObject({ state: "cancelled", watch: { attempts: 1, handled: "of this commit" } });
});

it("a stop that could not be told is told when its event is tried again", async () => {
  await using on = ourPullRequest();
  await queues.addRun(runOf("issue-run", { kind: "issue", number: 7 }));
  on.show(7, { run: "issue-run", state: "queued" });
  const ensureComment = on.host.forge.ensureComment.bind(on.host.forge);
  on.host.forge.ensureComment = () => Promise.reject(new OutageError("502"));
  const stop = { delivery: "d", repo, issue: 7, actor: ann, reason: "label removed" } as const;
  on.host.forge.issue = async (number) => ({ number, title: "t", body: "", state: "open", labels: [], isPull: false });

  await expect(on.handle({ kind: "stop", ...stop })).rejects.toThrow("502");
  on.host.forge.ensureComment = ensureComment;
  await on.handle({ kind: "stop", ...stop });

  expect(await live()).toEqual([]);
  expect(on.shown(7)).toMatchObject({ state: "cancelled" });
});

it("checks that are stopped where a person deleted the status comment are not found anew either", async () => {
  await using on = ourPullRequest();
  await queues.addRun(runOf("checks-run", { kind: "checks", pull: 9, branch, key: "of this commit" }));
  const place = { redis, forge: on.host.forge, number: 9 };
  const marker = { run: "checks-run", trigger: "t", state: "queued" as const };
  await writeStatus(place, renderStatus(marker, "Queued"));
  on.host.comments.delete(`9 ${statusMark}`);

  await on.say("/agent-fix stop");

  expect(await recallStatus(place)).toMatchObject({ watch: { handled: "of this commit" } });
});

it("a question that is looked into is stopped where it was asked, and a worker says so", async () => {
  await using on = ourPullRequest();
  await queues.addRun(
    runOf("question-run", { kind: "question", number: 9, isPull: true, comment: 5, inThread: false }),
  );

  await on.say("/agent-fix stop");

  expect(await inbox.read("question-run")).toEqual([stopBy]);
  expect(on.answers()).toEqual(["\nI stop looking into what was asked here."]);
});

it("the label that comes off stops the issue's run, and no round of its pull request", async () => {
  await using on = ourPullRequest();
  on.host.forge.issue = async (number) => ({ number, title: "t", body: "", state: "open", labels: [], isPull: false });
  await queues.addRun(runOf("issue-run", { kind: "issue", number: 7 }));
  await queues.addRun(runOf("round", { kind: "review", pull: 9, branch }));
  on.show(7, { run: "issue-run", state: "queued" });

  await on.handle({ kind: "stop", delivery: "d", repo, issue: 7, actor: ann, reason: "label removed" });

  expect(await live()).toMatchObject([{ runId: "round" }]);
  expect(on.shown(7)).toMatchObject({ state: "cancelled" });
});
