import { pino } from "pino";
import { afterAll, beforeEach, expect, it } from "vitest";
import { createInbox } from "../../src/inbox.ts";
import { handleIntake } from "../../src/intake.ts";
import type { IntakeDeps } from "../../src/intake/start.ts";
import type { Pull } from "../../src/forge.ts";
import { runIdOf } from "../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../src/queue.ts";
import { startRedis } from "../support/redis.ts";
import { createLocalApp, createLocalHost, job, ourPull } from "../worker/support.ts";

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
  const say = (text = "Also this.") =>
    handleIntake({ kind: "comment", delivery: "e", repo, number: 9, isPull: true, actor, comment: 21, text }, deps);
  return { say, heard: () => inbox.read(runId), [Symbol.dispose]: () => host[Symbol.dispose]() };
}

it("a comment on our pull request reaches the run that works on its branch, once however often it is delivered", async () => {
  using on = await reviewed();

  await on.say();
  await on.say();

  expect(await on.heard()).toEqual([
    { kind: "comment", id: 21, by: "ann", text: "Also this.", at: { number: 9, isPull: true, by: 2 } },
  ]);
});

it("a comment for which the run is over by a moment is said to be late, and where it names us it is a question", async () => {
  using on = issue("write");
  await queues.addRun({ ...job, subject: { kind: "issue", number: 9 } });
  await inbox.close(job.runId);

  await on.say({ kind: "comment", text: "Use tabs.", comment: 21 });
  await on.say({ kind: "comment", text: "@agent-fix why tabs?", comment: 22 });

  expect(on.comments()).toEqual([expect.stringMatching(/ended before it came to read this\..*`\/agent-fix continue`/)]);
  expect((await on.runs()).map(({ subject }) => subject)).toMatchObject([{ kind: "issue" }, { comment: 22 }]);
});

it("a comment for a run that is stopped before it begins is passed on", async () => {
  using on = issue("write");
  await queues.addRun({ ...job, subject: { kind: "issue", number: 9 } });
  await on.say({ kind: "comment", text: "Use tabs.", comment: 21 });

  await on.say({ kind: "command", text: "/agent-fix stop", comment: 22 });

  expect(await queues.isLive(job.runId)).toBe(false);
  expect(await redis.exists(`${redisPrefix}:intake:e-late-7-21`)).toBe(1);
});

it("a comment that a run left unread reaches the run after it, or else is said to be late, once", async () => {
  using on = issue("write");
  const late = { kind: "comment", text: "Use tabs.", comment: 21, isLate: true } as const;

  await on.say(late);
  await on.say(late);
  expect(on.comments()).toHaveLength(1);

  await queues.addRun({ ...job, subject: { kind: "issue", number: 9 } });
  await on.say({ ...late, comment: 23 });
  expect(await inbox.read(job.runId)).toMatchObject([{ id: 23 }]);
  expect(on.comments()).toHaveLength(1);
});

it("what people say to each other reaches no run", async () => {
  using on = await reviewed();

  await on.say("@bob what do you think?");

  expect(await on.heard()).toEqual([]);
});

/** Issue 9, where somebody speaks who may do this much. */
function issue(permission: "write" | "read") {
  const host = createLocalHost({ ".github/agent-fix.yml": "" });
  host.forge.permission = async () => permission;
  const app = createLocalApp(host.forge);
  const deps: IntakeDeps = { host: app, queues, inbox, log: pino({ level: "silent" }), now: () => new Date() };
  const said = { delivery: "e", repo, number: 9, isPull: false };
  return {
    writes: host.writes,
    comments: () => Array.from(host.comments.values(), ({ body }) => body),
    say: (
      what: { kind: "comment" | "command"; text: string; comment: number; inReview?: boolean; isLate?: boolean },
      by = actor,
    ) => handleIntake({ ...said, actor: by, ...what }, deps),
    runs: async () => (await queues.waiting(10)).runs,
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

it("a question in a review's own text is answered as one in a comment, but for the reaction, which it can't have", async () => {
  using on = issue("write");

  await on.say({ kind: "comment", text: "@agent-fix why?", comment: 31 });
  await on.say({ kind: "comment", text: "@agent-fix and that?", comment: 32, inReview: true });

  expect(await on.runs()).toMatchObject([
    { subject: { kind: "question", comment: 31 }, trigger: "comment-31" },
    { subject: { kind: "question", comment: 32 }, trigger: "review-32" },
  ]);
  expect(on.writes).toEqual(["eyes on comment 31"]);
});

it("a person without write access is refused once on an issue, whatever they say there", async () => {
  using on = issue("read");

  await on.say({ kind: "command", text: "/agent-fix stop", comment: 41 });
  await on.say({ kind: "command", text: "/agent-fix retry", comment: 42 });
  await on.say({ kind: "command", text: "/agent-fix run lint", comment: 43 });
  await on.say({ kind: "comment", text: "@agent-fix why?", comment: 44 });
  expect(on.comments()).toEqual([expect.stringContaining("(Asked by ann.)")]);
  await on.say({ kind: "command", text: "/agent-fix stop", comment: 45 }, { id: 5, login: "bob" });

  expect(on.comments()).toEqual([expect.any(String), expect.stringContaining("(Asked by bob.)")]);
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
