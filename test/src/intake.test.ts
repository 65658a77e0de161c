import { pino } from "pino";
import { afterAll, beforeEach, expect, it } from "vitest";
import { createInbox } from "../../src/inbox.ts";
import { handleIntake } from "../../src/intake.ts";
import type { IntakeDeps } from "../../src/intake/start.ts";
import type { Pull } from "../../src/forge.ts";
import { runIdOf } from "../../src/job.ts";
import { connectRedis, createQueues } from "../../src/queue.ts";
import { startRedis } from "../support/redis.ts";
import { createLocalHost, ourPull } from "../worker/support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const queues = createQueues(redis);
const inbox = createInbox(redis);

beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  await queues.close();
  await server[Symbol.asyncDispose]();
});

const repo = { id: 7, owner: "o", name: "r", installationId: 1 };
const actor = { id: 2, login: "ann" };
const pull: Pull = { ...ourPull, number: 9, head: { branch: "agent-fix/task/lint", commit: "a".repeat(40) } };

const submittedAt = "2026-01-01T00:00:00Z";

/** A code host on which pull request 9 is as told, with a run of a review of ours that waits in the queue. */
async function reviewed(shown: Partial<Pull> = {}, permission: "write" | "read" = "write") {
  const host = createLocalHost({ ".github/agent-fix.yml": "" });
  const author = { ...actor, isBot: false };
  const review = { id: 11, author, state: "commented" as const, body: "Mind it.", submittedAt, commit: "", url: "" };
  const now = { pull, permission: "write" as "write" | "read" };
  const forge = {
    ...host.forge,
    pull: async () => now.pull,
    permission: async () => now.permission,
    reviews: async () => [review],
  };
  const codeHost = { forge: () => forge, app: async () => ({ slug: "agent-fix" }) } as unknown as IntakeDeps["host"];
  const deps: IntakeDeps = { host: codeHost, queues, inbox, log: pino({ level: "silent" }), now: () => new Date() };
  const branch = pull.head.branch;
  await handleIntake({ kind: "feedback", delivery: "d", repo, pull: 9, actor, branch }, deps);
  const runId = runIdOf(repo, { kind: "review", pull: 9, branch }, "review-11");
  Object.assign(now, { pull: { ...pull, ...shown }, permission });
  const say = () =>
    handleIntake(
      { kind: "comment", delivery: "e", repo, number: 9, isPull: true, actor, comment: 21, text: "Also this." },
      deps,
    );
  return { say, heard: () => inbox.read(runId), [Symbol.dispose]: () => host[Symbol.dispose]() };
}

it("a comment on our pull request reaches the run that works on its branch, once however often it is delivered", async () => {
  using on = await reviewed();

  await on.say();
  await on.say();

  expect(await on.heard()).toEqual([{ kind: "comment", id: 21, by: "ann", text: "Also this." }]);
});

it.each([
  ["a pull request that is not ours, though its branch sounds alike", { ours: false }, "write"],
  [
    "a pull request of another branch, whose name ends alike",
    { head: { ...pull.head, branch: "0123456789task-lint" } },
    "write",
  ],
  ["somebody who may not write", {}, "read"],
] as const)("a comment reaches no run on or by %s", async (_what, shown, permission) => {
  using on = await reviewed(shown, permission);

  await on.say();

  expect(await on.heard()).toEqual([]);
});
