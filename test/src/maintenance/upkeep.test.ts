import { describe, expect, it } from "vitest";
import { quietCause } from "../../../src/maintenance/decide.ts";
import { epochKey, redisPrefix } from "../../../src/queue.ts";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "./support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1", timezone: Europe/Berlin}\n';
const monday = "2026-11-23T05:00:00Z";
const nextMonday = "2026-11-30T05:00:00Z";
const two = `${weekly}  sweep: {task: "Sweep", schedule: "0 5 * * 1"}\nunattended: {hourly: 5}\n`;

describe("a task", () => {
  it("starts once when its time has come, and not again after its run was forgotten", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    expect(await on.waiting()).toEqual([]);

    await Promise.all([on.at(monday), on.at(monday)]);
    expect(await on.work()).toMatchObject([{ subject: { kind: "task", key: "tidy" }, actor: { login: "fixer[bot]" } }]);
    await on.at("2026-11-23T06:00:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("that was missed for weeks runs once", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");

    await on.at("2027-02-02T00:00:00Z");
    await on.work();
    await on.at("2027-02-02T00:05:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("comes on time again after a clock that was years ahead", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at("2031-06-02T12:00:00Z");
    await on.work();
    await on.at("2026-11-22T12:00:00Z");

    await on.at(monday);

    expect(await on.waiting()).toHaveLength(1);
  });

  it("whose schedule changes does not start what was due before", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");

    await on.writeSettings(weekly.replace("0 5 * * 1", "0 6 * * 1"));
    await on.at("2026-11-24T12:00:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("whose run Redis lost is queued again, and one that has ended is not", async () => {
    await using on = await startUpkeep(two);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    const [first] = await on.waiting();
    expect(await on.waiting()).toHaveLength(2);
    await on.deps.queues.removeWaiting(first?.runId ?? "");
    await on.work();
    await on.at("2026-11-23T05:05:00Z");
    await on.redis.flushall();

    await on.at("2026-11-23T05:10:00Z");

    expect(await on.waiting()).toMatchObject([{ runId: first?.runId }]);
  });

  it("goes on by what the dashboard remembers after Redis lost everything", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work();
    await on.at("2026-11-23T05:05:00Z");
    await on.redis.flushall();

    await on.at("2026-11-23T05:10:00Z");
    expect(await on.waiting()).toEqual([]);
    await on.at(nextMonday);

    expect(await on.waiting()).toHaveLength(1);
  });

  it("is read from a default branch of another name", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.github.push("ann/shop", { "b.txt": "1\n" }, { branch: "trunk", message: "Rename", author: "ann" });
    Object.assign(on.github.state.repositories.get("ann/shop") ?? {}, { defaultBranch: "trunk" });
    await on.at(monday);

    expect(await on.waiting()).toHaveLength(1);
  });
});

