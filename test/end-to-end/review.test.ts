import { afterAll, beforeAll, expect, test } from "vitest";
import {
  addProject,
  answerScripts,
  fileLabelled,
  finalStatus,
  pullsOf,
  repliesOn,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: answerScripts });
});
afterAll(() => laptop[Symbol.asyncDispose]());

/** A project with our pull request on it. */
async function openedPull(name: string) {
  const where = await addProject(laptop, name);
  await finalStatus(laptop, where, await fileLabelled(laptop, where));
  const [pull] = await pullsOf(laptop, where);
  if (pull === undefined) throw new Error(`no pull request on ${name}`);
  const at = { ...where, pull_number: pull.number };
  return {
    where,
    number: pull.number,
    head: pull.head.sha,
    headNow: async () => (await laptop.as("ann").rest.pulls.get(at)).data.head.sha,
    review: (login: string, more: object) =>
      laptop.as(login).rest.pulls.createReview({ ...at, event: "COMMENT", ...more }),
  };
}

test("a submitted review brings one additive commit and one reply that names it", async () => {
  const { where, number, head, headNow, review } = await openedPull("reviewed");
  await review("ann", {
    event: "REQUEST_CHANGES",
    body: "Please say why it is 42.",
    comments: [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }],
  });

  await finalStatus(laptop, where, number);
  const after = await headNow();
  const { data: commit } = await laptop.as("ann").rest.git.getCommit({ ...where, commit_sha: after });

  expect(commit.parents.map(({ sha }) => sha)).toEqual([head]);
  expect(await repliesOn(laptop, where, number)).toEqual([expect.stringContaining(after)]);
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("two reviews, one behind the other, each get a commit and a reply of their own", async () => {
  const { where, number, headNow, review } = await openedPull("reviewed-twice");
  const comments = [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }];
  await review("ann", { body: "Please say why it is 42.", comments });
  await review("ann", { body: "Please say why it is 42, once more.", comments });
  await expect
    .poll(async () => (await repliesOn(laptop, where, number)).filter((reply) => reply.includes("Addressed")), {
      timeout: 60_000,
    })
    .toHaveLength(2);

  expect(await repliesOn(laptop, where, number)).toHaveLength(2);
  expect((await repliesOn(laptop, where, number)).join("\n")).toContain(await headNow());
});

test("a review by somebody without write is refused in words, and changes nothing", async () => {
  const { where, number, head, headNow, review } = await openedPull("foreign");
  laptop.github.setRole("ann/foreign", "rob", "read");
  await review("rob", { body: "Please say why it is 42." });

  const comments = async () =>
    (await laptop.as("ann").rest.issues.listComments({ ...where, issue_number: number })).data.map(({ body }) => body);
  await expect
    .poll(comments, { timeout: 20_000 })
    .toEqual([expect.stringContaining("Only people with write access can start me")]);

  expect(await headNow()).toBe(head);
});

test("an approval without words starts nothing", async () => {
  const { where, number, review } = await openedPull("approved");
  await review("ann", { event: "APPROVE" });
  const delivered = () => laptop.github.state.deliveries.find((one) => one.event === "pull_request_review");
  await expect.poll(delivered, { timeout: 20_000 }).toMatchObject({ statusCode: 200 });
  // Whatever the approval had begun would be answered before this.
  const other = await addProject(laptop, "later");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  expect(await statusesOn(laptop, where, number)).toEqual([]);
});
