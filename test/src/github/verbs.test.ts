import { describe, expect, it } from "vitest";
import { branchCommit, readCommit, writeCommit } from "../../../src/demo/github/git.ts";
import { statusOf } from "../../../src/github/status.ts";
import type { Forge } from "../../../src/forge.ts";
import { shop, startTestGitHub } from "../../demo/github/support.ts";
import { forgeOf, openPull } from "./support.ts";

const pull = { ...shop, pull_number: 1 };

describe("a pull request", () => {
  it("is clean or in conflict when GitHub has worked it out, and unknown until then", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const forge = forgeOf(github, "report");

    expect(await forge.mergeability(1)).toEqual({ state: "unknown", merged: false });
    expect(await forge.mergeability(1)).toEqual({ state: "clean", merged: false });
    const other = { branch: "main", message: "Other", author: "ann" };
    await github.push("ann/shop", { "a.txt": "one\nzwei\nthree\n" }, other);
    expect(await forge.mergeability(1)).toEqual({ state: "unknown", merged: false });
    expect(await forge.mergeability(1)).toEqual({ state: "conflict", merged: false });
  });

  it("is merged when a person merged it", async () => {
    await using github = await startTestGitHub();
    await openPull(github);

    await github.as("ann").rest.pulls.merge(pull);

    expect(await forgeOf(github, "report").mergeability(1)).toMatchObject({ merged: true });
  });
});

describe("a pull request's facts", () => {
  it("are when it began and ended, and whether it was merged", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const forge = forgeOf(github);
    const open = await forge.pull(1);

    await github.as("ann").rest.pulls.merge(pull);

    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(open).toMatchObject({ merged: false, createdAt: time, updatedAt: time, closedAt: undefined });
    const [merged] = await forge.pullsFrom("topic");
    expect(merged).toEqual({ ...open, base: "main", state: "closed", merged: true, closedAt: time, updatedAt: time });
  });

  it("are changed where they differ, and it is closed, once", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const forge = forgeOf(github, "report");
    github.state.deliveries.length = 0;

    await forge.editPull(1, { title: "t" });
    await forge.editPull(1, { title: "Renamed", body: "Text" });
    for (let time = 0; time < 2; time++) await forge.editPull(1, { title: "Renamed", body: "Text", state: "closed" });

    expect(await forge.pull(1)).toMatchObject({ title: "Renamed", body: "Text", state: "closed", merged: false });
    const told = github.state.deliveries.map(({ event, action }) => `${event} ${action}`);
    expect(told.toReversed()).toEqual(["pull_request edited", "pull_request closed"]);
  });

  it("tell whether a person gave it another title since a time", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const forge = forgeOf(github, "report");
    await forge.editPull(1, { title: "Our name for it" });
    const { createdAt } = await forge.pull(1);
    const before = await forge.renamedSince(1, createdAt);

    await github.as("ann").rest.pulls.update({ ...pull, title: "Her name for it", body: "Text" });

    expect(before).toBe(false);
    expect(await forge.renamedSince(1, createdAt)).toBe(true);
    expect(await forge.renamedSince(1, "2999-01-01T00:00:00Z")).toBe(false);
  });
});

describe("the commits of a pull request", () => {
  it("are in order, each with the account that wrote it, also after the merge", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);
    const forge = forgeOf(github);
    const files = [{ path: "b.txt", mode: "100644" as const, bytes: Buffer.from("b\n") }];
    const { commit } = await forge.createCommit({ base: head, message: "Ours", files, deleted: [] });
    await forge.ensureBranch("topic", commit, head);
    const nobody = { branch: "topic", message: "By hand", author: "nobody" };
    const last = await github.push("ann/shop", { "c.txt": "c\n" }, nobody);
    github.state.accounts.delete("nobody");

    const commits = await forge.pullCommits(1);

    expect(commits).toEqual([
      { id: head, message: "Change", author: { login: "ann", isBot: false } },
      { id: commit, message: "Ours", author: { login: "fixer[bot]", isBot: true } },
      { id: last, message: "By hand", author: undefined },
    ]);
    await github.as("ann").rest.pulls.merge(pull);
    expect(await forge.pullCommits(1)).toEqual(commits);
  });

  it("are all read where there are more than GitHub gives at once", async () => {
    await using github = await startTestGitHub();
    const { repository, pull: issue, head } = await openPull(github);
    const who = { name: "ann", email: "ann@example.com" };
    const tree = (await readCommit(repository.gitDir, head))?.tree ?? "";
    let last = head;
    for (let n = 1; n < 105; n++)
      last = await writeCommit(repository.gitDir, {
        message: String(n),
        tree,
        parents: [last],
        author: who,
        committer: who,
      });
    issue.pull.headCommit = last;

    const commits = await forgeOf(github, "report").pullCommits(1);

    expect(commits.map(({ message }) => message)).toEqual([
      "Change",
      ...Array.from({ length: 104 }, (_, n) => `${n + 1}`),
    ]);
  });
});

