import { afterEach, beforeEach, expect, it } from "vitest";
import type { Forge } from "../../../src/forge.ts";
import { addShop, startTestGitHub } from "../../demo/github/support.ts";
import type { TestGitHub } from "../../demo/github/support.ts";
import { forgeOf } from "./support.ts";

let github: TestGitHub;
let forge: Forge;
beforeEach(async () => {
  github = await startTestGitHub();
  await addShop(github, { files: { "a.txt": "one\n", ".github/workflows/ci.yml": "on: push\n" } });
  forge = forgeOf(github);
});
afterEach(() => github[Symbol.asyncDispose]());

const push = (files: Record<string, string>, branch: string) =>
  github.push("ann/shop", files, { branch, message: "A change", author: "ann" });
const file = (path: string, text: string) => ({ path, mode: "100644" as const, bytes: Buffer.from(text) });
const commitOn = (base: string, path: string, text: string) =>
  forge.createCommit({ base, message: "Mend it", files: [file(path, text)], deleted: [] });

it("a merge has both parents in the order that was given, on the tree of the one that it changes", async () => {
  const head = await push({ "b.txt": "two\n" }, "topic");
  const base = await push({ "a.txt": "1\n" }, "main");

  const files = [file("b.txt", "two\n")];
  const made = await forge.createCommit({ base, parents: [head, base], message: "Merge it", files, deleted: [] });
  const moved = await forge.ensureBranch("topic", made.commit, head);

  expect(moved).toBe("done");
  expect(await forge.commit(made.commit)).toMatchObject({ parents: [head, base], tree: made.tree });
  expect(await forge.readFile("a.txt", "topic")).toBe("1\n");
});

it("what the app committed has the app's login for its author, and what a person pushed that person's", async () => {
  const pushed = await push({ "b.txt": "two\n" }, "topic");
  const { commit } = await commitOn(pushed, "a.txt", "1\n");

  expect(await forge.commit(commit)).toMatchObject({ author: "fixer[bot]" });
  expect(await forge.commit(pushed)).toMatchObject({ author: "ann" });
});

it("a workflow file that is on no branch is refused by name, also on a branch that is there", async () => {
  const main = (await forge.branchHead("main")) ?? "";
  const { commit } = await commitOn(main, ".github/workflows/ci.yml", "on: [push, pull_request]\n");
  const refused = {
    why: "workflows",
    message: "GitHub lets no app write `.github/workflows/ci.yml` without the permission `workflows`.",
  };

  await expect(forge.ensureBranch("topic", commit, undefined)).rejects.toMatchObject(refused);
  await expect(forge.ensureBranch("main", commit, main)).rejects.toMatchObject(refused);
  expect(await forge.branchHead("topic")).toBeUndefined();
});

it("the branches that begin with a name are found, and none where none do", async () => {
  for (const branch of ["agent-fix/issue-1", "agent-fix/issue-1-2", "agent-fix/issue-12"])
    await push({ "b.txt": "2\n" }, branch);

  expect(await forge.branchesFrom("agent-fix/issue-1-")).toEqual(["agent-fix/issue-1-2"]);
  expect(await forge.branchesFrom("agent-fix/issue-2-")).toEqual([]);
});

it("a workflow file that another branch has as it is may come along", async () => {
  const main = (await forge.branchHead("main")) ?? "";
  await push({ ".github/workflows/ci.yml": "on: [push, pull_request]\n" }, "other");
  const { commit } = await commitOn(main, ".github/workflows/ci.yml", "on: [push, pull_request]\n");

  expect(await forge.ensureBranch("topic", commit, undefined)).toBe("done");
});
