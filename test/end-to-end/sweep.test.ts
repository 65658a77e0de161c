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

test("a delivery that failed is asked for again, and its issue is answered once", async () => {
  const where = await addProject(laptop, "missed");
  const { webhookUrl = "" } = laptop.github.state;
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  const number = await fileLabelled(laptop, where);
  const filed = () => laptop.github.state.deliveries.filter(({ event }) => event === "issues");
  await expect.poll(() => filed().every((one) => one.statusCode === 502)).toBe(true);
  laptop.github.setWebhookUrl(webhookUrl);

  await laptop.web.sweep();
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

  await laptop.web.sweep();

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
});

test("with an empty Redis the status comment says what is finished: nothing is done twice", async () => {
  const where = await addProject(laptop, "forgotten");
  const number = await fileLabelled(laptop, where);
  const before = await finalStatus(laptop, where, number);
  const redis = new Redis(laptop.parts.redisUrl.replace("unix://", ""));
  await redis.flushall();
  redis.disconnect();

  await laptop.web.sweep();
  const other = await addProject(laptop, "later");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  expect(await pullsOf(laptop, where)).toHaveLength(1);
  expect((await statusesOn(laptop, where, number)).map(({ body }) => body)).toEqual([before.body]);
});

test("an issue whose checks could not run on the base is begun anew by itself when the base moves", async () => {
  const settings = ".github/agent-fix.yml";
  const where = await addProject(laptop, "mended", { ...brokenProject, [settings]: "checks: [no-such-command]\n" });
  const number = await fileLabelled(laptop, where);
  expect((await finalStatus(laptop, where, number)).marker).toMatchObject({
    state: "needs-input",
    cause: "base broken",
  });
  await laptop.web.sweep();
  const commit = { branch: "main", message: "Name the check", author: "ann" };
  await laptop.github.push("ann/mended", { [settings]: brokenProject[settings] }, commit);

  await laptop.web.sweep();

  const states = async () => (await statusesOn(laptop, where, number)).map(({ marker }) => marker?.state);
  await expect.poll(states, { timeout: 60_000 }).toEqual(["opened"]);
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});
