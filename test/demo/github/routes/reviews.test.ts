import { describe, expect, it } from "vitest";
import type { Files } from "../../../../src/demo/github/seed.ts";
import { addShop, refusal, shop, startReceiver, startTestGitHub } from "../support.ts";
import type { Receiver, TestGitHub } from "../support.ts";

const pull_number = 1;
const one = { ...shop, pull_number };
const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}\n`).join("");

describe("a review", () => {
  it("carries comments, each with the part of the diff that ends at its line", async () => {
    await using receiver = await startReceiver();
    await using github = await startTestGitHub();
    github.setWebhookUrl(receiver.url);
    await openPull(github);
    const { rest } = github.as("ann");

    const { data: review } = await github.as("bob").rest.pulls.createReview({
      ...one,
      event: "REQUEST_CHANGES",
      body: "Nearly",
      comments: [
        { path: "a.txt", line: 2, body: "Why?" },
        { path: "a.txt", line: 2, side: "LEFT", body: "It was good" },
        { path: "a.txt", line: 20, body: "And this?" },
      ],
    });

    expect(review).toMatchObject({ state: "CHANGES_REQUESTED", body: "Nearly", user: { login: "bob" } });
    const named = { ...one, review_id: review.id };
    expect((await rest.pulls.getReview(named)).data).toEqual(review);
    const { data } = await rest.pulls.listCommentsForReview(named);
    expect(data).toMatchObject([
      {
        path: "a.txt",
        body: "Why?",
        diff_hunk: "@@ -1,5 +1,5 @@\n line 1\n-line 2\n+new 2",
        commit_id: review.commit_id,
      },
      { path: "a.txt", body: "It was good", diff_hunk: "@@ -1,5 +1,5 @@\n line 1\n-line 2" },
      { path: "a.txt", body: "And this?", diff_hunk: expect.stringMatching(/^@@ -17,4 .*\n-line 20\n.*\n\+new 20$/s) },
    ]);
    await expect.poll(() => spoken(receiver)).toHaveLength(4);
    const pull_request = { number: 1, head: { ref: "topic" } };
    expect(spoken(receiver).map(({ payload }) => payload)).toMatchObject([
      {
        action: "submitted",
        review: { id: review.id, state: "changes_requested" },
        pull_request,
        sender: { login: "bob" },
      },
      ...["Why?", "It was good", "And this?"].map((body) => ({
        action: "created",
        comment: { body, pull_request_review_id: review.id },
        pull_request,
        sender: { login: "bob" },
      })),
    ]);
  });

  it.each([
    ["between two hunks", { path: "a.txt", line: 10 }],
    ["after the last line", { path: "a.txt", line: 21 }],
    ["before the first line of an old side", { path: "new.txt", line: 1, side: "LEFT" as const }],
    ["of a file that is not changed", { path: "same.txt", line: 1 }],
    ["of a pattern", { path: "*.txt", line: 1 }],
  ])("with a comment on a line outside of the diff is refused: %s", async (_what, comment) => {
    await using github = await startTestGitHub();
    await openPull(github);

    const refused = await refusal(
      github.as("bob").rest.pulls.createReview({ ...one, event: "COMMENT", comments: [{ ...comment, body: "?" }] }),
    );

    expect(refused).toMatchObject({ status: 422, errors: ["Line could not be resolved"] });
    expect(github.state.repositories.get("ann/shop")?.issues.get(1)?.pull?.reviews).toEqual([]);
  });

  it("needs words, and nobody judges his own work", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const { rest } = github.as("ann");

    expect(await refusal(github.as("bob").rest.pulls.createReview({ ...one, event: "COMMENT" }))).toMatchObject({
      status: 422,
    });
    for (const event of ["APPROVE", "REQUEST_CHANGES"] as const)
      expect(await refusal(rest.pulls.createReview({ ...one, event, body: "b" }))).toMatchObject({ status: 422 });
    expect((await rest.pulls.createReview({ ...one, event: "COMMENT", body: "Note" })).data.state).toBe("COMMENTED");
    expect((await github.as("bob").rest.pulls.createReview({ ...one, event: "APPROVE" })).data.state).toBe("APPROVED");
    expect(await refusal(rest.pulls.getReview({ ...one, review_id: 1 }))).toMatchObject({ status: 404 });
  });
});

describe("a comment on lines", () => {
  it("of its own is a review with nothing else in it, and both are told of", async () => {
    await using receiver = await startReceiver();
    await using github = await startTestGitHub();
    github.setWebhookUrl(receiver.url);
    const commit_id = await openPull(github);
    const { rest } = github.as("bob");

    const { data } = await rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line: 2, body: "Why?" });

    const reviews = (await rest.pulls.listReviews(one)).data;
    expect(reviews).toMatchObject([{ id: data.pull_request_review_id, state: "COMMENTED", body: "" }]);
    expect((await rest.pulls.listReviewComments(one)).data).toEqual([data]);
    await expect.poll(() => spoken(receiver)).toHaveLength(2);
    expect(spoken(receiver)).toMatchObject([
      { event: "pull_request_review", payload: { action: "submitted", review: { id: reviews[0]?.id } } },
      { event: "pull_request_review_comment", payload: { action: "created", comment: { id: data.id, body: "Why?" } } },
    ]);
  });

  it("may be on several, of which the first comes first", async () => {
    await using github = await startTestGitHub();
    const commit_id = await openPull(github);
    const { rest } = github.as("bob");
    const comment = { ...one, commit_id, path: "a.txt", line: 3, body: "Why?" };

    const { data } = await rest.pulls.createReviewComment({ ...comment, start_line: 1, start_side: "RIGHT" });

    expect(data).toMatchObject({ start_line: 1, start_side: "RIGHT", line: 3, original_start_line: 1 });
    expect(await refusal(rest.pulls.createReviewComment({ ...comment, start_line: 3 }))).toMatchObject({ status: 422 });
    expect(await refusal(rest.pulls.createReviewComment({ ...comment, start_line: 12, line: 19 }))).toMatchObject({
      errors: [{ message: "pull_request_review_thread.line must be part of the diff" }],
    });
    const nowhere = { ...comment, commit_id: "0".repeat(40) };
    expect(await refusal(rest.pulls.createReviewComment(nowhere))).toMatchObject({ status: 422 });
  });

  it("is replied to at the thread's first comment, on the same lines", async () => {
    await using receiver = await startReceiver();
    await using github = await startTestGitHub();
    github.setWebhookUrl(receiver.url);
    const commit_id = await openPull(github);
    const { rest } = github.as("bob");
    const { data: first } = await rest.pulls.createReviewComment({
      ...one,
      commit_id,
      path: "a.txt",
      line: 2,
      body: "Why?",
    });

    const { data: reply } = await github
      .as("ann")
      .rest.pulls.createReplyForReviewComment({ ...one, comment_id: first.id, body: "So" });

    expect(reply).toMatchObject({
      in_reply_to_id: first.id,
      path: "a.txt",
      line: 2,
      diff_hunk: first.diff_hunk,
      user: { login: "ann" },
    });
    expect(reply.pull_request_review_id).not.toBe(first.pull_request_review_id);
    await expect.poll(() => spoken(receiver)).toHaveLength(4);
    const again = rest.pulls.createReplyForReviewComment({ ...one, comment_id: reply.id, body: "No" });
    expect(await refusal(again)).toMatchObject({ status: 404 });
    const nowhere = rest.pulls.createReplyForReviewComment({ ...one, comment_id: 1, body: "No" });
    expect(await refusal(nowhere)).toMatchObject({ status: 404 });
  });

  it("follows its line through later commits, and is outdated when that line changes", async () => {
    await using github = await startTestGitHub();
    const commit_id = await openPull(github);
    const { rest } = github.as("bob");
    const say = (line: number, more: { start_line?: number; side?: "LEFT" } = {}) =>
      rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line, body: String(line), ...more });
    await say(1);
    await say(2);
    await say(20);
    await say(20, { start_line: 19 });
    await say(2, { side: "LEFT" });

    await push(github, { "a.txt": `line 0\nline 1\nnewer 2\n${lines(3, 18)}new 20` });

    const { data } = await rest.pulls.listReviewComments(one);
    expect(data.map((comment) => [comment.start_line, comment.line, comment.original_line])).toEqual([
      [null, 2, 1],
      [null, undefined, 2],
      [null, 20, 20],
      [null, undefined, 20],
      [null, 2, 2],
    ]);
  });

  it("is changed and deleted by its author alone", async () => {
    await using github = await startTestGitHub();
    const commit_id = await openPull(github);
    const { rest } = github.as("bob");
    const { data } = await rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line: 2, body: "Why?" });
    const which = { ...shop, comment_id: data.id };

    expect(await refusal(github.as("eve").rest.pulls.updateReviewComment({ ...which, body: "Not I" }))).toMatchObject({
      status: 403,
    });
    expect((await rest.pulls.updateReviewComment({ ...which, body: "Why so?" })).data.body).toBe("Why so?");
    await rest.pulls.deleteReviewComment(which);
    expect((await rest.pulls.listReviewComments(one)).data).toEqual([]);
    expect(await refusal(rest.pulls.updateReviewComment({ ...which, body: "Gone" }))).toMatchObject({ status: 404 });
  });
});

/** What was said, in GitHub's order: deliveries overtake each other. */
function spoken({ received }: Receiver) {
  return received
    .map(({ headers, body }) => ({
      event: String(headers["x-github-event"]),
      payload: JSON.parse(body) as { comment?: { id: number }; review?: { id: number } },
    }))
    .filter(({ event }) => event.startsWith("pull_request_review"))
    .toSorted((a, b) => idOf(a.payload) - idOf(b.payload));
}

function idOf({ comment, review }: { comment?: { id: number }; review?: { id: number } }): number {
  return comment?.id ?? review?.id ?? 0;
}

async function openPull(github: TestGitHub): Promise<string> {
  await addShop(github, { files: { "a.txt": lines(1, 19) + "line 20", "same.txt": "same\n" } });
  const head = await push(github, { "a.txt": `line 1\nnew 2\n${lines(3, 19)}new 20`, "new.txt": "new\n" });
  await github.as("ann").rest.pulls.create({ ...shop, title: "t", head: "topic", base: "main" });
  return head;
}

function push(github: TestGitHub, files: Files, branch = "topic"): Promise<string> {
  return github.push("ann/shop", files, { branch, message: "Change", author: "ann" });
}
