import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { addShop, git, gitComplaint, remoteOf, shop, startTestGitHub } from "./support.ts";
import type { TestGitHub } from "./support.ts";

describe("git", () => {
  it("clones with an installation token what the API shows", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true, files: { "a.txt": "one\n", "deep/b.txt": "two\n" } });
    const token = await github.mint({ permissions: { contents: "read" } });

    const copy = await clone(github, token);

    const { data } = await github.with(token).rest.git.getRef({ ...shop, ref: "heads/main" });
    expect(await git(copy, "rev-parse", "HEAD")).toBe(data.object.sha);
    expect(await git(copy, "branch", "--show-current")).toBe("main");
    expect(await readFile(join(copy, "deep/b.txt"), "utf8")).toBe("two\n");
  });

  it("pushes what references, commits and pull requests then show", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const ann = github.as("ann");
    const copy = await clone(github, github.addUser("ann"));
    await commit(copy, "Begin", "topic");
    await git(copy, "push", "--quiet", "origin", "topic");
    const { number: pull_number } = (await ann.rest.pulls.create({ ...shop, title: "t", head: "topic", base: "main" }))
      .data;
    const before = (await ann.rest.pulls.get({ ...shop, pull_number })).data;

    const pushed = await commit(copy, "Go on");
    await git(copy, "push", "--quiet", "origin", "topic");

    const after = (await ann.rest.pulls.get({ ...shop, pull_number })).data;
    expect([before.commits, after.commits]).toEqual([1, 2]);
    expect(after.head.sha).toBe(pushed);
    expect((await ann.rest.git.getRef({ ...shop, ref: "heads/topic" })).data.object.sha).toBe(pushed);
    expect((await ann.rest.git.getCommit({ ...shop, commit_sha: pushed })).data).toMatchObject({
      message: "Go on",
      author: { name: "Ann", email: "ann@example.com" },
      parents: [{ sha: before.head.sha }],
      verification: { verified: false },
    });
  });

  it("fetches a commit that the API made, with the same name", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const copy = await clone(github);
    const base = await git(copy, "rev-parse", "HEAD");
    const bot = github.with(await github.mint());
    const { data: blob } = await bot.rest.git.createBlob({ ...shop, content: "AAH/", encoding: "base64" });
    const { data: tree } = await bot.rest.git.createTree({
      ...shop,
      base_tree: base,
      tree: [{ path: "bin/run", mode: "100755", type: "blob", sha: blob.sha }],
    });
    const { data: made } = await bot.rest.git.createCommit({
      ...shop,
      message: "Run",
      tree: tree.sha,
      parents: [base],
    });
    await bot.rest.git.createRef({ ...shop, ref: "refs/heads/agent-fix/issue-1", sha: made.sha });

    await git(copy, "fetch", "--quiet", "origin", "agent-fix/issue-1");

    expect(await git(copy, "rev-parse", "FETCH_HEAD")).toBe(made.sha);
    expect(await git(copy, "rev-parse", "FETCH_HEAD^{tree}")).toBe(tree.sha);
    expect(await git(copy, "ls-tree", "FETCH_HEAD", "bin/run")).toBe(`100755 blob ${blob.sha}\tbin/run`);
    expect(await git(copy, "log", "-1", "--format=%an %cn", "FETCH_HEAD")).toBe("fixer[bot] GitHub");
    expect(await git(copy, "fsck", "--strict")).toBe("");
  });

  it("pushes many bytes in a body of unknown length", async () => {
    await using github = await startTestGitHub();
    const { gitDir } = await addShop(github);
    const copy = await clone(github, github.addUser("ann"));
    await writeFile(join(copy, "large.bin"), randomBytes(6_000_000));

    const pushed = await commit(copy, "Add much");
    await git(copy, "-c", "http.postBuffer=65536", "push", "--quiet", "origin", "main");

    expect((await github.as("ann").rest.git.getRef({ ...shop, ref: "heads/main" })).data.object.sha).toBe(pushed);
    expect(await git(gitDir, "cat-file", "-s", "main:large.bin")).toBe("6000000");
  });

  it("speaks version 2 of the protocol, also compressed", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const headers = { "git-protocol": "version=2", "content-type": "application/x-git-upload-pack-request" };
    const listReferences = "0014command=ls-refs\n00010000";

    const offer = await fetch(`${remoteOf(github)}/info/refs?service=git-upload-pack`, { headers });
    const answer = await fetch(`${remoteOf(github)}/git-upload-pack`, {
      method: "POST",
      headers: { ...headers, "content-encoding": "gzip" },
      body: gzipSync(listReferences),
    });

    expect(await offer.text()).toContain("version 2");
    expect(await answer.text()).toContain("refs/heads/main");
  });
});

