import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readRun } from "../../src/runlog.ts";
import { openRun } from "../../worker/run.ts";
import { createLocalDeps, createLocalHost, job, never } from "./support.ts";
import type { LocalDeps, LocalHost } from "./support.ts";

let host: LocalHost;
let deps: LocalDeps;
beforeEach(async () => {
  host = createLocalHost();
  deps = await createLocalDeps(host.forge);
});
afterEach(async () => {
  await deps[Symbol.asyncDispose]();
  host[Symbol.dispose]();
});

const tokensOf = (dir: string) => join(dir, "tokens");

describe("openRun", () => {
  it("writes the claim down, each with an epoch of its own", async () => {
    for (let i = 0; i < 2; i++) await (await openRun(job, never, deps))[Symbol.asyncDispose]();

    const events = readRun(deps.dataDir, job.runId) ?? [];
    expect(events).toMatchObject([
      { type: "claimed", job },
      { type: "claimed", job },
    ]);
    expect(new Set(events.map((event) => event.type === "claimed" && event.epoch)).size).toBe(2);
  });

  it("lets the newest worker of a run through, and every older one no longer", async () => {
    await using first = await openRun(job, never, deps);
    await first.guard();

    await using second = await openRun(job, never, deps);
    await using other = await openRun({ ...job, runId: "run-2" }, never, deps);

    await second.guard();
    await other.guard();
    await expect(first.guard()).rejects.toThrow("run run-1 was taken over by another worker");
  });

  it("goes on when Redis has lost its data", async () => {
    await using run = await openRun(job, never, deps);

    await deps.redis.flushall();

    await expect(run.guard()).resolves.toBeUndefined();
  });

  it("keeps an older worker out also when Redis lost its data and the run was claimed anew", async () => {
    await using first = await openRun(job, never, deps);
    await deps.redis.flushall();
    await using second = await openRun(job, never, deps);

    await second.guard();
    await expect(first.guard()).rejects.toThrow("run run-1 was taken over by another worker");
  });

  it("aborts when a person stops the run, and knows who", async () => {
    await using run = await openRun(job, never, deps);
    await using other = await openRun({ ...job, runId: "run-2" }, never, deps);

    await deps.inbox.send(job.runId, { kind: "stop", by: "ada", reason: "label removed" });

    await expect.poll(() => run.signal.aborted).toBe(true);
    expect(run.stopped()).toEqual({ kind: "stop", by: "ada", reason: "label removed" });
    expect(String(run.signal.reason)).toContain("stopped: label removed");
    expect(other.signal.aborted).toBe(false);
  });

  it("aborts with the worker's own signal, without a person", async () => {
    const worker = new AbortController();
    await using run = await openRun(job, worker.signal, deps);

    worker.abort(new Error("the worker stops"));

    expect(run.signal.aborted).toBe(true);
    expect(run.stopped()).toBeUndefined();
  });
});

describe("a run's token", () => {
  it("is on disk for its owner alone while the work lasts, and revoked and gone after it", async () => {
    await using run = await openRun(job, never, deps);
    const file = tokensOf(run.log.dir);

    const during = await run.withToken("publish", async (_forge, token) => ({
      token,
      kept: readFileSync(file, "utf8"),
      mode: statSync(file).mode & 0o777,
      good: deps.host.tokens.has(token),
    }));

    expect(during).toMatchObject({ kept: `${during.token}\n`, mode: 0o600, good: true });
    expect(deps.host.revoked).toEqual([during.token]);
    expect(existsSync(file)).toBe(false);
    expect(JSON.stringify(run.log.events)).not.toContain(during.token);
  });

  it("that only reads is revoked without the work's end having to wait for it", async () => {
    const run = await openRun(job, never, deps);
    const { promise, resolve } = Promise.withResolvers<void>();
    const revoke = deps.host.revoke.bind(deps.host);
    deps.host.revoke = async (token) => {
      await promise;
      return revoke(token);
    };

    await run.withToken("read", async () => {});
    const before = [...deps.host.revoked];
    resolve();
    await run[Symbol.asyncDispose]();

    expect([before, deps.host.revoked]).toEqual([[], ["token-read-0"]]);
  });

  it("is revoked when the work fails, and each of two at once by itself", async () => {
    const run = await openRun(job, never, deps);

    const failing = run.withToken("read", () => Promise.reject(new Error("the fetch failed")));
    const other = run.withToken("publish", async (_forge, token) => token);

    await expect(failing).rejects.toThrow("the fetch failed");
    await other;
    await run[Symbol.asyncDispose]();
    expect(deps.host.tokens.size).toBe(0);
    expect(existsSync(tokensOf(run.log.dir))).toBe(false);
  });

  it("stays on disk while the host is away, does not fail the work, and is revoked by the next worker", async () => {
    deps.host.unrevokable.add("token-publish-0");
    const token = await (async () => {
      await using run = await openRun(job, never, deps);
      return await run.withToken("publish", async (_forge, value) => value);
    })();
    const file = tokensOf(join(deps.dataDir, "runs", job.runId));
    expect(readFileSync(file, "utf8")).toBe(`${token}\n`);
    const told = readRun(deps.dataDir, job.runId)?.map(({ type }) => type);
    expect(told).toEqual(["claimed", "token.minted"]);

    await (await openRun(job, never, deps))[Symbol.asyncDispose]();
    const stillThere = existsSync(file);
    deps.host.unrevokable.clear();
    await (await openRun(job, never, deps))[Symbol.asyncDispose]();

    expect(stillThere).toBe(true);
    expect(existsSync(file)).toBe(false);
    expect(deps.host.revoked).toEqual([token]);
  });

  it("that a dead worker left is revoked before the run goes on", async () => {
    await (await openRun(job, never, deps))[Symbol.asyncDispose]();
    const file = tokensOf(join(deps.dataDir, "runs", job.runId));
    writeFileSync(file, "token-a\ntoken-b\n");

    await using _run = await openRun(job, never, deps);

    expect(deps.host.revoked).toEqual(["token-a", "token-b"]);
    expect(existsSync(file)).toBe(false);
  });
});
