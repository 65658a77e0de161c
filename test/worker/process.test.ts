import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LimitedError, RefusedError } from "../../src/errors.ts";
import { statusMark } from "../../src/status.ts";
import type { RunJob } from "../../src/job.ts";
import { createInbox } from "../../src/inbox.ts";
import { connectRedis, createQueues } from "../../src/queue.ts";
import { readRun } from "../../src/runlog.ts";
import { processJob, startWorker } from "../../worker/process.ts";
import type { Ended } from "../../worker/process.ts";
import { patiently, startRelay } from "../support/redis.ts";
import { createLocalDeps, createLocalHost, dataFolder, job, never } from "./support.ts";
import type { LocalDeps, LocalHost } from "./support.ts";

let host: LocalHost;
let deps: LocalDeps;
beforeEach(async () => {
  host = createLocalHost({ "a.txt": "one\n" });
  deps = await createLocalDeps(host.forge);
});
afterEach(async () => {
  await deps[Symbol.asyncDispose]();
  host[Symbol.dispose]();
});

const typesOf = () => readRun(deps.dataDir, job.runId)?.map(({ type }) => type);
const statusText = () => host.comments.get(`7 ${statusMark}`)?.body ?? "";

describe("processJob", () => {
  it("takes a run again while the engine is away, later each time, and then says so on the issue", async () => {
    const tries: Ended[] = [];
    for (let i = 0; i < 6; i++) tries.push(await processJob(job, never, deps));

    const waits = tries.slice(0, 5).map((one) => (one.outcome === undefined ? one.retryAfterMs : 0));
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits[0]).toBeGreaterThan(0);
    expect(tries.at(-1)).toMatchObject({ outcome: { outcome: "gave-up", cause: "outage" } });
    expect(statusText()).toContain("**Stopped: outage**");
    expect(statusText()).toContain(join(deps.dataDir, "none.sock"));
  });

  it("does not lose a run that can't be claimed because Redis is away", async () => {
    await deps.redis.quit();

    const ended = await processJob(job, never, deps);

    expect(ended).toMatchObject({ outcome: undefined, retryAfterMs: expect.any(Number) });
    expect(existsSync(join(deps.dataDir, "runs", job.runId, "log.jsonl"))).toBe(false);
  });

  it("gives a run back, not counted as a try, when the worker stops", async () => {
    const stopping = AbortSignal.abort(new Error("the worker stops"));

    const ended = await processJob(job, stopping, deps);

    expect(ended).toEqual({ outcome: undefined, retryAfterMs: 0 });
    expect(typesOf()).toEqual(["claimed", "released"]);
  });

  it("ends a run that a person stopped as cancelled, with who and why", async () => {
    const engine = { ...deps.engine, list: async () => [] };
    const mirrors = {
      async fetch(_source: unknown, signal: AbortSignal): Promise<string> {
        await deps.inbox.send(job.runId, { kind: "stop", by: "ada", reason: "label removed" });
        signal.throwIfAborted();
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener("abort", () => reject(signal.reason));
        return promise;
      },
    };

    const ended = await processJob(job, never, { ...deps, engine, mirrors });

    expect(ended).toMatchObject({ outcome: { outcome: "cancelled", cause: "label removed" } });
    expect(statusText()).toContain("**Stopped by ada**\n\nNothing was published: label removed.");
    expect(await deps.inbox.read(job.runId)).toEqual([]);
    expect(deps.host.tokens.size).toBe(0);
  });

  it("ends a run that a person stopped in the moment of an outage, instead of taking it again later", async () => {
    const list = async () => {
      await deps.inbox.send(job.runId, { kind: "stop", by: "ada", reason: "label removed" });
      throw new Error("the engine went away");
    };

    const ended = await processJob(job, never, { ...deps, engine: { ...deps.engine, list }, pollMs: 60_000 });

    expect(ended).toMatchObject({ outcome: { outcome: "cancelled" }, isTold: true });
    expect(statusText()).toContain("**Stopped by ada**");
  });

  it("ends a task's run without a look at it where its turn comes in quiet hours, unless a person asked for it", async () => {
    using quiet = createLocalHost({
      ".github/agent-fix.yml":
        'maintenance: {tidy: {task: Tidy up, schedule: "0 5 * * 1"}}\nunattended: {quiet: ["00:00-12:00", "12:00-00:00"]}\n',
    });
    await using local = await createLocalDeps(quiet.forge);
    const engine = { ...local.engine, list: async () => [] };
    const task = { ...job, subject: { kind: "task" as const, key: "tidy" } };

    const [due, asked] = await Promise.all(
      ["slot-1", "comment-1"].map((trigger) =>
        processJob({ ...task, trigger, runId: trigger }, never, { ...local, engine }),
      ),
    );

    expect(due).toMatchObject({ outcome: { outcome: "cancelled", cause: "quiet hours" } });
    expect(asked).toMatchObject({ outcome: { outcome: "needs-input", cause: "no checks" } });
  });

  it("tells an outcome again that a dead worker had written down but not told", async () => {
    await writeFinished();

    const ended = await processJob(job, never, deps);

    expect(ended).toMatchObject({ outcome: { outcome: "gave-up", cause: "out of steps" } });
    expect(statusText()).toContain("No more steps.");
    expect(typesOf()).toEqual(["claimed", "finished", "claimed"]);
  });

  it("passes on what came too late, and what a try read that died before it came of it, as if it were said now", async () => {
    const log = deps.openLog(job.runId);
    const note = (comment: number) => log.append({ type: "note", text: "took in a comment by ann", comment });
    await log.append({ type: "claimed", epoch: 1, job });
    await note(21);
    await log.append({ type: "claimed", epoch: 2, job });
    await note(22);
    await log.append({ type: "finished", outcome: "gave-up", cause: "stuck", detail: "", pull: undefined });
    log.close();
    for (const id of [21, 22, 23]) {
      const at = { number: 7, isPull: false, by: 3 };
      await deps.inbox.send(job.runId, { kind: "comment", id, by: "ann", text: `Word ${id}.`, at });
    }
    const heard: unknown[] = [];

    await processJob(job, never, { ...deps, hear: async (said) => void heard.push(said) });

    expect(heard).toMatchObject(
      [21, 23].map((id) => ({ kind: "comment", isLate: true, number: 7, comment: id, text: `Word ${id}.` })),
    );
    expect(await deps.inbox.read(job.runId)).toEqual([]);
  });

  it("takes a run again that has told its outcome, while what came too late can't be passed on", async () => {
    await writeFinished();
    await using relay = await startRelay(redisSocket());
    await relay.refuse();
    const far = connectRedis(relay.url, "producer");

    const ended = await processJob(job, never, { ...deps, inbox: createInbox(far) });
    far.disconnect();

    expect(ended).toMatchObject({ outcome: undefined });
    expect(statusText()).toContain("No more steps.");
    expect(await processJob(job, never, deps)).toMatchObject({ outcome: { cause: "out of steps" }, isTold: true });
  });

  it("waits with its answer for as long as the code host wants to be left alone, and counts no try for it", async () => {
    await writeFinished();
    const limited = { ...host.forge, ensureComment: () => Promise.reject(limitedFor(600_000)) };
    const busy = { ...deps.host, forge: () => limited };

    for (let i = 0; i < 10; i++) {
      const { retryAfterMs } = leftFrom(await processJob(job, never, { ...deps, host: busy }));
      expect(retryAfterMs).toBeGreaterThan(590_000);
    }

    expect(await processJob(job, never, deps)).toMatchObject({ outcome: { cause: "out of steps" } });
    expect(statusText()).toContain("No more steps.");
  });

  it("counts no try either where the code host wants to be left alone before the work is done", async () => {
    host.forge.repository = () => Promise.reject(limitedFor(1_200_000));
    const engine = { ...deps.engine, list: async () => [] };

    const { retryAfterMs } = leftFrom(await processJob(job, never, { ...deps, engine }));

    expect(retryAfterMs).toBeGreaterThan(1_190_000);
    expect(typesOf()?.at(-1)).toBe("released");
  });

  it.each([
    [new RefusedError("permission", "It lacks `contents: write`."), "no rights", 1],
    [new RefusedError("archived", "It is archived."), "refused", 1],
    // What was made a moment ago may not be seen yet.
    [new RefusedError("gone", "It is not there.", { status: 404 }), "refused", 2],
  ] as const)("ends what the code host refuses for good, and says why: %s", async (refusal, cause, tries) => {
    host.forge.repository = () => Promise.reject(refusal);
    const engine = { ...deps.engine, list: async () => [] };
    const ended: Ended[] = [];
    while (ended.at(-1)?.outcome === undefined) ended.push(await processJob(job, never, { ...deps, engine }));

    expect(ended.at(-1)).toMatchObject({ outcome: { outcome: "gave-up", cause }, isTold: true });
    expect(ended).toHaveLength(tries);
    expect(statusText()).toContain(refusal.message);
  });

  it("leaves an outcome that it may tell nobody for later, without another try", async () => {
    await writeFinished();
    let asked = 0;
    const ensureComment = host.forge.ensureComment.bind(host.forge);
    host.forge.ensureComment = () => {
      asked++;
      return Promise.reject(new RefusedError("suspended", "It is suspended."));
    };

    expect(await processJob(job, never, deps)).toMatchObject({ isTold: false });
    expect(asked).toBe(1);

    host.forge.ensureComment = ensureComment;
    expect(await processJob(job, never, deps)).toMatchObject({ isTold: true });
    expect(statusText()).toContain("No more steps.");
  });

  it("ends a run on which workers keep dying", async () => {
    const log = deps.openLog(job.runId);
    for (let epoch = 1; epoch <= 6; epoch++) await log.append({ type: "claimed", epoch, job });
    log.close();

    expect(await processJob(job, never, deps)).toMatchObject({ outcome: { outcome: "gave-up", cause: "crashed" } });
    expect(statusText()).toContain("The worker died on this run, each time anew.\n\nThat was 6 times.");
  });
});