describe("limits", () => {
  it("hold a third pull request back while two are open, and let it go when one is merged", async () => {
    const three = two.replace("unattended", '  polish: {task: "Polish", schedule: "0 5 * * 1"}\nunattended');
    await using on = await startUpkeep(three);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    expect((await on.work("opens")).map(({ subject }) => subject)).toMatchObject([{ key: "tidy" }, { key: "sweep" }]);
    await on.at("2026-11-24T05:00:00Z");
    expect(await on.waiting()).toEqual([]);
    expect((await on.dashboard())?.body).toMatch(/## Held back\n\n.*unlimit-task=polish/);

    await on.ann.rest.pulls.merge({ ...shop, pull_number: (await on.pulls())[0]?.number ?? 0 });
    await on.at("2026-11-24T06:00:00Z");

    expect(await on.waiting()).toMatchObject([{ subject: { key: "polish" } }]);
  });

  it("let one be opened within an hour", async () => {
    await using on = await startUpkeep(two.replace("hourly: 5", "hourly: 1"));
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    expect(await on.work("opens")).toHaveLength(1);
    await on.at("2026-11-23T05:30:00Z");
    expect(await on.waiting()).toEqual([]);

    await on.at("2026-11-23T06:01:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it("keep quiet hours", async () => {
    await using on = await startUpkeep(`${weekly}unattended: {quiet: ["04:00-07:00"]}\n`);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    expect(await on.waiting()).toEqual([]);

    await on.at("2026-11-23T07:00:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });
});

it("a fork leaves its parent's tasks alone, unless its settings say otherwise", async () => {
  await using on = await startUpkeep(weekly);
  Object.assign(on.github.state.repositories.get("ann/shop") ?? {}, { fork: true });
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  expect(await on.waiting()).toEqual([]);

  await on.writeSettings(`${weekly}unattended: {forks: true}\n`);
  await on.at("2026-11-24T12:00:00Z");
  await on.at(nextMonday);

  expect(await on.waiting()).toHaveLength(1);
});

it("a run whose task is to be ignored is stopped", async () => {
  await using on = await startUpkeep(two);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  const [first, second] = await on.waiting();
  // As a worker does that takes it.
  await on.redis.set(epochKey(second?.runId ?? ""), 1);
  const actor = { id: 1, login: "ann" };

  await on.at("2026-11-23T05:01:00Z", { ask: { verb: "ignore", key: "tidy", actor, trigger: "comment-1" } });
  await on.at("2026-11-23T05:02:00Z", { ask: { verb: "ignore", key: "sweep", actor, trigger: "comment-2" } });

  expect(await on.waiting()).toMatchObject([{ subject: { key: "sweep" } }]);
  expect(await on.deps.inbox.read(second?.runId ?? "")).toMatchObject([{ kind: "stop", by: "ann" }]);
  expect(await on.deps.inbox.read(first?.runId ?? "")).toEqual([]);
});

it("a run that found quiet hours when its turn came is started again after them, once", async () => {
  await using on = await startUpkeep(`${weekly}unattended: {quiet: ["05:30-07:00"]}\n`);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  const [first] = await on.work({ outcome: "cancelled", cause: quietCause });
  await on.at("2026-11-23T06:55:00Z");
  expect(await on.waiting()).toEqual([]);
  expect((await on.dashboard())?.body).toContain("these are quiet hours");
  expect(await on.needsLook("2026-11-23T07:00:00Z")).toBe(true);

  await on.at("2026-11-23T07:00:00Z");
  const [second, ...more] = await on.work();
  await on.at("2026-11-23T07:05:00Z");

  expect(second?.subject).toEqual(first?.subject);
  expect(second?.runId).not.toBe(first?.runId);
  expect([...more, ...(await on.waiting())]).toEqual([]);
});

describe("without settings", () => {
  it("a repository gets a run for its first ones, one a day while none comes of it", async () => {
    await using on = await startUpkeep(undefined);

    await Promise.all([on.at("2026-11-21T12:00:00Z"), on.at("2026-11-21T12:00:00Z")]);
    expect(await on.work()).toMatchObject([{ subject: { kind: "onboarding" } }]);
    expect(await on.dashboard()).toBeUndefined();
    await on.at("2026-11-22T12:00:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it.each([
    ["fork", true],
    ["archived", true],
  ] as const)("a repository that is %s is left alone", async (fact, value) => {
    await using on = await startUpkeep(undefined);
    const repository = on.github.state.repositories.get("ann/shop");
    Object.assign(repository ?? {}, { [fact]: value });

    await on.at("2026-11-21T12:00:00Z");

    expect(await on.waiting()).toEqual([]);
  });
});

it("what is queued while a repository is unattended comes after what people ask for", async () => {
  await using on = await startUpkeep(weekly);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  const { repo } = on;
  const actor = { id: 1, login: "ann" };
  await on.deps.queues.addRun({
    runId: "review",
    repo,
    actor,
    trigger: "t",
    subject: { kind: "review", pull: 3, branch: "b" },
  });
  await on.deps.queues.addRun({ runId: "issue", repo, actor, trigger: "t", subject: { kind: "issue", number: 2 } });

  expect((await on.waiting()).map(({ subject }) => subject.kind)).toEqual(["issue", "review", "task"]);
  expect(await on.redis.exists(`${redisPrefix}:tasks:${repo.id}`)).toBe(1);
});
