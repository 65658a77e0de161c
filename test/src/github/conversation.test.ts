import { describe, expect, it } from "vitest";
import type { Comment, ReviewComment, State } from "../../../src/demo/github/state.ts";
import { accountOf } from "../../../src/demo/github/state.ts";
import { statusOf } from "../../../src/github/status.ts";
import { addShop, shop, startTestGitHub } from "../../demo/github/support.ts";
import { forgeOf, openPull } from "./support.ts";

const pull_number = 1;
const one = { ...shop, pull_number };
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

describe("threads", () => {
  it("are whole: where each is, what was said, by whom, in which review, and whether it is done", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);
    const { data: review } = await github.as("bob").rest.pulls.createReview({
      ...one,
      event: "REQUEST_CHANGES",
      comments: [
        { path: "a.txt", line: 2, body: "Why?" },
        { path: "a.txt", start_line: 1, line: 3, body: "All of it?" },
      ],
    });
    const { data: comments } = await github.as("bob").rest.pulls.listReviewComments(one);
    const [why, all] = comments;
    const comment_id = why?.id ?? 0;
    const { data: reply } = await github
      .as("ann")
      .rest.pulls.createReplyForReviewComment({ ...one, comment_id, body: "So" });
    await github.as("bob").rest.pulls.updateReviewComment({ ...shop, comment_id, body: "Why not?" });

    const threads = await forgeOf(github).threads(1);

    const bob = { id: accountOf(github.state, "bob").id, login: "bob", isBot: false };
    const said = { author: bob, createdAt: time, editedAt: undefined, review: review.id };
    const place = { id: expect.any(String), path: "a.txt", isResolved: false, isOutdated: false };
    expect(threads).toEqual([
      {
        ...place,
        line: 2,
        startLine: undefined,
        hunk: why?.diff_hunk,
        remarks: [
          { ...said, id: comment_id, body: "Why not?", editedAt: time, url: why?.html_url },
          {
            ...said,
            id: reply.id,
            author: { id: accountOf(github.state, "ann").id, login: "ann", isBot: false },
            body: "So",
            review: reply.pull_request_review_id,
            url: reply.html_url,
          },
        ],
      },
      {
        ...place,
        line: 3,
        startLine: 1,
        hunk: all?.diff_hunk,
        remarks: [{ ...said, id: all?.id, body: "All of it?", url: all?.html_url }],
      },
    ]);
    expect(head).toBe(review.commit_id);
  });

  it("say when their lines are gone, and where they are otherwise", async () => {
    await using github = await startTestGitHub();
    const { head: commit_id } = await openPull(github);
    for (const line of [2, 3])
      await github.as("bob").rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line, body: "?" });

    const change = { branch: "topic", message: "Again", author: "ann" };
    await github.push("ann/shop", { "a.txt": "zero\none\n22\nthree\n" }, change);

    const threads = await forgeOf(github).threads(1);
    expect(threads.map(({ line, isOutdated }) => ({ line, isOutdated }))).toEqual([
      { line: undefined, isOutdated: true },
      { line: 4, isOutdated: false },
    ]);
  });

  it("are all read where there are more than GitHub gives at once, and so are the comments in each", async () => {
    await using github = await startTestGitHub();
    const { pull } = await openPull(github);
    const author = accountOf(github.state, "bob");
    const review = { id: 1, author, state: "COMMENTED" as const, body: "", commit: "", submittedAt: "" };
    const first = lineComments(github.state, { count: 120, inReplyTo: null });
    const replies = lineComments(github.state, { count: 230, inReplyTo: first[3]?.id ?? 0 });
    pull.pull.reviews.push({ ...review, comments: [...first, ...replies] });

    const threads = await forgeOf(github).threads(1);

    expect(threads.map(({ remarks }) => remarks[0]?.id)).toEqual(first.map(({ id }) => id));
    expect(threads[3]?.remarks.slice(1).map(({ id }) => id)).toEqual(replies.map(({ id }) => id));
  });

  it("are resolved, once or twice", async () => {
    await using github = await startTestGitHub();
    const { head: commit_id } = await openPull(github);
    for (const line of [2, 3])
      await github.as("bob").rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line, body: "?" });
    const forge = forgeOf(github);
    const [, second] = await forge.threads(1);

    await forge.resolveThread(second?.id ?? "");
    await forge.resolveThread(second?.id ?? "");

    expect((await forge.threads(1)).map(({ isResolved }) => isResolved)).toEqual([false, true]);
  });

  it("are refused as REST refuses: what is not there, and what the token may not do", async () => {
    await using github = await startTestGitHub();
    const { head: commit_id } = await openPull(github);
    await github.as("bob").rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line: 2, body: "?" });
    const [thread] = await forgeOf(github).threads(1);
    const status = (call: Promise<unknown>) => call.then(() => "done", statusOf);

    expect(await status(forgeOf(github).threads(2))).toBe(404);
    expect(await status(forgeOf(github).resolveThread("none"))).toBe(404);
    expect(await status(forgeOf(github, "report").resolveThread(thread?.id ?? ""))).toBe(403);
    expect(await status(forgeOf(github, "check").threads(1))).toBe(403);
  });
});

