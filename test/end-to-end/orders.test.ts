import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Queue } from "bullmq";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEngine } from "../../sandbox/engine.ts";
import { connectRedis, redisPrefix } from "../../src/queue.ts";
import { isTerminal } from "../../src/status.ts";
import { image } from "../sandbox/support.ts";
import { addProject, answerScripts, pullsOf, startTestLaptop, statusesOn } from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: answerScripts });
});
afterAll(() => laptop[Symbol.asyncDispose]());

const label = "agent-fix";
type Where = Awaited<ReturnType<typeof addProject>>;
/** What a person does, on an issue that is there. */
const deeds = {
  "sets the label": (at: Where & { issue_number: number }) =>
    laptop.as("ann").rest.issues.addLabels({ ...at, labels: [label] }),
  "takes it off": async (at: Where & { issue_number: number }) => {
    const { issues } = laptop.as("ann").rest;
    const { data } = await issues.get(at);
    if (data.labels.length > 0) await issues.removeLabel({ ...at, name: label });
  },
  comments: (at: Where & { issue_number: number }) =>
    laptop.as("ann").rest.issues.createComment({ ...at, body: "It should be 42." }),
  "commands a retry": (at: Where & { issue_number: number }) =>
    laptop.as("ann").rest.issues.createComment({ ...at, body: "/agent-fix retry" }),
  closes: (at: Where & { issue_number: number }) => laptop.as("ann").rest.issues.update({ ...at, state: "closed" }),
  reopens: (at: Where & { issue_number: number }) => laptop.as("ann").rest.issues.update({ ...at, state: "open" }),
};
type Deed = keyof typeof deeds;
const all = Object.keys(deeds) as Deed[];
const orders = fc.sample(fc.shuffledSubarray(all, { minLength: all.length }), { numRuns: 20, seed: 11 });

/** Waits until nothing waits or works any more. */
async function settled(): Promise<void> {
  const connection = connectRedis(laptop.parts.redisUrl, "worker");
  const queues = ["intake", "runs"].map((name) => new Queue(name, { connection, prefix: redisPrefix }));
  const counted = async () => {
    const counts = await Promise.all(
      queues.map((queue) => queue.getJobCountByTypes("waiting", "active", "prioritized", "delayed")),
    );
    // The sweep's next time is a delayed job of the intake queue.
    return counts.reduce((sum, count) => sum + count, 0);
  };
  try {
    await expect.poll(counted, { timeout: 240_000, interval: 500 }).toBeLessThanOrEqual(1);
  } finally {
    await Promise.all(queues.map((queue) => queue.close()));
    connection.disconnect();
  }
}

test("in whatever order six things happen to an issue, it has one status comment, one open pull request at most, and no run left", async () => {
  const places = await Promise.all(
    orders.map(async (order, index) => {
      const where = await addProject(laptop, `order-${index}`);
      const issue = { ...where, title: "The answer is wrong", body: "It should be 42." };
      const { data } = await laptop.as("ann").rest.issues.create(issue);
      for (const deed of order) await deeds[deed]({ ...where, issue_number: data.number });
      return { order, where, number: data.number };
    }),
  );
  await settled();

  const ended = await Promise.all(
    places.map(async ({ order, where, number }) => {
      const statuses = await statusesOn(laptop, where, number);
      const open = (await pullsOf(laptop, where)).filter(({ state }) => state === "open").length;
      const isOver = statuses.every(({ marker }) => isTerminal(marker?.state ?? "queued"));
      return { order: order.join(", "), statuses: statuses.length, open, isOver };
    }),
  );
  expect(ended.filter(({ statuses, open, isOver }) => statuses > 1 || open > 1 || !isOver)).toEqual([]);
  expect(ended.some(({ open }) => open === 1)).toBe(true);
  const instance = readFileSync(join(laptop.dataDir, "instance"), "utf8").trim();
  expect(await createEngine({ instance, image }).list()).toEqual([]);
}, 400_000);