describe("startWorker", () => {
  const pace = { concurrency: 1, lockMs: 3000, stalledMs: 3000, tidyEveryMs: 60_000 };

  it("does not lose a run whose subject can't be locked because Redis is away", async () => {
    await writeFinished();
    await using relay = await startRelay(redisSocket());
    await relay.refuse();
    const far = connectRedis(relay.url, "producer");
    const queues = createQueues(deps.redis);
    await queues.addRun(job);
    await using _worker = await startWorker({ ...pace, redisUrl: deps.redisUrl }, { ...deps, redis: far });
    await expect.poll(() => delayedRuns(), patiently).toBe(1);

    await relay.recover();

    await expect.poll(() => queues.isLive(job.runId), { timeout: 20_000 }).toBe(false);
    expect(statusText()).toContain("No more steps.");
    far.disconnect();
  });

  it("has what a repository shows looked after when a run begins and when it has ended", async () => {
    await writeFinished();
    const looks: unknown[] = [];
    const lookAfter = async ({ runId }: RunJob, ended?: string) => void looks.push([runId, ended]);
    await createQueues(deps.redis).addRun(job);

    await using _worker = await startWorker({ ...pace, redisUrl: deps.redisUrl }, { ...deps, lookAfter });

    await expect
      .poll(() => looks, patiently)
      .toEqual([
        [job.runId, undefined],
        [job.runId, "gave-up"],
      ]);
  });

  it("gives a run back when it stops, also while it tidies", async () => {
    const begun = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<never[]>();
    const mirrors = {
      async fetch(_source: unknown, signal: AbortSignal): Promise<string> {
        begun.resolve();
        signal.addEventListener("abort", () => aborted.resolve([]));
        await aborted.promise;
        throw signal.reason;
      },
    };
    let lists = 0;
    // The first look belongs to the tidying, the next to the run.
    const engine = { ...deps.engine, list: async () => (lists++ === 0 ? aborted.promise : []) };
    await createQueues(deps.redis).addRun(job);
    const worker = await startWorker({ ...pace, redisUrl: deps.redisUrl }, { ...deps, engine, mirrors });
    await begun.promise;

    await worker[Symbol.asyncDispose]();

    expect(typesOf()?.at(-1)).toBe("released");
    expect(await createQueues(deps.redis).isLive(job.runId)).toBe(true);
  });

  it("works on when the data folder can't be tidied", async () => {
    await writeFinished();
    using broken = dataFolder();
    writeFileSync(join(broken.path, "runs"), "no folder");
    const queues = createQueues(deps.redis);
    await queues.addRun(job);
    {
      await using _worker = await startWorker({ ...pace, redisUrl: deps.redisUrl }, { ...deps, dataDir: broken.path });
      await expect.poll(() => queues.isLive(job.runId), patiently).toBe(false);
    }

    expect(statusText()).toContain("No more steps.");
  });
});

const limitedFor = (ms: number) => new LimitedError(new Date(Date.now() + ms));
function leftFrom(ended: Ended) {
  if (ended.outcome !== undefined) throw new Error(`it ended: ${ended.outcome.outcome}`);
  return ended;
}
const redisSocket = () => deps.redisUrl.replace("unix://", "");
const delayedRuns = () => deps.redis.zcard("{agent-fix}:runs:delayed");

/** A log of a worker that died after it had written the outcome down. */
async function writeFinished(): Promise<void> {
  const log = deps.openLog(job.runId);
  await log.append({ type: "claimed", epoch: 1, job });
  const outcome = { outcome: "gave-up", cause: "out of steps", detail: "No more steps.", pull: undefined } as const;
  await log.append({ type: "finished", ...outcome });
  log.close();
}