describe("a branch", () => {
  it("is deleted while it stands where it is expected, which closes its pull request, and only then", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);
    const forge = forgeOf(github);

    expect(await forge.ensureBranchGone("topic", "0".repeat(40))).toBe("moved");
    expect(await forge.branchHead("topic")).toBe(head);
    expect(await forge.ensureBranchGone("topic", head)).toBe("done");
    expect(await forge.ensureBranchGone("topic", head)).toBe("done");

    expect(await forge.branchHead("topic")).toBeUndefined();
    expect(await forge.pull(1)).toMatchObject({ state: "closed", merged: false });
  });

  it("is deleted with the permission to write contents, and not without", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);

    const refused = forgeOf(github, "report").ensureBranchGone("topic", head);

    await expect(refused).rejects.toThrow("contents=write");
  });
});

describe("a commit", () => {
  it("without a change has its base's tree", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);
    const forge = forgeOf(github);

    const empty = await forge.createCommit({ base: head, message: "Run the checks", files: [], deleted: [] });

    const { tree } = await forge.commit(head);
    expect(empty.tree).toBe(tree);
    expect(await forge.commit(empty.commit)).toEqual({
      message: "Run the checks",
      author: "fixer[bot]",
      committer: "GitHub",
      tree,
      parents: [head],
    });
  });
});

const old = "<!-- old --> Old";
interface Talk {
  forge: Forge;
  /** The first comment of the one thread. */
  first: number;
  thread: string;
}

describe("a write whose answer got lost", () => {
  it.each<[string, { method: string; path: RegExp }, (talk: Talk) => Promise<void>, object]>([
    [
      "a reply",
      { method: "POST", path: /\/replies$/ },
      ({ forge, first }) => forge.ensureReply(1, first, "<!-- m -->", "<!-- m --> Fixed"),
      { said: [old, "<!-- m --> Fixed"] },
    ],
    [
      "an edited reply",
      { method: "PATCH", path: /\/comments\/\d+$/ },
      ({ forge, first }) => forge.ensureReply(1, first, "<!-- old -->", "<!-- old --> New"),
      { said: ["<!-- old --> New"] },
    ],
    [
      "a reaction",
      { method: "POST", path: /\/reactions$/ },
      ({ forge, first }) => forge.react({ kind: "review-comment", id: first }, "eyes"),
      { reactions: 1 },
    ],
    [
      "a resolved thread",
      { method: "POST", path: /^\/graphql$/ },
      ({ forge, thread }) => forge.resolveThread(thread),
      { resolved: 1 },
    ],
  ])("was done, and the next try leaves it so: %s", async (_what, calls, write, changed) => {
    await using github = await startTestGitHub();
    const { head: commit_id, pull: issue, repository } = await openPull(github);
    const place = { ...pull, commit_id, path: "a.txt", line: 2, body: "Why?" };
    const { data } = await github.as("bob").rest.pulls.createReviewComment(place);
    const forge = forgeOf(github);
    await forge.ensureReply(1, data.id, "<!-- old -->", old);
    const talk = { forge, first: data.id, thread: (await forge.threads(1))[0]?.id ?? "" };
    github.faults.loseAnswer(calls);

    expect(await write(talk).then(() => "done", statusOf)).toBe(502);
    await write(talk);

    const comments = issue.pull.reviews.flatMap((review) => review.comments);
    expect({
      said: comments.slice(1).map(({ body }) => body),
      reactions: comments[0]?.reactions.length,
      events: issue.events.map(({ event }) => event),
      resolved: issue.pull.resolved.size,
      hasBranch: (await branchCommit(repository.gitDir, "topic")) !== undefined,
    }).toEqual({ said: [old], reactions: 0, events: [], resolved: 0, hasBranch: true, ...changed });
  });
});
