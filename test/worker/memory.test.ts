import { describe, expect, it } from "vitest";
import type { RunJob } from "../../src/job.ts";
import { defaultSettings } from "../../src/settings.ts";
import { recallStatus } from "../../src/status-comment.ts";
import { parseStatus, renderStatus, statusMark } from "../../src/status.ts";
import type { StatusMarker } from "../../src/status.ts";
import { processJob } from "../../worker/process.ts";
import { takeFeedback } from "../../worker/round.ts";
import { openRun } from "../../worker/run.ts";
import type { Outcome, Run } from "../../worker/run.ts";
import { checksWorkflow } from "../../worker/workflows/checks.ts";
import { mergeWorkflow } from "../../worker/workflows/merge.ts";
import { reviewWorkflow } from "../../worker/workflows/review.ts";
import { createLocalDeps, createLocalHost, job, never, ourPull, person } from "./support.ts";

const branch = "agent-fix/issue-7";
const at = (seconds: number) => `2026-01-01T00:00:${String(seconds).padStart(2, "0")}Z`;
const rounds = { count: 3, failures: 0, from: {}, read: { threads: { at: at(9), ids: [11] } } };
const watch = { attempts: 2, handled: "k1" };
const nothing: Outcome = { outcome: "no-change", cause: "x", detail: "", pull: undefined };
const bot = { id: 1, login: "agent-fix[bot]" };