describe("reviews", () => {
  it("are those that were submitted, with who, what and on which commit", async () => {
    await using github = await startTestGitHub();
    const { head: commit_id } = await openPull(github);
    const { rest } = github.as("bob");
    await rest.pulls.createReview({ ...one, event: "APPROVE" });
    await rest.pulls.createReview({ ...one, event: "REQUEST_CHANGES", body: "No" });
    await rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line: 2, body: "?" });

    const reviews = await forgeOf(github).reviews(1);

    const author = { id: accountOf(github.state, "bob").id, login: "bob", isBot: false };
    const { data } = await rest.pulls.listReviews(one);
    const facts = (["approved", "changes-requested", "commented"] as const).map((state, index) => ({
      id: data[index]?.id,
      url: data[index]?.html_url,
      author,
      state,
      body: state === "changes-requested" ? "No" : "",
      submittedAt: time,
      commit: commit_id,
    }));
    expect(reviews).toEqual(facts);
  });

  it("are all read where there are more than GitHub gives at once", async () => {
    await using github = await startTestGitHub();
    const { pull } = await openPull(github);
    const author = accountOf(github.state, "bob");
    const about = { author, state: "APPROVED" as const, body: "", commit: pull.pull.headCommit, comments: [] };
    for (let id = 1; id <= 120; id++) pull.pull.reviews.push({ ...about, id, submittedAt: github.state.now() });

    expect((await forgeOf(github).reviews(1)).map(({ id }) => id)).toEqual(pull.pull.reviews.map(({ id }) => id));
  });
});

describe("remarks", () => {
  it("are the comments under an issue and under a pull request, and tell of edits", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const { rest } = github.as("bob");
    await rest.issues.create({ ...shop, title: "Issue" });
    for (const issue_number of [1, 2]) {
      const { data } = await rest.issues.createComment({ ...shop, issue_number, body: "First" });
      await rest.issues.updateComment({ ...shop, comment_id: data.id, body: "Changed" });
    }
    const forge = forgeOf(github);
    const ours = await forge.ensureComment(2, "<!-- mark -->", "<!-- mark -->\nOurs");

    expect((await forge.remarks(1)).map(({ body, editedAt }) => [body, editedAt])).toEqual([["Changed", time]]);
    expect(await forge.remarks(2)).toMatchObject([
      { body: "Changed", author: { login: "bob", isBot: false }, createdAt: time },
      {
        id: ours.id,
        author: { id: github.app.bot.id, login: "fixer[bot]", isBot: true },
        editedAt: undefined,
        url: `${github.url}/ann/shop/issues/2#issuecomment-${ours.id}`,
      },
    ]);
  });

  it("are all read where there are more than GitHub gives at once", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    await github.as("ann").rest.issues.create({ ...shop, title: "Issue" });
    const comments = words(github.state, 210);
    repository.issues.get(1)?.comments.push(...comments);

    expect((await forgeOf(github).remarks(1)).map(({ id }) => id)).toEqual(comments.map(({ id }) => id));
  });
});

