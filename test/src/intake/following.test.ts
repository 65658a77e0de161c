import { Queue } from "bullmq";
import { pino } from "pino";
import { afterAll, beforeEach, expect, it } from "vitest";
import { createInbox } from "../../../src/inbox.ts";
import { handleIntake } from "../../../src/intake.ts";
import { goingOn } from "../../../src/intake/start.ts";
import type { IntakeDeps } from "../../../src/intake/start.ts";
import { runIdOf } from "../../../src/job.ts";
import type { Follows, RunJob } from "../../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../../src/queue.ts";
import { parseStatus, renderStatus, statusMark } from "../../../src/status.ts";
import type { StatusMarker } from "../../../src/status.ts";
import { startRedis } from "../../support/redis.ts";
import { createLocalApp, createLocalHost, job, ourPull } from "../../worker/support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const queues = createQueues(redis);
const inbox = createInbox(redis);
const waiting = new Queue("runs", { connection: redis, prefix: redisPrefix, skipVersionCheck: true });
beforeEach(() => redis.flushall());
afterAll(async () => {
  await waiting.close();
  await queues.close();
  await server[Symbol.asyncDispose]();
});

const repo = { id: 7, owner: "o", name: "r", installationId: 1 };
const actor = { id: 2, login: "ann" };
const ended: StatusMarker = { run: "r1", trigger: "label-5", state: "gave-up" };