/** Our pull request 9, whose status comment tells of an earlier run and remembers its rounds and checks. */
async function onPull() {
  const stack = new AsyncDisposableStack();
  const host = stack.use(createLocalHost({ ".github/agent-fix.yml": "" }));
  const deps = stack.use(await createLocalDeps(host.forge));
  const [commit = ""] = host.commits;
  const pull = { ...ourPull, number: 9, head: { branch, commit } };
  host.pulls.push(pull);
  const place = { redis: deps.redis, forge: host.forge, number: 9 };
  const show = (more: Partial<StatusMarker>) =>
    host.comments.set(`9 ${statusMark}`, {
      id: 1,
      body: renderStatus({ run: "r0", trigger: "t", state: "opened", ...more }, "Done"),
    });
  show({ rounds, watch });
  const review = (runId: string): RunJob => ({ ...job, runId, subject: { kind: "review", pull: 9, branch } });
  const take = (run: Run) => takeFeedback(run, deps, { forge: host.forge, pull, settings: defaultSettings });
  return {
    host,
    deps: { ...deps, engine: { ...deps.engine, list: async () => [] } },
    show,
    shown: () => parseStatus(host.comments.get(`9 ${statusMark}`)?.body ?? ""),
    place,
    remembered: async () => {
      const status = await recallStatus(place);
      return { rounds: status?.rounds, watch: status?.watch };
    },
    /** Ann says something in a thread of its own, at that second. */
    say(id: number, second: number, body: string) {
      const remark = { id, author: person("ann"), body, createdAt: at(second), editedAt: undefined, url: "u" };
      host.said.threads.push({
        id: `node-${id}`,
        path: "a.js",
        line: 1,
        startLine: undefined,
        hunk: "@@",
        isResolved: false,
        isOutdated: false,
        remarks: [{ ...remark, review: undefined }],
      });
    },
    review,
    /** One claim of a round: what it is about, and with answers its end. */
    async round(runId: string, how: "given back" | "answered") {
      await using run = await openRun(review(runId), never, deps);
      const { points } = await take(run);
      if (how === "answered" && points.length > 0) {
        for (const { id } of points)
          await run.log.append({ type: "reply", point: id, disposition: "question", text: `By ${runId}.` });
        await reviewWorkflow.report(run, nothing, deps);
      }
      return points.map(({ texts }) => texts[0]?.body);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("what a pull request remembers", () => {
  it.each(["checks", "merge"] as const)(
    "outlives a run on its %s that finds it closed before it begins",
    async (kind) => {
      await using on = await onPull();
      const [pull = { ...ourPull, number: 9, head: { branch, commit: "" } }] = on.host.pulls;
      on.host.pulls[0] = { ...pull, state: "closed" };

      const ended = await processJob(
        { ...job, subject: { kind, pull: 9, branch, key: "k2" }, actor: bot },
        never,
        on.deps,
      );

      expect(ended).toMatchObject({ outcome: { outcome: "cancelled" }, isTold: true });
      expect(await on.remembered()).toEqual({ rounds, watch });
    },
  );

  it("of its checks outlives a round of review", async () => {
    await using on = await onPull();
    on.say(12, 20, "Why?");

    await on.round("A", "answered");

    const read = { threads: { at: at(20), ids: [12] } };
    expect(await on.remembered()).toEqual({ rounds: { count: 4, failures: 0, from: rounds.read, read }, watch });
  });

  it("is not put back by a run on its checks that is told again after others", async () => {
    await using on = await onPull();
    const subject = { kind: "checks" as const, pull: 9, branch, key: "k2" };
    {
      await using run = await openRun({ ...job, subject }, never, on.deps);
      await checksWorkflow.work(run, on.deps).catch(() => {});
      await run.log.append({ type: "finished", ...nothing });
      await checksWorkflow.report(run, nothing, on.deps);
    }
    expect(await on.remembered()).toEqual({ rounds, watch: { attempts: 3, handled: "k2" } });
    const later = { rounds: { ...rounds, count: 8 }, watch: { attempts: 1, handled: "k3" } };
    on.show({ run: "other", ...later });

    await processJob({ ...job, subject }, never, on.deps);

    expect(await on.remembered()).toEqual(later);
    expect(on.shown()).toMatchObject({ run: "other", state: "opened" });
  });

  it("is not put back by a merge that is told again after others, nor by a round", async () => {
    await using on = await onPull();
    on.say(12, 20, "Why?");
    const merge = { ...job, runId: "M", subject: { kind: "merge" as const, pull: 9, branch, key: "k2" } };
    await on.round("A", "answered");
    {
      await using run = await openRun(merge, never, on.deps);
      await mergeWorkflow.work(run, on.deps).catch(() => {});
      await mergeWorkflow.report(run, nothing, on.deps);
    }
    const told = await on.remembered();
    expect(told).toMatchObject({ rounds: { count: 4 }, watch: { attempts: 3, handled: "k2" } });
    const later = {
      rounds: { ...rounds, count: 8, read: { threads: { at: at(40), ids: [40] } } },
      watch: { attempts: 1, handled: "k3" },
    };
    on.show({ run: "other", ...later });

    for (const one of [merge, on.review("A")]) {
      await using run = await openRun(one, never, on.deps);
      await (one === merge ? mergeWorkflow : reviewWorkflow).report(run, nothing, on.deps);
    }

    expect(await on.remembered()).toEqual(later);
  });

  it("is known also where a person deleted the status comment", async () => {
    await using on = await onPull();
    on.say(12, 20, "Why?");
    await on.round("A", "answered");
    const before = await on.remembered();
    on.host.comments.delete(`9 ${statusMark}`);

    expect(await on.remembered()).toEqual(before);
    expect(await on.round("B", "answered")).toEqual([]);
  });
});

describe("a round that is taken again after another one", () => {
  it("leaves out what that one answered, and puts nothing back", async () => {
    await using on = await onPull();
    on.say(12, 20, "Trim it.");
    expect(await on.round("A", "given back")).toEqual(["Trim it."]);
    on.say(13, 30, "And this.");
    expect(await on.round("B", "answered")).toEqual(["Trim it.", "And this."]);
    const before = await on.remembered();

    expect(await on.round("A", "answered")).toEqual([]);

    expect(await on.remembered()).toEqual(before);
    expect(on.host.writes.filter((write) => write.includes("By A"))).toEqual([]);
  });

  it("still answers what that one did not read", async () => {
    await using on = await onPull();
    on.say(12, 20, "Trim it.");
    on.say(13, 30, "And this.");
    await on.round("A", "given back");
    on.show({ run: "B", rounds: { ...rounds, count: 4, read: { threads: { at: at(20), ids: [12] } } }, watch });

    expect(await on.round("A", "answered")).toEqual(["And this."]);

    const read = { threads: { at: at(30), ids: [13] } };
    expect(await on.remembered()).toMatchObject({ rounds: { count: 5, read }, watch });
  });
});
