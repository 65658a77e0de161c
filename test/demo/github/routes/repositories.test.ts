import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addShop, git, refusal, shop, startTestGitHub } from "../support.ts";

describe("a repository", () => {
  it("tells where it is and whom it is shown", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true, defaultBranch: "trunk" });

    const { data } = await github.as("ann").rest.repos.get(shop);

    expect(data).toMatchObject({
      full_name: "ann/shop",
      private: true,
      default_branch: "trunk",
      clone_url: `${github.url}/ann/shop.git`,
    });
    expect(await refusal(github.as("ann").rest.repos.get({ owner: "ann", repo: "none" }))).toMatchObject({
      status: 404,
    });
  });

  it("says what somebody may do", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });
    await addShop(github, { name: "open" });
    github.addUser("stranger");
    github.setRole("ann/shop", "bob", "write");
    github.setRole("ann/shop", "tim", "triage");
    const { rest } = github.with(await github.mint({ permissions: { metadata: "read" } }));
    const may = async (repo: string, username: string) =>
      (await rest.repos.getCollaboratorPermissionLevel({ owner: "ann", repo, username })).data;

    expect(await may("shop", "ann")).toMatchObject({ permission: "admin", role_name: "admin" });
    expect(await may("shop", "bob")).toMatchObject({ permission: "write", user: { login: "bob" } });
    expect(await may("shop", "tim")).toMatchObject({ permission: "read", role_name: "triage" });
    expect(await may("shop", "stranger")).toMatchObject({ permission: "none" });
    expect(await may("open", "stranger")).toMatchObject({ permission: "read" });
    await expect(may("shop", "no-one")).rejects.toMatchObject({ status: 404 });
  });

  it("shows a file at a branch or commit, byte for byte", async () => {
    await using github = await startTestGitHub();
    const bytes = Uint8Array.from([0, 255, 10, 13]);
    await addShop(github, { files: { "deep/ä b.bin": { bytes, executable: false } } });
    const { rest } = github.as("ann");
    const before = (await rest.git.getRef({ ...shop, ref: "heads/main" })).data.object.sha;
    await github.push("ann/shop", { "deep/ä b.bin": undefined }, { branch: "main", message: "m", author: "ann" });
    const path = "deep/ä b.bin";

    const { data } = await rest.repos.getContent({ ...shop, path, ref: before });

    expect(data).toMatchObject({ type: "file", path, size: 4, content: Buffer.from(bytes).toString("base64") });
    expect(await refusal(rest.repos.getContent({ ...shop, path }))).toMatchObject({
      status: 404,
      message: "Not Found",
    });
    expect(await refusal(rest.repos.getContent({ ...shop, path, ref: "none" }))).toMatchObject({ status: 404 });
  });

  it("that is empty has no file", async () => {
    await using github = await startTestGitHub();
    await github.addRepository({ owner: "ann", name: "shop" });

    expect(await refusal(github.as("ann").rest.repos.getContent({ ...shop, path: "a" }))).toMatchObject({
      status: 404,
      message: "This repository is empty.",
    });
  });

  it("begins with a folder's files, modes and links", async () => {
    await using github = await startTestGitHub();
    const fromDir = join(github.folder, "from");
    await mkdir(join(fromDir, "bin"), { recursive: true });
    await writeFile(join(fromDir, "bin/run"), "exit\n", { mode: 0o755 });
    await writeFile(join(fromDir, "a.txt"), "a\n");
    await symlink("a.txt", join(fromDir, "link"));

    const { gitDir } = await github.addRepository({ owner: "ann", name: "shop", fromDir });

    expect((await git(gitDir, "ls-tree", "-r", "--format=%(objectmode) %(path)", "main")).split("\n")).toEqual([
      "100644 a.txt",
      "100755 bin/run",
      "120000 link",
    ]);
  });
});
