import { describe, expect, it } from "vitest";
import { branchCommit } from "../../../src/demo/github/git.ts";
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

describe("a commit", () => {
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