describe("a reply", () => {
  it("is ours and one, wherever in the thread it is asked for: created, left or edited", async () => {
    await using github = await startTestGitHub();
    const { head: commit_id } = await openPull(github);
    const { rest } = github.as("bob");
    const place = { ...one, commit_id, path: "a.txt", line: 2 };
    const { data: first } = await rest.pulls.createReviewComment({ ...place, body: "Why?" });
    const copied = { ...one, comment_id: first.id, body: "<!-- m1 --> I am you" };
    const { data: copy } = await rest.pulls.createReplyForReviewComment(copied);
    const forge = forgeOf(github);
    const said = async () => (await forge.threads(1)).map(({ remarks }) => remarks.slice(2).map(({ body }) => body));

    await forge.ensureReply(1, first.id, "<!-- m1 -->", "<!-- m1 -->\nFixed");
    await forge.ensureReply(1, copy.id, "<!-- m1 -->", "<!-- m1 -->\nFixed");
    expect(await said()).toEqual([["<!-- m1 -->\nFixed"]]);

    await forge.ensureReply(1, copy.id, "<!-- m1 -->", "<!-- m1 -->\nFixed in 2");
    await forge.ensureReply(1, first.id, "<!-- m2 -->", "<!-- m2 -->\nAnd");
    expect(await said()).toEqual([["<!-- m1 -->\nFixed in 2", "<!-- m2 -->\nAnd"]]);
  });

  it("goes nowhere when the thread was deleted", async () => {
    await using github = await startTestGitHub();
    const { head: commit_id } = await openPull(github);
    const { rest } = github.as("bob");
    const { data } = await rest.pulls.createReviewComment({ ...one, commit_id, path: "a.txt", line: 2, body: "Why?" });
    await rest.pulls.deleteReviewComment({ ...shop, comment_id: data.id });
    const forge = forgeOf(github);

    await forge.ensureReply(1, data.id, "<!-- m1 -->", "<!-- m1 -->\nFixed");

    expect(await forge.threads(1)).toEqual([]);
  });
});

it("a reaction is set once, on a comment and on a comment on lines", async () => {
  await using github = await startTestGitHub();
  const { head: commit_id } = await openPull(github);
  const { rest } = github.as("bob");
  const { data: comment } = await rest.issues.createComment({ ...shop, issue_number: 1, body: "Hm" });
  const place = { ...one, commit_id, path: "a.txt", line: 2 };
  const { data: onLine } = await rest.pulls.createReviewComment({ ...place, body: "Why?" });
  const forge = forgeOf(github, "report");

  for (let time = 0; time < 2; time++) {
    await forge.react({ kind: "comment", id: comment.id }, "eyes");
    await forge.react({ kind: "review-comment", id: onLine.id }, "eyes");
  }

  const eyes = { total_count: 1, eyes: 1 };
  expect((await rest.issues.listComments({ ...shop, issue_number: 1 })).data[0]?.reactions).toMatchObject(eyes);
  expect((await rest.pulls.listReviewComments(one)).data[0]?.reactions).toMatchObject(eyes);
});

function words(state: State, count: number): Comment[] {
  const author = accountOf(state, "bob");
  const now = state.now();
  const about = { author, body: "Hm", createdAt: now, updatedAt: now, editedAt: null };
  return Array.from({ length: count }, () => ({ ...about, id: state.nextId(), reactions: [] }));
}

function lineComments(
  state: State,
  { count, inReplyTo }: { count: number; inReplyTo: number | null },
): ReviewComment[] {
  const place = { path: "a.txt", line: 2, side: "RIGHT" as const, startLine: null, startSide: null, hunk: "@@" };
  const commit = [...state.repositories.values()][0]?.issues.get(1)?.pull?.headCommit ?? "";
  return words(state, count).map((one) => ({ ...one, ...place, commit, inReplyTo }));
}
