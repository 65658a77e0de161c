import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  addProject,
  answerScripts,
  brokenProject,
  fileLabelled,
  finalStatus,
  pullsOf,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeEach(async () => {
  laptop = await startTestLaptop({ scripts: answerScripts });
});
afterEach(() => laptop[Symbol.asyncDispose]());

const scheduled = {
  ...brokenProject,
  ".github/agent-fix.yml":
    'checks: [sh check.sh]\nmaintenance:\n  answer: {task: "Put the right answer in place", schedule: "0 5 * * 1", timezone: Europe/Berlin}\n',
};
const saturday = new Date("2026-11-21T12:00:00Z");
const monday = new Date("2026-11-23T05:00:00Z");

test("a delivery that failed is asked for again, and its issue is answered once", async () => {
  const where = await addProject(laptop, "missed");
  const { webhookUrl = "" } = laptop.github.state;
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  const number = await fileLabelled(laptop, where);
  await expect.poll(() => laptop.github.state.deliveries.every((one) => one.statusCode === 502)).toBe(true);
  laptop.github.setWebhookUrl(webhookUrl);

  await laptop.web.sweep(new Date());
  await finalStatus(laptop, where, number);

  expect(laptop.github.state.deliveries.filter((one) => one.redelivery && one.action === "labeled")).toHaveLength(1);
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("a labelled issue that no delivery told of is found", async () => {
  const where = await addProject(laptop, "untold");
  const { webhookUrl = "" } = laptop.github.state;
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  const number = await fileLabelled(laptop, where);
  laptop.github.state.deliveries.length = 0;
  laptop.github.setWebhookUrl(webhookUrl);

  await laptop.web.sweep(new Date());

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
});

test("with an empty Redis the status comment says what is finished: nothing is done twice", async () => {
  const where = await addProject(laptop, "forgotten");
  const number = await fileLabelled(laptop, where);
  const before = await finalStatus(laptop, where, number);
  const redis = new Redis(laptop.parts.redisUrl.replace("unix://", ""));
  await redis.flushall();
  redis.disconnect();

  await laptop.web.sweep(new Date());
  const other = await addProject(laptop, "later");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  expect(await pullsOf(laptop, where)).toHaveLength(1);
  expect((await statusesOn(laptop, where, number)).map(({ body }) => body)).toEqual([before.body]);
});

test("a task starts once when its time has passed, on a branch of its own, and an open pull request is left alone", async () => {
  const where = await addProject(laptop, "scheduled", scheduled);
  await laptop.web.sweep(saturday);
  expect(await pullsOf(laptop, where)).toEqual([]);

  await Promise.all([laptop.web.sweep(monday), laptop.web.sweep(monday)]);
  await expect.poll(async () => pullsOf(laptop, where), { timeout: 60_000 }).toHaveLength(1);
  const [pull] = await pullsOf(laptop, where);
  await laptop.web.sweep(monday);
  const nextMonday = new Date(monday.getTime() + 7 * 24 * 3600_000);
  await laptop.web.sweep(nextMonday);
  const other = await addProject(laptop, "later");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  expect(pull).toMatchObject({ head: { ref: "agent-fix/task/answer" }, title: "Put the right answer in place" });
  expect(pull?.body).toContain("The task `answer` of `.github/agent-fix.yml`");
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("a schedule that changes does not start what was due before", async () => {
  const where = await addProject(laptop, "moved", scheduled);
  await laptop.web.sweep(saturday);
  const settings = scheduled[".github/agent-fix.yml"].replace("0 5 * * 1", "0 6 * * 1");
  const commit = { branch: "main", message: "Move the task", author: "ann" };
  await laptop.github.push("ann/moved", { ".github/agent-fix.yml": settings }, commit);

  await laptop.web.sweep(new Date("2026-11-24T12:00:00Z"));
  const other = await addProject(laptop, "later");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  expect(await pullsOf(laptop, where)).toEqual([]);
});