describe("git is refused", () => {
  it.each<[string, (github: TestGitHub) => string | undefined]>([
    ["without a token", () => undefined],
    ["with a wrong token", () => "ghs_wrong"],
  ])("a private repository %s (401)", async (_what, tokenOf) => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });

    const status = await advertise(github, tokenOf(github));

    expect(status).toBe(401);
    expect(await gitComplaint(github.folder, "ls-remote", remoteOf(github, tokenOf(github)))).toMatch(
      /could not read Username|Authentication failed/,
    );
  });

  it("a repository once its token has expired (401)", async () => {
    await using github = await startTestGitHub({ tokenTtlMs: 400 });
    await addShop(github, { private: true });
    const token = await github.mint();

    expect(await advertise(github, token)).toBe(200);

    await expect.poll(() => advertise(github, token), { interval: 50 }).toBe(401);
    expect(await gitComplaint(github.folder, "ls-remote", remoteOf(github, token))).toContain("Authentication failed");
  });

  it("a repository that the token does not cover, as if there were none", async () => {
    await using github = await startTestGitHub();
    const { id } = await addShop(github);
    await addShop(github, { name: "secret", private: true });
    const token = await github.mint({ repository_ids: [id] });

    expect(await gitComplaint(github.folder, "ls-remote", remoteOf(github, token, "ann/secret"))).toContain(
      "not found",
    );
    expect(await gitComplaint(github.folder, "ls-remote", remoteOf(github, token, "ann/none"))).toContain("not found");
  });

  it.each<[string, (github: TestGitHub) => Promise<string>]>([
    ["a token that may only read", (github) => github.mint({ permissions: { contents: "read" } })],
    ["a token without the permission to see code", (github) => github.mint({ permissions: { issues: "write" } })],
    ["a person who may only read", async (github) => github.addUser("bob")],
  ])("a push with %s, and nothing moves", async (_what, tokenOf) => {
    await using github = await startTestGitHub();
    await addShop(github);
    github.setRole("ann/shop", "bob", "read");
    const copy = await clone(github);
    const before = await git(copy, "rev-parse", "HEAD");
    await commit(copy, "Sneak in");

    const complaint = await gitComplaint(copy, "push", remoteOf(github, await tokenOf(github)), "main");

    expect(complaint).toContain("403");
    expect((await github.as("ann").rest.git.getRef({ ...shop, ref: "heads/main" })).data.object.sha).toBe(before);
  });

  it("a push by nobody, although everybody may read", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const copy = await clone(github);
    await commit(copy, "Sneak in");

    expect(await gitComplaint(copy, "push", "origin", "main")).toContain("could not read Username");
  });
});

it("goes on when a client leaves in the middle of its push, and leaves no git behind", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  const push = request(`${remoteOf(github)}/git-receive-pack`, {
    method: "POST",
    headers: {
      authorization: `Basic ${btoa(`x:${github.addUser("ann")}`)}`,
      "content-type": "application/x-git-receive-pack-request",
      "content-length": 1_000_000,
    },
  });
  push.on("error", () => leave());

  const served = async () => (await ownProcesses()).filter((command) => command.includes("http-backend"));
  push.write("00");
  await expect.poll(served, { timeout: 10_000 }).toHaveLength(1);
  push.destroy(new Error("gone"));
  await left;

  await expect.poll(served, { timeout: 10_000 }).toEqual([]);

  expect(await git(github.folder, "ls-remote", remoteOf(github))).toContain("refs/heads/main");
});

/** The command lines of this process's children. */
async function ownProcesses(): Promise<string[]> {
  const { stdout } = await promisify(execFile)("ps", ["--ppid", String(process.pid), "-o", "args="]);
  return stdout.split("\n");
}

async function clone(github: TestGitHub, token?: string): Promise<string> {
  const copy = join(github.folder, "copy");
  await git(github.folder, "clone", "--quiet", remoteOf(github, token), copy);
  return copy;
}

async function commit(copy: string, message: string, branch?: string): Promise<string> {
  if (branch !== undefined) await git(copy, "switch", "--quiet", "--create", branch);
  await writeFile(join(copy, "more.txt"), `${message}\n`);
  await git(copy, "add", ".");
  await git(copy, "commit", "--quiet", "--message", message);
  return git(copy, "rev-parse", "HEAD");
}

async function advertise(github: TestGitHub, token: string | undefined): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Basic ${btoa(`x-access-token:${token}`)}` };
  const answer = await fetch(`${remoteOf(github)}/info/refs?service=git-upload-pack`, { headers });
  await answer.body?.cancel();
  return answer.status;
}
