import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFolder, refusal, runCommand, startCommand, startSite } from "./support/command.ts";
import type { Folder, Site } from "./support/command.ts";
import { brokenProject } from "./support/laptop.ts";

let site: Site;
let folder: Folder;
beforeAll(async () => {
  site = await startSite();
  folder = createFolder();
  await site.github.addRepository({ owner: "ann", name: "known", files: brokenProject });
  site.github.setRole("ann/known", "bob", "read");
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

const wrong = "# The answer is wrong\n\nIt should be 42.\n";
const author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];

function git(dir: string, ...args: string[]): string {
  return execFileSync("git", ["-C", dir, ...author, ...args], { encoding: "utf8" }).trim();
}

/** A repository of its own with one commit of the files, and an issue beside it. */
function createProject(name: string, files: Record<string, string>, issue = wrong): { dir: string; issue: string } {
  const dir = join(folder.path, name);
  mkdirSync(dir);
  git(dir, "init", "--quiet", "--initial-branch=main");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  if (Object.keys(files).length > 0) {
    git(dir, "add", ".");
    git(dir, "commit", "--quiet", "-m", "Add the project");
  }
  writeFileSync(`${dir}.md`, issue);
  return { dir, issue: `${dir}.md` };
}

async function fileIssue(name: string): Promise<string> {
  await site.github.addRepository({ owner: "ann", name, files: brokenProject });
  const issue = { owner: "ann", repo: name, title: "The answer is wrong", body: "It should be 42." };
  return (await site.as("ann").rest.issues.create(issue)).data.html_url;
}

const resolve = (...args: string[]) => runCommand(["resolve", ...args], { env: site.env });
const resolveAsBob = (...args: string[]) =>
  runCommand(["resolve", ...args], { env: { ...site.env, GITHUB_TOKEN: site.github.addUser("bob") } });

describe("resolve with a local repository", () => {
  it("writes a patch that git applies and that passes the project's check", async () => {
    const { dir, issue } = createProject("patched", brokenProject);
    const out = join(folder.path, "change.patch");

    const ended = await resolve("--repo", dir, "--issue", issue, "--out", out);

    expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining(`The change is in ${out}.`) });
    expect(ended.stdout).toMatch(/s {2}gate +passed/);
    git(dir, "apply", out);
    expect(readFileSync(join(dir, "answer.txt"), "utf8")).toBe("42\n");
    execFileSync("sh", ["check.sh"], { cwd: dir });
  });

  it("creates the branch with the run's trailer, and leaves HEAD, index and work tree alone", async () => {
    const { dir, issue } = createProject("branched", brokenProject);
    writeFileSync(join(dir, "README.md"), "# not committed\n");
    writeFileSync(join(dir, "answer.txt"), "40\n");
    git(dir, "add", "answer.txt");
    const before = [git(dir, "rev-parse", "HEAD"), git(dir, "symbolic-ref", "HEAD"), git(dir, "status", "--porcelain")];

    const ended = await resolve("--repo", dir, "--issue", issue, "--branch", "mend", "--json");

    expect(ended.code).toBe(0);
    const events = ended.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.at(-1)).toMatchObject({ event: "finished", outcome: "published" });
    expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining(["claimed", "tool.intent", "gate"]));
    expect([
      git(dir, "rev-parse", "HEAD"),
      git(dir, "symbolic-ref", "HEAD"),
      git(dir, "status", "--porcelain"),
    ]).toEqual(before);
    expect(git(dir, "diff", "--name-only", "HEAD", "mend")).toBe("answer.txt");
    expect(git(dir, "show", "mend:answer.txt")).toBe("42");
    expect(git(dir, "rev-parse", "mend^")).toBe(before[0]);
    expect(git(dir, "log", "-1", "--format=%(trailers:key=Agent-Fix-Run,valueonly)", "mend")).toMatch(/^[0-9a-f]{20}$/);
  });

  it("refuses a branch that exists before it begins, and leaves it where it is", async () => {
    const { dir, issue } = createProject("taken", brokenProject);
    git(dir, "branch", "mend");
    const before = git(dir, "rev-parse", "mend");

    const ended = await resolve("--repo", dir, "--issue", issue, "--branch", "mend");

    expect(ended).toMatchObject(refusal("mend", "--branch"));
    expect(git(dir, "rev-parse", "mend")).toBe(before);
  });

  it("works on the branch of a linked work tree, and prints the patch where nothing else is asked for", async () => {
    const { dir, issue } = createProject("linked", brokenProject);
    const tree = join(folder.path, "tree");
    git(dir, "worktree", "add", "--quiet", "-b", "side", tree);
    writeFileSync(join(tree, "answer.txt"), "40\n");
    git(tree, "commit", "--quiet", "-a", "-m", "Guess");

    const ended = await resolve("--repo", tree, "--issue", issue);

    expect(ended).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^-40\n\+42$/m) });
  });

  it("exits with 1 and the reason where the gate stays red after the one return", async () => {
    const { dir, issue } = createProject("unfixed", brokenProject, "# The answer stays wrong\n");
    const out = join(folder.path, "unfixed.patch");

    const ended = await resolve("--repo", dir, "--issue", issue, "--out", out);

    expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining("the answer is wrong") });
    expect(ended.stdout).toMatch(/finished +gave-up/);
    expect(ended.stdout.match(/s {2}gate +rejected/g)).toHaveLength(2);
    expect(existsSync(out)).toBe(false);
  });

  it("exits with 1 and the lines to add where the repository has no check", async () => {
    const { dir, issue } = createProject("unchecked", { "README.md": "# nothing to run\n" });

    const ended = await resolve("--repo", dir, "--issue", issue);

    expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining("checks:") });
    expect(ended.stdout).toMatch(/finished +needs-input/);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("stops at %s and leaves no container", async (signal) => {
    const { dir, issue } = createProject(`stopped-${signal}`, brokenProject);
    await using command = startCommand(["resolve", "--repo", dir, "--issue", issue], { env: site.env });
    await command.line(/environment/);

    command.signal(signal);

    expect(await command.ended).toMatchObject({ code: 1, stdout: expect.stringMatching(/cancelled: interrupted/) });
  });
});

