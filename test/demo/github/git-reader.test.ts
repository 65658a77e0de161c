import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBare, gitEnvironment, readCommit, updateRef, writeCommit, zero } from "../../../src/demo/github/git.ts";
import { endReaders, gitReader } from "../../../src/demo/github/git-reader.ts";
import { git } from "./support.ts";

const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const ann = { name: "Ann Ä. Example", email: "ann@example.com" };
let folder: string;
let gitDir: string;
const look = () => gitReader(gitDir, gitEnvironment());
const commit = (message: string, parents: string[] = []) =>
  writeCommit(gitDir, { message, tree: emptyTree, parents, author: ann, committer: ann });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "agent-fix-reader-"));
  gitDir = join(folder, "shop.git");
  await createBare(gitDir, "main");
  await git(gitDir, "hash-object", "-w", "-t", "tree", "/dev/null");
});

afterAll(async () => {
  endReaders(folder);
  await rm(folder, { recursive: true, force: true });
});

describe("a reader of a repository", () => {
  it("gives many answers that were asked for at once, each to who asked", async () => {
    const shas = await Promise.all(
      Array.from({ length: 20 }, (_, at) => commit(`Number ${at}\n${"x".repeat(10_000)}`)),
    );

    const found = await Promise.all(shas.flatMap((sha) => [look().find(sha), look().read(sha), look().find("none")]));

    expect(found.map((one) => one?.sha)).toEqual(shas.flatMap((sha) => [sha, sha, undefined]));
    expect(found[1]?.text).toContain("Number 0\n");
  });

  it("sees what came after it was opened: commits, references and where they moved", async () => {
    const one = await commit("One");
    expect(await look().find("refs/heads/moving")).toBeUndefined();
    await updateRef(gitDir, "refs/heads/moving", one, zero);
    expect(await look().find("refs/heads/moving")).toMatchObject({ sha: one, type: "commit" });
    const two = await commit("Two", [one]);
    await updateRef(gitDir, "refs/heads/moving", two, one);
    await git(gitDir, "gc", "--quiet", "--prune=now");
    expect(await look().find("refs/heads/moving^{commit}")).toMatchObject({ sha: two });
  });

  it("takes a line break in a name for no name, and not for another question", async () => {
    const sha = await commit("Asked for behind a line break");

    expect(await look().find(`none\ninfo ${sha}`)).toBeUndefined();
    expect(await look().find(sha)).toMatchObject({ sha });
  });

  it("that was ended answers what it was asked before, and the next question starts another", async () => {
    const sha = await commit("Last");
    const before = look();
    const asked = before.find(sha);
    endReaders(folder);

    expect(await asked).toMatchObject({ sha });
    expect(look()).not.toBe(before);
    expect(await look().find(sha)).toMatchObject({ sha });
  });

  it("tells who asked when there is no repository", async () => {
    const nowhere = gitReader(join(folder, "none.git"), gitEnvironment());

    await expect(nowhere.find("HEAD")).rejects.toThrow(/none\.git ended with 128: fatal/);
  });
});

it("a commit is read with its people, its UTC times and its message without the line breaks at its end", async () => {
  const parent = await commit("First");
  const sha = await commit("Subject\n\nparent of nothing\n\n", [parent]);
  const time = await git(gitDir, "show", "-s", "--format=%ct", sha);
  const signed = { ...ann, date: new Date(Number(time) * 1_000).toISOString().replace(".000", "") };

  expect(await readCommit(gitDir, sha.slice(0, 12))).toEqual({
    sha,
    tree: emptyTree,
    parents: [parent],
    message: "Subject\n\nparent of nothing",
    author: signed,
    committer: signed,
  });
});
