import { describe, expect, it } from "vitest";
import type { Files } from "../../../../src/demo/github/seed.ts";
import { addShop, refusal, shop, startTestGitHub } from "../support.ts";
import type { TestGitHub } from "../support.ts";

const pull_number = 1;
const one = { ...shop, pull_number };

describe("a pull request", () => {
  it("shows base, head, counts and, by media type, its diff", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { files: { "a.txt": "one\ntwo\n", "b.txt": "b\n" } });
    const head = await push(github, { "a.txt": "one\n2\nthree\n", "b.txt": undefined });
    await push(github, { "later.txt": "on main\n" }, "main");
    const { rest } = github.as("ann");

    const { data } = await rest.pulls.create({ ...shop, title: "Count", head: "topic", base: "main", body: "Text" });

    expect(data).toMatchObject({
      number: 1,
      title: "Count",
      body: "Text",
      state: "open",
      user: { login: "ann" },
      head: { ref: "topic", sha: head, label: "ann:topic" },
      base: { ref: "main" },
      commits: 1,
      additions: 2,
      deletions: 2,
      changed_files: 2,
    });
    const { data: diff } = await rest.pulls.get({ ...one, mediaType: { format: "diff" } });
    expect(diff).toContain("diff --git a/a.txt b/a.txt");
    expect(diff).toContain("-two\n+2\n+three\n");
    expect(diff).not.toContain("later.txt");
  });

  it("is a draft where that is asked for", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await push(github, { "b.txt": "b\n" });
    const { rest } = github.as("ann");

    const { data } = await rest.pulls.create({ ...shop, title: "Count", head: "topic", base: "main", draft: true });

    expect(data.draft).toBe(true);
    expect((await rest.pulls.list(shop)).data).toMatchObject([{ number: 1, draft: true }]);
  });

  it("is not opened twice, nor for nothing, nor from nowhere", async () => {
    await using github = await startTestGitHub({
      wrongs: ["pulls/create: the request's body must have required property 'base'"],
    });
    await addShop(github);
    await push(github, { "b.txt": "b\n" });
    await push(github, {}, "same");
    const { request, rest } = github.as("ann");
    const create = (head: string, base = "main") => rest.pulls.create({ ...shop, title: "t", head, base });
    const told = async (call: Promise<unknown>) => (await refusal(call)).errors;
    await create("topic");

    expect(await told(create("ann:topic"))).toMatchObject([
      { code: "custom", message: "A pull request already exists for ann:topic." },
    ]);
    expect(await told(create("main"))).toMatchObject([{ message: "No commits between main and main" }]);
    expect(await told(create("none"))).toMatchObject([{ field: "head", code: "invalid" }]);
    expect(await told(create("topic", "none"))).toMatchObject([{ field: "base", code: "invalid" }]);
    const half = { title: "t", head: "topic" };
    expect(await told(request("POST /repos/ann/shop/pulls?", half))).toMatchObject([
      { field: "base", code: "missing_field" },
    ]);
    await rest.pulls.update({ ...one, state: "closed" });
    expect((await create("topic")).data.number).toBe(2);
  });

  it("is found by state, head and base, and as an issue", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await push(github, { "b.txt": "b\n" });
    await push(github, { "c.txt": "c\n" }, "other");
    const { rest } = github.as("ann");
    for (const head of ["topic", "other"]) await rest.pulls.create({ ...shop, title: head, head, base: "main" });
    await rest.pulls.update({ ...one, state: "closed", title: "Renamed" });
    const found = async (query: { state?: "all"; head?: string; base?: string }) =>
      (await rest.pulls.list({ ...shop, ...query })).data.map(({ title }) => title);

    expect(await found({})).toEqual(["other"]);
    expect(await found({ state: "all" })).toEqual(["other", "Renamed"]);
    expect(await found({ state: "all", head: "ann:topic" })).toEqual(["Renamed"]);
    expect(await found({ state: "all", base: "none" })).toEqual([]);
    const issues = (await rest.issues.listForRepo({ ...shop, state: "all" })).data;
    expect(issues.map((issue) => [issue.number, issue.pull_request !== undefined])).toEqual([
      [2, true],
      [1, true],
    ]);
    await rest.issues.create({ ...shop, title: "No pull request" });
    expect(await refusal(rest.pulls.get({ ...shop, pull_number: 3 }))).toMatchObject({ status: 404 });
  });

  it("shows its commits, oldest first, with who wrote them", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { fork: true });
    const first = await push(github, { "b.txt": "b\n" });
    await push(github, { "later.txt": "on main\n" }, "main");
    const second = await push(github, { "b.txt": "c\n" });
    const { rest } = github.as("ann");
    await rest.pulls.create({ ...shop, title: "t", head: "topic", base: "main" });

    const { data } = await rest.pulls.listCommits({ ...one, per_page: 1 });
    const all = await github.as("ann").paginate(rest.pulls.listCommits, { ...one, per_page: 1 });

    expect(data).toMatchObject([{ sha: first, commit: { message: "Change" }, author: { login: "ann", type: "User" } }]);
    expect(all.map(({ sha }) => sha)).toEqual([first, second]);
    expect((await rest.repos.get(shop)).data.fork).toBe(true);
  });

  it("that is closed no longer follows its branch", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const before = await push(github, { "b.txt": "b\n" });
    const { rest } = github.as("ann");
    await rest.pulls.create({ ...shop, title: "t", head: "topic", base: "main" });
    await rest.pulls.update({ ...one, state: "closed" });

    await push(github, { "b.txt": "c\n" });

    expect((await rest.pulls.get(one)).data.head.sha).toBe(before);
  });
});

function push(github: TestGitHub, files: Files, branch = "topic"): Promise<string> {
  return github.push("ann/shop", files, { branch, message: "Change", author: "ann" });
}