describe("resolve with an issue's address", () => {
  it("reads the issue with the token and writes the patch, and nothing to GitHub", async () => {
    const url = await fileIssue("read");
    const out = join(folder.path, "read.patch");
    site.github.setRole("ann/read", "bob", "read");

    const ended = await resolveAsBob(url, "--out", out);

    expect(ended.code).toBe(0);
    expect(readFileSync(out, "utf8")).toMatch(/^-41\n\+42$/m);
    const { data } = await site.as("ann").rest.pulls.list({ owner: "ann", repo: "read", state: "all" });
    expect(data).toEqual([]);
  });

  it("opens the pull request with --publish, and notes that a person's token can write no check run", async () => {
    const url = await fileIssue("published");
    site.github.setRole("ann/published", "bob", "write");

    const ended = await resolveAsBob(url, "--publish");

    const where = { owner: "ann", repo: "published" };
    const { data } = await site.as("ann").rest.pulls.list({ ...where, state: "all" });
    expect(data).toMatchObject([
      { title: "Give the right answer", state: "open", head: { ref: "agent-fix/issue-1" }, user: { login: "bob" } },
    ]);
    expect(data[0]?.body).toContain("#1");
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining(data[0]?.html_url ?? "no pull request") });
    const { data: head } = await site.as("ann").rest.git.getCommit({ ...where, commit_sha: data[0]?.head.sha ?? "" });
    expect(head.message).toMatch(/^Agent-Fix-Run: [0-9a-f]{20}$/m);
    expect(ended.stdout).toMatch(/ note +The check run `agent-fix`, which takes an app's permission `checks: write`/);
  });

  it("opens no second pull request with --publish, and names the open one before it begins", async () => {
    const url = await fileIssue("open");
    site.github.setRole("ann/open", "bob", "write");
    await resolveAsBob(url, "--publish");

    const ended = await resolveAsBob(url, "--publish");

    const { data } = await site.as("ann").rest.pulls.list({ owner: "ann", repo: "open", state: "all" });
    expect(data).toHaveLength(1);
    expect(ended).toMatchObject(refusal(data[0]?.html_url ?? "no pull request", "--out"));
  });

  it("exits with 1 and the address where the host does not answer", async () => {
    const env = { ...site.env, GHE_HOST: "127.0.0.1:2", GITHUB_TOKEN: site.github.addUser("bob") };
    const ended = await runCommand(["resolve", "http://127.0.0.1:2/ann/away/issues/1"], { env });

    expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("127.0.0.1:2") });
  });
});

