import { Probot } from "probot";
import { describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import type { IntakeJob } from "../../src/job.ts";
import type { PrefetchHint } from "../../src/prefetch.ts";

const repository = { id: 1, name: "r", owner: { login: "o" }, default_branch: "main" };
const base = { installation: { id: 7 }, repository, sender: { id: 2, login: "ann", type: "User" } };
const repo = { id: 1, owner: "o", name: "r", installationId: 7 };
const actor = { id: 2, login: "ann" };
const issue = { number: 5, title: "It breaks", body: "Badly", state: "open" };
const label = { name: "agent-fix" };
const pull = {
  number: 9,
  state: "open",
  user: { id: 3, login: "agent-fix[bot]", type: "Bot" },
  head: { ref: "agent-fix/issue-5" },
};
const review = { id: 11, user: { id: 2, login: "ann" } };

/** A Probot with the app, what it put into the queue, and what it told the workers. */
async function startProbot(addIntake?: (job: IntakeJob, id: string) => Promise<void>) {
  const added: { job: IntakeJob; id: string }[] = [];
  const announced: PrefetchHint[] = [];
  const probot = new Probot({ githubToken: "test", secret: "s".repeat(32), logLevel: "fatal" });
  const record = async (job: IntakeJob, id: string) => void added.push({ job, id });
  const announce = async (hint: PrefetchHint) => void announced.push(hint);
  await probot.load(createApp({ queues: { addIntake: addIntake ?? record }, announce }));
  const receive = (name: string, payload: object) =>
    probot.receive({ id: "guid", name: name as "issues", payload: { ...base, ...payload } as never });
  return { added, announced, receive };
}

describe("createApp", () => {
  it.each([
    [
      "our label",
      "issues",
      { action: "labeled", issue, label },
      { kind: "label", delivery: "guid", repo, issue: 5, actor, text: { title: "It breaks", body: "Badly" } },
      [{ repo, mayCreate: false, urgent: true }],
    ],
    [
      "our label taken off",
      "issues",
      { action: "unlabeled", issue, label },
      { kind: "stop", delivery: "guid", repo, issue: 5, actor, reason: "label removed" },
      [],
    ],
    [
      "a closed issue",
      "issues",
      { action: "closed", issue },
      { kind: "stop", delivery: "guid", repo, issue: 5, actor, reason: "issue closed" },
      [],
    ],
    [
      "a review on our pull request",
      "pull_request_review",
      { action: "submitted", pull_request: pull, review },
      { kind: "feedback", delivery: "guid", repo, pull: 9, actor, branch: "agent-fix/issue-5" },
      [],
    ],
  ])(
    "makes one job under the delivery's id of %s, and tells the workers of what runs at once",
    async (...[, name, payload, job, hints]) => {
      const { added, announced, receive } = await startProbot();

      await receive(name, payload);

      expect({ added, announced }).toEqual({ added: [{ job, id: "guid" }], announced: hints });
    },
  );

  it.each([
    ["an opened issue", "issues", { action: "opened", issue }, { repo, mayCreate: true }],
    ["a push to the default branch", "push", { ref: "refs/heads/main" }, { repo, mayCreate: false }],
  ])("makes no job of %s, and tells the workers", async (_what, name, payload, hint) => {
    const { added, announced, receive } = await startProbot();

    await receive(name, payload);

    expect({ added, announced }).toEqual({ added: [], announced: [hint] });
  });

  it.each([
    ["another label", "issues", { action: "labeled", issue, label: { name: "bug" } }],
    ["a comment where we do not work", "issue_comment", { action: "created", issue, comment: { id: 1, body: "Hm." } }],
    ["a dismissed review", "pull_request_review", { action: "dismissed", pull_request: pull, review }],
    ["a push to another branch", "push", { ref: "refs/heads/topic" }],
    ["a ping", "ping", { zen: "Keep it logically awesome." }],
    ["an event that GitHub has not invented yet", "issue_dance", { action: "danced", issue, label }],
  ])("leaves %s alone", async (_what, name, payload) => {
    const { added, announced, receive } = await startProbot();

    await receive(name, payload);

    expect([added, announced]).toEqual([[], []]);
  });

  it("has not received an event before its job is stored", async () => {
    const stored = Promise.withResolvers<void>();
    const order: string[] = [];
    const { receive } = await startProbot(async () => {
      order.push("asked");
      await stored.promise;
      order.push("stored");
    });

    const received = receive("issues", { action: "labeled", issue, label }).then(() => order.push("received"));
    await expect.poll(() => order).toEqual(["asked"]);
    stored.resolve();
    await received;

    expect(order).toEqual(["asked", "stored", "received"]);
  });

  it("refuses an event whose job cannot be stored", async () => {
    const { receive } = await startProbot(() => Promise.reject(new Error("Redis is away")));

    await expect(receive("issues", { action: "labeled", issue, label })).rejects.toThrow("Redis is away");
  });
});