/** Issue 9 with this status comment, on which a person with write access says something. */
function issueWith(status: StatusMarker | undefined) {
  const host = createLocalHost({ ".github/agent-fix.yml": "" });
  const show = (marker: StatusMarker) =>
    host.comments.set(`9 ${statusMark}`, {
      id: 1,
      body: renderStatus(marker, "Stopped: out of steps", ["As far as that."]),
    });
  if (status !== undefined) show(status);
  const codeHost = {
    forge: () => host.forge,
    app: async () => ({ slug: "agent-fix" }),
  } as unknown as IntakeDeps["host"];
  const deps: IntakeDeps = { host: codeHost, queues, inbox, log: pino({ level: "silent" }), now: () => new Date() };
  const said = { delivery: "d", repo, number: 9, isPull: false, actor, comment: 21 };
  const runId = runIdOf(repo, { kind: "issue", number: 9 }, "comment-21");
  return {
    say: (text: string) => handleIntake({ kind: "command", ...said, text }, deps),
    answer: (text: string, comment = said.comment) => handleIntake({ kind: "comment", ...said, comment, text }, deps),
    unlabel() {
      const issue = host.forge.issue.bind(host.forge);
      host.forge.issue = async (number) => ({ ...(await issue(number)), labels: [] });
    },
    run: async () => ((await waiting.getJob(runId))?.data as RunJob | undefined)?.follows,
    told: () => inbox.read(runId),
    show,
    shown: () => parseStatus(host.comments.get(`9 ${statusMark}`)?.body ?? ""),
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

it("a run that goes on from another covers the label that the other covered, so that no sweep takes the label for a new one", async () => {
  using issue = issueWith(ended);

  await issue.say("/agent-fix continue");
  await issue.say("/agent-fix continue");

  expect(await issue.run()).toEqual({ run: "r1", how: "continue", covers: "label-5" });
  expect(issue.shown()).toMatchObject({ state: "queued", trigger: "label-5" });
  expect(await issue.told()).toEqual([
    { kind: "earlier", said: "**Stopped: out of steps**\n\nAs far as that.", by: "ann", answer: "" },
    { kind: "task", title: "It breaks", body: "It does." },
  ]);
});

it("a command that is delivered again long after it was done begins and stops nothing", async () => {
  using issue = issueWith(ended);
  await issue.say("/agent-fix retry");
  await waiting.obliterate({ force: true });
  issue.show({ run: "r2", trigger: "label-6", state: "gave-up" });

  await issue.say("/agent-fix retry");

  expect(await issue.run()).toBeUndefined();
});

it("what the last run said is told once, however often the event is tried", async () => {
  using issue = issueWith(ended);
  await issue.say("/agent-fix continue");
  // As if the first try had died before it was done.
  await redis.del(`${redisPrefix}:said:7:21`);
  await waiting.obliterate({ force: true });
  issue.show(ended);

  await issue.say("/agent-fix continue");

  expect((await issue.told()).filter(({ kind }) => kind === "earlier")).toHaveLength(1);
});

it("a plan that is asked for where nothing ran before is a plan", async () => {
  using issue = issueWith(undefined);

  await issue.say("/agent-fix plan");

  expect(await issue.run()).toEqual({ how: "plan" });
  expect(issue.shown()).toMatchObject({ state: "queued", trigger: "comment-21" });
});

it("a word after a question is its answer, and after anything else none", async () => {
  using asked = issueWith({ ...ended, state: "needs-input", cause: "question" });
  using other = issueWith(ended);

  await other.answer("Forty-two.");
  expect(await other.run()).toBeUndefined();
  await asked.answer("Forty-two.");

  expect(await asked.run()).toEqual({ run: "r1", how: "answer", covers: "label-5" });
  expect(await asked.told()).toContainEqual(expect.objectContaining({ kind: "earlier", answer: "Forty-two." }));
});

it.each([
  { state: "no-change" },
  { state: "gave-up", cause: "no answer" },
  { state: "gave-up", cause: "stuck" },
] as const)("a word after a run that knew no way on has us look again with it: %o", async (how) => {
  using issue = issueWith({ ...ended, ...how });

  await issue.answer("It happens on Windows alone.");

  expect(await issue.run()).toEqual({ run: "r1", how: "retry", covers: "label-5" });
  expect(await issue.told()).toContainEqual(
    expect.objectContaining({ kind: "earlier", answer: "It happens on Windows alone." }),
  );
});

it("a word after a run that knew no way on is left to people where the label is off", async () => {
  using issue = issueWith({ ...ended, state: "no-change" });
  issue.unlabel();

  await issue.answer("Agreed, it works as designed.");

  expect(await issue.run()).toBeUndefined();
});

it("a word that a run took in begins no other when it is delivered again after that has ended", async () => {
  using issue = issueWith(undefined);
  await issue.say("/agent-fix retry");
  await issue.answer("It is on Windows.", 22);
  expect(await issue.told()).toContainEqual(expect.objectContaining({ kind: "comment", text: "It is on Windows." }));
  await waiting.obliterate({ force: true });
  issue.show({ ...ended, state: "no-change" });

  await issue.answer("It is on Windows.", 22);

  expect(await waiting.getJobs()).toEqual([]);
});

it.each(["answer", "default"] as const)("a plan that was approved stays so over a question: %s", (how) => {
  const asked = (before: Follows["how"]) => ({ ...ended, job: { ...job, follows: { how: before } } });

  expect(goingOn(asked("approve"), how)).toEqual({ run: "r1", covers: "label-5", how, isApproved: true });
  expect(goingOn({ ...ended, job: { ...job, follows: goingOn(asked("approve"), how) } }, how)).toMatchObject({
    isApproved: true,
  });
  expect(goingOn(asked("retry"), how)).toEqual({ run: "r1", covers: "label-5", how });
  expect(goingOn(asked("approve"), "retry")).toEqual({ run: "r1", covers: "label-5", how: "retry" });
});

it.each(["@bob what do you think of its question?", "// not now", "Let me see. <!-- agent-fix:ignore -->"])(
  "what people say to each other answers no question: %s",
  async (aside) => {
    using asked = issueWith({ ...ended, state: "needs-input", cause: "question" });

    await asked.answer(aside);

    expect(await asked.run()).toBeUndefined();
    expect(asked.shown()).toMatchObject({ state: "needs-input" });
  },
);

it.each([
  ["a round is answered again", { count: 1, failures: 1, from: {}, read: {} }, "review"],
  ["there is only the base to merge", undefined, "merge"],
])("a branch that a person pushed to is handed back by `continue`: %s", async (_what, rounds, kind) => {
  using host = createLocalHost({ ".github/agent-fix.yml": "" });
  const [head = ""] = host.commits;
  const branch = "agent-fix/issue-5";
  host.pulls.push({ ...ourPull, number: 9, head: { branch, commit: head } });
  host.comments.set(`9 ${statusMark}`, { id: 1, body: renderStatus({ ...ended, ...(rounds && { rounds }) }, "", []) });
  const deps: IntakeDeps = {
    host: createLocalApp(host.forge),
    queues,
    inbox,
    log: pino({ level: "silent" }),
    now: () => new Date(),
  };
  const said = { delivery: "d", repo, number: 9, isPull: true, actor, comment: 21, text: "/agent-fix continue" };

  await handleIntake({ kind: "command", ...said }, deps);

  const handedBack = Array.from(host.comments.values(), ({ body }) => body).filter((body) =>
    body.includes(`back ${head}`),
  );
  expect(handedBack).toEqual([expect.stringContaining("ann handed the branch back to me")]);
  const [run] = await waiting.getJobs();
  expect(run?.data).toMatchObject({ subject: { kind, pull: 9 } });
});
