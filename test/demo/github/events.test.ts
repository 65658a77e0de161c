import { describe, expect, it } from "vitest";
import { branchCommit } from "../../../src/demo/github/git.ts";
import { addShop, refusal, shop, startTestGitHub } from "./support.ts";
import type { TestGitHub } from "./support.ts";

const issue = { ...shop, issue_number: 1 };
const pull = { ...shop, pull_number: 1 };

describe("the app is told of an issue", () => {
  it("what title and text were, when they change and only then", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const { rest } = github.as("ann");
    await rest.issues.create({ ...shop, title: "Old" });
    forget(github);

    await rest.issues.update({ ...issue, title: "New" });
    await rest.issues.update({ ...issue, title: "New", body: "Text" });
    await rest.issues.update({ ...issue, body: "Text", state: "open" });

    expect(told(github)).toMatchObject([
      { event: "issues", action: "edited", changes: { title: { from: "Old" } }, issue: { title: "New" } },
      { event: "issues", action: "edited", changes: { body: { from: "" } }, issue: { body: "Text" } },
    ]);
  });

  it("what a comment was, and that it is gone", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const { rest } = github.as("bob");
    await rest.issues.create({ ...shop, title: "t" });
    const { data } = await rest.issues.createComment({ ...issue, body: "First" });
    const which = { ...shop, comment_id: data.id };
    forget(github);

    await rest.issues.updateComment({ ...which, body: "Second" });
    expect(await refusal(github.as("eve").rest.issues.deleteComment(which))).toMatchObject({ status: 403 });
    await github.as("ann").rest.issues.deleteComment(which);

    const comment = { id: data.id, body: "Second" };
    expect(told(github)).toMatchObject([
      {
        event: "issue_comment",
        action: "edited",
        changes: { body: { from: "First" } },
        comment,
        sender: { login: "bob" },
      },
      { event: "issue_comment", action: "deleted", comment, sender: { login: "ann" } },
    ]);
    expect((await rest.issues.listComments(issue)).data).toEqual([]);
  });
});

describe("the app is told of a pull request", () => {
  it("as such, and not as of an issue", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const { rest } = github.as("ann");

    await rest.pulls.update({ ...pull, title: "New", body: "Text" });
    await rest.issues.addLabels({ ...issue, labels: ["bug"] });
    await rest.issues.removeLabel({ ...issue, name: "bug" });
    await rest.pulls.update({ ...pull, state: "closed" });
    await rest.issues.update({ ...issue, state: "open" });

    expect(told(github).map(({ event, action }) => [event, action])).toEqual(
      ["opened", "edited", "labeled", "unlabeled", "closed", "reopened"].map((action) => ["pull_request", action]),
    );
    expect(told(github)[1]).toMatchObject({ number: 1, changes: { title: { from: "t" }, body: { from: "" } } });
    expect(told(github)[4]).toMatchObject({ pull_request: { merged: false, state: "closed" } });
  });

  it("which commits it went from and to, when its branch is pushed", async () => {
    await using github = await startTestGitHub();
    const before = await openPull(github);
    forget(github);

    const after = await push(github, { "a.txt": "three\n" });

    expect(told(github)).toMatchObject([
      { event: "push", after },
      { event: "pull_request", action: "synchronize", before, after, pull_request: { head: { sha: after } } },
    ]);
  });

  it("that it is closed, when its branch is deleted", async () => {
    await using github = await startTestGitHub();
    const head = await openPull(github);
    const { rest } = github.as("ann");
    forget(github);

    await rest.git.deleteRef({ ...shop, ref: "heads/topic" });

    expect(told(github)).toMatchObject([
      { event: "push", deleted: true },
      { event: "pull_request", action: "closed", sender: { login: "ann" } },
    ]);
    expect((await rest.pulls.get(pull)).data).toMatchObject({ state: "closed", merged: false, head: { sha: head } });
    expect(await refusal(rest.pulls.update({ ...pull, state: "open" }))).toMatchObject({ status: 422 });
    expect(await refusal(rest.git.deleteRef({ ...shop, ref: "heads/topic" }))).toMatchObject({
      status: 422,
      message: "Reference does not exist",
    });
  });

  it("that it was merged, and by whom", async () => {
    await using github = await startTestGitHub();
    const repository = await addPull(github);
    const { rest } = github.as("ann");
    const head = (await rest.pulls.get(pull)).data.head.sha;
    const base = await branchCommit(repository.gitDir, "main");
    forget(github);

    const stale = rest.pulls.merge({ ...pull, sha: "0".repeat(40) });
    expect(await refusal(stale)).toMatchObject({ status: 409 });
    expect(await refusal(github.as("eve").rest.pulls.merge(pull))).toMatchObject({ status: 403 });
    const { data } = await rest.pulls.merge(pull);

    expect(told(github)).toMatchObject([
      { event: "pull_request", action: "closed", pull_request: { merged: true, merged_by: { login: "ann" } } },
      { event: "push", ref: "refs/heads/main", after: data.sha },
    ]);
    expect((await rest.git.getCommit({ ...shop, commit_sha: data.sha })).data.parents).toMatchObject([
      { sha: base },
      { sha: head },
    ]);
    expect((await rest.pulls.get(pull)).data).toMatchObject({ merged: true, merge_commit_sha: data.sha });
    expect((await rest.issues.get(issue)).data.pull_request?.merged_at).not.toBeNull();
    expect(await refusal(rest.pulls.merge(pull))).toMatchObject({ status: 405 });
    expect(await refusal(rest.pulls.update({ ...pull, state: "open" }))).toMatchObject({ status: 422 });
  });

  it("that was squashed as one commit", async () => {
    await using github = await startTestGitHub();
    const repository = await addPull(github);
    const base = await branchCommit(repository.gitDir, "main");

    const { data } = await github.as("ann").rest.pulls.merge({ ...pull, merge_method: "squash", commit_title: "One" });

    const { data: commit } = await github.as("ann").rest.git.getCommit({ ...shop, commit_sha: data.sha });
    expect(commit).toMatchObject({ message: "One", parents: [{ sha: base }] });
  });
});