describe.concurrent("resolve with wrong usage", () => {
  it.each<[what: string, args: () => string[], says: string[]]>([
    ["nothing", () => [], ["--repo DIR", "--issue FILE.md"]],
    ["no issue", () => ["--repo", folder.path], ["--issue FILE.md"]],
    ["a missing file", () => ["--repo", ".", "--issue", "none.md"], ["none.md", "cannot be read"]],
    ["--publish without an address", () => ["--repo", ".", "--issue", "none.md", "--publish"], ["--publish", "--out"]],
    ["an empty file", () => emptyIssue(), ["is empty", "title"]],
    ["a folder that is no repository", () => ["--repo", folder.path, "--issue", wrongIssue()], ["not a repository"]],
    ["a folder that is missing", () => ["--repo", "/nonexistent", "--issue", wrongIssue()], ["/nonexistent"]],
    ["an empty repository", () => emptyRepository(), ["no commit on `main`"]],
    ["what is no address", () => ["ann/repository#3"], ["ann/repository#3", "https://github.com/"]],
    ["a pull request's address", () => ["https://github.com/ann/repository/pull/3"], ["not an issue's address"]],
    ["an address beside --repo", () => [`${site.github.url}/ann/known/issues/1`, "--repo", "."], ["either"]],
    ["no token", () => [`${site.github.url}/ann/repository/issues/3`], ["GITHUB_TOKEN is not set"]],
    ["an --out that can't be written", () => unwritable(), ["/nonexistent/change.patch", "--out"]],
    ["a branch name that git refuses", () => badBranch(), ["--branch", "a..b"]],
  ])("refuses %s", async (_what, args, says) => {
    const ended = await resolve(...args());

    expect(ended).toMatchObject(refusal(...says));
  });

  it.each([
    ["--branch with an address", "1", ["--branch", "mend"], ["--branch needs --repo"]],
    ["an issue that is missing", "77", [], ["77"]],
  ])("refuses %s", async (_what, number, more, says) => {
    const url = `${site.github.url}/ann/known/issues/${number}`;
    const ended = await resolveAsBob(url, ...more);

    expect(ended).toMatchObject(refusal(...says));
  });

  it.each<[what: string, url: () => string, set: Record<string, string>]>([
    ["a host that GHE_HOST does not name", () => site.github.url, { GHE_HOST: "ghe.example.com" }],
    ["github.com where GHE_HOST names another", () => "https://github.com", {}],
    ["a host other than github.com without GHE_HOST", () => site.github.url, { GHE_HOST: "" }],
    ["another protocol", () => site.github.url, { GHE_PROTOCOL: "https" }],
    ["github.com over http", () => "http://github.com", { GHE_HOST: "" }],
  ])("refuses %s", async (_what, url, set) => {
    const env = { ...site.env, ...set, GITHUB_TOKEN: "ghp_none" };

    const ended = await runCommand(["resolve", `${url()}/ann/known/issues/1`], { env });

    expect(ended).toMatchObject(refusal(url(), "GHE_HOST"));
  });

  it("asks nothing of a host that is not the configured one", async () => {
    const asked: (string | undefined)[] = [];
    await using other = await listen((request) => asked.push(request.headers.authorization));

    await resolveAsBob(`${other.url}/ann/known/issues/1`);

    expect(asked).toEqual([]);
  });

  it("sends GITHUB_TOKEN to no clone address on another host", async () => {
    const { data: issue } = await site.as("ann").rest.issues.create({ owner: "ann", repo: "known", title: "Wrong" });
    const host = `localhost:${new URL(site.github.url).port}`;
    const env = { ...site.env, GHE_HOST: host, GITHUB_TOKEN: site.github.addUser("bob") };

    const ended = await runCommand(["resolve", `http://${host}/ann/known/issues/${issue.number}`], { env });

    expect(ended).toMatchObject(refusal(`${site.github.url}/ann/known.git`, "GHE_HOST"));
  });

  it("names GITHUB_TOKEN where GitHub refuses it", async () => {
    const url = `${site.github.url}/ann/secret/issues/1`;

    const ended = await runCommand(["resolve", url], { env: { ...site.env, GITHUB_TOKEN: "ghp_wrong" } });

    expect(ended).toMatchObject(refusal("GITHUB_TOKEN"));
    expect(ended.stderr).not.toContain("ghp_wrong");
  });
});

async function listen(onRequest: (request: IncomingMessage) => void): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((request, response) => {
    onRequest(request);
    response.writeHead(404).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => void (await once(server.close(), "close")),
  };
}

function wrongIssue(): string {
  const path = join(folder.path, "wrong.md");
  writeFileSync(path, wrong);
  return path;
}

function emptyIssue(): string[] {
  const path = join(folder.path, "without-title.md");
  writeFileSync(path, "\n\n");
  return ["--repo", folder.path, "--issue", path];
}

function emptyRepository(): string[] {
  const { dir, issue } = createProject("empty", {});
  return ["--repo", dir, "--issue", issue];
}

function unwritable(): string[] {
  const { dir, issue } = createProject("unwritable", brokenProject);
  return ["--repo", dir, "--issue", issue, "--out", "/nonexistent/change.patch"];
}

function badBranch(): string[] {
  const { dir, issue } = createProject("bad-branch", brokenProject);
  return ["--repo", dir, "--issue", issue, "--branch", "a..b"];
}
