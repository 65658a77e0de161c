import { describe, expect, it } from "vitest";
import { addShop, git, refusal, shop, startTestGitHub } from "../support.ts";
import type { TestGitHub } from "../support.ts";

const missing = "1".repeat(40);

describe("a reference", () => {
  it("is made once, and moves forward only, unless forced", async () => {
    await using github = await startTestGitHub();
    const { head, next, rest } = await start(github);
    const ref = "heads/agent-fix/issue-1";
    const made = await rest.git.createRef({ ...shop, ref: `refs/${ref}`, sha: next });

    expect(made.data).toMatchObject({ ref: `refs/${ref}`, object: { type: "commit", sha: next } });
    expect(await refusal(rest.git.createRef({ ...shop, ref: `refs/${ref}`, sha: next }))).toMatchObject({
      status: 422,
      message: "Reference already exists",
    });
    expect(await refusal(rest.git.updateRef({ ...shop, ref, sha: head }))).toMatchObject({
      status: 422,
      message: "Update is not a fast forward",
    });
    expect((await rest.git.getRef({ ...shop, ref })).data.object.sha).toBe(next);
    await rest.git.updateRef({ ...shop, ref, sha: head, force: true });
    expect((await rest.git.getRef({ ...shop, ref })).data.object.sha).toBe(head);
    await rest.git.updateRef({ ...shop, ref, sha: next });
    expect((await rest.git.getRef({ ...shop, ref })).data.object.sha).toBe(next);
  });

  it("is of a commit that exists, and has a name that git takes", async () => {
    await using github = await startTestGitHub();
    const { head, rest } = await start(github);

    for (const [ref, sha] of [
      ["refs/heads/x", missing],
      ["heads/x", head],
      ["refs/heads/a..b", head],
      ["refs/heads/main/x", head],
    ] as const)
      expect(await refusal(rest.git.createRef({ ...shop, ref, sha }))).toMatchObject({ status: 422 });
    expect(await refusal(rest.git.updateRef({ ...shop, ref: "heads/x", sha: head }))).toMatchObject({
      status: 422,
      message: "Reference does not exist",
    });
    expect(await refusal(rest.git.getRef({ ...shop, ref: "heads/x" }))).toMatchObject({ status: 404 });
  });

  it("of an empty repository is 409", async () => {
    await using github = await startTestGitHub();
    await github.addRepository({ owner: "ann", name: "shop" });

    expect(await refusal(github.as("ann").rest.git.getRef({ ...shop, ref: "heads/main" }))).toMatchObject({
      status: 409,
      message: "Git Repository is empty.",
    });
  });
});

describe("a tree", () => {
  it("adds to its base, replaces and takes out", async () => {
    await using github = await startTestGitHub();
    const { head, rest, gitDir } = await start(github);

    const { data } = await rest.git.createTree({
      ...shop,
      base_tree: head,
      tree: [
        { path: "a.txt", mode: "100644", type: "blob", sha: null },
        { path: "deep/b.txt", mode: "100644", type: "blob", content: "changed\n" },
        { path: "deep/er/new.sh", mode: "100755", type: "blob", content: "exit\n" },
      ],
    });

    expect((await git(gitDir, "ls-tree", "-r", "--format=%(objectmode) %(path)", data.sha)).split("\n")).toEqual([
      "100644 deep/b.txt",
      "100755 deep/er/new.sh",
    ]);
    expect(await git(gitDir, "cat-file", "blob", `${data.sha}:deep/b.txt`)).toBe("changed");
    expect(data.tree).toMatchObject([{ path: "deep", type: "tree", mode: "040000" }]);
  });

  it("is refused where a blob, a path or the base is not there", async () => {
    await using github = await startTestGitHub();
    const { head, rest } = await start(github);
    const entry = (path: string, sha: string | null) => ({ path, mode: "100644", type: "blob", sha }) as const;
    const create = (base_tree: string, item: ReturnType<typeof entry>) =>
      refusal(rest.git.createTree({ ...shop, base_tree, tree: [item] }));

    expect(await create(head, entry("x", missing))).toMatchObject({ status: 422 });
    expect(await create(head, entry("none", null))).toMatchObject({ status: 422, message: "GitRPC::BadObjectState" });
    expect(await create(head, entry("../x", head))).toMatchObject({ status: 422 });
    expect(await create(head, entry(".git/config", head))).toMatchObject({ status: 422 });
    expect(await create(missing, entry("x", head))).toMatchObject({ status: 404 });
  });
});

describe("a commit", () => {
  it("without an author is the bot's, and signed", async () => {
    await using github = await startTestGitHub();
    const { head, tree } = await start(github);
    const { rest } = github.with(await github.mint());

    const { data } = await rest.git.createCommit({ ...shop, message: "Mend\n\nBody", tree, parents: [head] });

    const { id } = github.app.bot;
    expect(data).toMatchObject({
      message: "Mend\n\nBody",
      tree: { sha: tree },
      parents: [{ sha: head }],
      author: { name: "fixer[bot]", email: `${id}+fixer[bot]@users.noreply.github.com` },
      committer: { name: "GitHub", email: "noreply@github.com" },
      verification: { verified: true, reason: "valid" },
    });
    expect((await rest.git.getCommit({ ...shop, commit_sha: data.sha })).data.verification.verified).toBe(true);
  });

  it("with an author is that author's, and not signed, also when it is said to be the bot", async () => {
    await using github = await startTestGitHub();
    const { head, tree } = await start(github);
    const { rest } = github.with(await github.mint());
    const author = { name: "fixer[bot]", email: "bot@example.com" };

    const { data } = await rest.git.createCommit({ ...shop, message: "Mend", tree, parents: [head], author });

    expect(data).toMatchObject({ author, committer: author, verification: { verified: false, reason: "unsigned" } });
    expect((await rest.git.getCommit({ ...shop, commit_sha: data.sha })).data.verification.verified).toBe(false);
  });

  it("of a person is not signed", async () => {
    await using github = await startTestGitHub();
    const { head, tree, rest } = await start(github);

    const { data } = await rest.git.createCommit({ ...shop, message: "Mend", tree, parents: [head] });

    expect(data).toMatchObject({ author: { name: "ann" }, verification: { verified: false } });
  });

  it("is refused where its tree or a parent is not there", async () => {
    await using github = await startTestGitHub();
    const { head, tree, rest } = await start(github);
    const create = (of: { tree: string; parents: string[] }) =>
      refusal(rest.git.createCommit({ ...shop, message: "m", ...of }));

    expect(await create({ tree: missing, parents: [head] })).toMatchObject({
      status: 422,
      message: "Tree SHA does not exist",
    });
    expect(await create({ tree: head, parents: [tree] })).toMatchObject({ status: 422 });
    expect(await create({ tree, parents: [missing] })).toMatchObject({ status: 422 });
    expect(await refusal(rest.git.getCommit({ ...shop, commit_sha: missing }))).toMatchObject({ status: 404 });
  });
});

/** Two commits in a row; only the first is on `main`. */
async function start(github: TestGitHub) {
  const { gitDir } = await addShop(github, { files: { "a.txt": "a\n", "deep/b.txt": "b\n" } });
  const head = await git(gitDir, "rev-parse", "main");
  const next = await github.push("ann/shop", { "c.txt": "c\n" }, { branch: "next", message: "n", author: "ann" });
  return { gitDir, head, next, tree: await git(gitDir, "rev-parse", "next^{tree}"), rest: github.as("ann").rest };
}