describe("whether a pull request can be merged", () => {
  it("is worked out from when it is asked for, anew after each push to either side", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const { rest } = github.as("ann");
    const asked = async () => {
      const { data } = await rest.pulls.get(pull);
      return [data.mergeable, data.mergeable_state];
    };

    expect([await asked(), await asked()]).toEqual([
      [null, "unknown"],
      [true, "clean"],
    ]);
    await push(github, { "a.txt": "other\n" }, "main");
    expect([await asked(), await asked()]).toEqual([
      [null, "unknown"],
      [false, "dirty"],
    ]);
    expect(await refusal(rest.pulls.merge(pull))).toMatchObject({ status: 405 });
    await push(github, { "a.txt": "other\n" });
    expect([await asked(), await asked()]).toEqual([
      [null, "unknown"],
      [true, "clean"],
    ]);
  });
});

describe("checks of other apps", () => {
  it("are told of when they are completed, and their suite when the last one is", async () => {
    await using github = await startTestGitHub();
    const commit = await openPull(github);
    forget(github);
    const ci = { app: "ci", commit };

    const lint = await github.otherApps.check("ann/shop", { ...ci, name: "lint" });
    await github.otherApps.check("ann/shop", { ...ci, name: "test", conclusion: "success" });
    expect(await github.otherApps.check("ann/shop", { ...ci, name: "lint", conclusion: "failure" })).toBe(lint);
    await github.otherApps.check("ann/shop", { app: "other", commit, name: "lint", conclusion: "skipped" });

    const pull_requests = [{ number: 1, head: { ref: "topic", sha: commit } }];
    const suite = { head_branch: "topic", head_sha: commit, pull_requests };
    expect(told(github)).toMatchObject([
      { event: "check_run", check_run: { name: "test", conclusion: "success", app: { slug: "ci" }, pull_requests } },
      { event: "check_run", check_run: { id: lint, conclusion: "failure" }, sender: { login: "ci[bot]", type: "Bot" } },
      { event: "check_suite", check_suite: { ...suite, conclusion: "failure", latest_check_runs_count: 2 } },
      { event: "check_run", check_run: { name: "lint", app: { slug: "other" } } },
      { event: "check_suite", check_suite: { ...suite, conclusion: "neutral" } },
    ]);
  });

  it("are listed with the newest of each name, or all", async () => {
    await using github = await startTestGitHub();
    const commit = await openPull(github);
    const { rest } = github.as("ann");
    for (const [app, conclusion] of [
      ["ci", "failure"],
      ["ci", "success"],
      ["other", "neutral"],
    ] as const)
      await github.otherApps.check("ann/shop", { app, commit, name: "test", conclusion });
    const listed = async (filter: "latest" | "all") =>
      (await rest.checks.listForRef({ ...shop, ref: commit, filter })).data.check_runs.map((run) => run.conclusion);

    expect(await listed("latest")).toEqual(["neutral", "success"]);
    expect(await listed("all")).toEqual(["neutral", "success", "failure"]);
  });
});

it("a commit's statuses are told of and listed, the newest first", async () => {
  await using github = await startTestGitHub();
  const sha = await openPull(github);
  const { rest } = github.as("ann");
  forget(github);

  await rest.repos.createCommitStatus({ ...shop, sha, state: "pending", context: "ci/old" });
  await rest.repos.createCommitStatus({ ...shop, sha, state: "failure", context: "ci/old", target_url: "http://ci/1" });

  const { data } = await rest.repos.listCommitStatusesForRef({ ...shop, ref: "topic" });
  expect(data).toMatchObject([
    { state: "failure", context: "ci/old", target_url: "http://ci/1", creator: { login: "ann" } },
    { state: "pending" },
  ]);
  expect(told(github)).toMatchObject([
    { event: "status", sha, state: "pending", branches: [{ name: "topic" }] },
    { event: "status", sha, state: "failure", target_url: "http://ci/1", sender: { login: "ann" } },
  ]);
  const reader = github.with(await github.mint({ permissions: { contents: "write" } })).rest;
  expect(await refusal(reader.repos.listCommitStatusesForRef({ ...shop, ref: sha }))).toMatchObject({ status: 403 });
  expect(await refusal(github.as("eve").rest.repos.createCommitStatus({ ...shop, sha, state: "error" }))).toMatchObject(
    {
      status: 403,
    },
  );
});

/** What was sent, oldest first. */
function told(github: TestGitHub): Record<string, unknown>[] {
  return github.state.deliveries
    .toReversed()
    .map(({ event, payload }) => ({ event, ...(JSON.parse(payload) as Record<string, unknown>) }));
}

function forget(github: TestGitHub): void {
  github.state.deliveries.length = 0;
}

async function openPull(github: TestGitHub): Promise<string> {
  const { gitDir } = await addPull(github);
  return (await branchCommit(gitDir, "topic")) ?? "";
}

async function addPull(github: TestGitHub) {
  const repository = await addShop(github);
  await push(github, { "a.txt": "two\n" });
  forget(github);
  await github.as("ann").rest.pulls.create({ ...shop, title: "t", head: "topic", base: "main" });
  return repository;
}

function push(github: TestGitHub, files: Record<string, string>, branch = "topic"): Promise<string> {
  return github.push("ann/shop", files, { branch, message: "Change", author: "ann" });
}
