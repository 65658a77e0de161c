import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { branchCommit } from "../../../src/demo/github/git.ts";
import { statusOf } from "../../../src/github/status.ts";
import type { Forge } from "../../../src/forge.ts";
import { ensureBranchGone } from "../../../src/github/commits.ts";
import { connect, git, shop, startTestGitHub } from "../../demo/github/support.ts";
import { forgeOf, openPull } from "./support.ts";

const pull = { ...shop, pull_number: 1 };

it("a label is put on once", async () => {
  await using github = await startTestGitHub();
  const { pull: issue } = await openPull(github);
  const forge = forgeOf(github);

  await forge.addLabel(1, "agent-fix");
  await forge.addLabel(1, "agent-fix");

  expect((await forge.issue(1)).labels).toEqual(["agent-fix"]);
  expect(issue.events).toHaveLength(1);
});

describe("a pull request", () => {
  it("is closed, reopened and rewritten, also when it is so already", async () => {
    await using github = await startTestGitHub();
    await openPull(github);
    const forge = forgeOf(github);

    for (let time = 0; time < 2; time++) {
      await forge.changePull(1, { state: "closed" });
      expect(await forge.pull(1)).toMatchObject({ state: "closed", title: "t" });
    }
    for (let time = 0; time < 2; time++) await forge.changePull(1, { state: "open", title: "New", body: "Text" });
    expect(await forge.pull(1)).toMatchObject({ state: "open", title: "New", body: "Text" });
  });

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

describe("a branch", () => {
  it("goes, and stays gone", async () => {
    await using github = await startTestGitHub();
    const { repository } = await openPull(github);
    const forge = forgeOf(github);

    await forge.ensureBranchGone("topic");
    await forge.ensureBranchGone("topic");

    expect(await branchCommit(repository.gitDir, "topic")).toBeUndefined();
  });

  it("that may not go is an error", async () => {
    await using github = await startTestGitHub();
    await openPull(github);

    const refused = forgeOf(github, "report").ensureBranchGone("topic");

    expect(await refused.then(() => "gone", statusOf)).toBe(403);
  });
});

it("a branch that GitHub keeps is an error, and no branch that is gone", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = createServer(({ method }, response) => {
    const [status, body] =
      method === "GET" ? [200, { object: { sha: "a".repeat(40) } }] : [422, { message: "Protected" }];
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const octokit = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  await expect(ensureBranchGone(octokit, shop, "main")).rejects.toThrow("Protected");
  server.close();
});

describe("a commit", () => {
  it("of a merge has further parents, and the files of both", async () => {
    await using github = await startTestGitHub();
    const { repository, head } = await openPull(github);
    const other = { branch: "main", message: "Other", author: "ann" };
    const base = await github.push("ann/shop", { "b.txt": "b\n" }, other);
    const forge = forgeOf(github);

    const files = [{ path: "b.txt", mode: "100644" as const, bytes: Buffer.from("b\n") }];
    const merge = await forge.createCommit({ base: head, parents: [base], message: "Merge", files, deleted: [] });

    expect(await forge.commit(merge.commit)).toEqual({ message: "Merge", tree: merge.tree, parents: [head, base] });
    expect(await git(repository.gitDir, "show", `${merge.commit}:a.txt`)).toBe("one\n2\nthree");
    expect(await git(repository.gitDir, "show", `${merge.commit}:b.txt`)).toBe("b");
  });

  it("without a change has its base's tree", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);
    const forge = forgeOf(github);

    const empty = await forge.createCommit({ base: head, message: "Run the checks", files: [], deleted: [] });

    const { tree } = await forge.commit(head);
    expect(empty.tree).toBe(tree);
    expect(await forge.commit(empty.commit)).toEqual({ message: "Run the checks", tree, parents: [head] });
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
      "a label",
      { method: "POST", path: /\/labels$/ },
      ({ forge }) => forge.addLabel(1, "bug"),
      { events: ["labeled"] },
    ],
    [
      "a closed pull request",
      { method: "PATCH", path: /\/pulls\/1$/ },
      ({ forge }) => forge.changePull(1, { state: "closed" }),
      { events: ["closed"] },
    ],
    [
      "a deleted branch",
      { method: "DELETE", path: /\/git\/refs\// },
      ({ forge }) => forge.ensureBranchGone("topic"),
      { hasBranch: false, events: ["closed"] },
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
