import { describe, expect, it } from "vitest";
import { addShop, refusal, shop, startTestGitHub } from "../support.ts";

const one = { ...shop, issue_number: 1 };

describe("an issue", () => {
  it("needs a title, and no text longer than 65,536 characters", async () => {
    await using github = await startTestGitHub({
      wrongs: ["issues/create: the request's body must have required property 'title'"],
    });
    await addShop(github);
    const { request, rest } = github.as("ann");

    expect(await refusal(request("POST /repos/ann/shop/issues?", { body: "b" }))).toEqual({
      status: 422,
      message: "Validation Failed",
      errors: [{ resource: "Issue", field: "title", code: "missing_field" }],
    });
    const message = "body is too long (maximum is 65536 characters)";
    expect(await refusal(rest.issues.create({ ...shop, title: "t", body: "x".repeat(65_537) }))).toMatchObject({
      status: 422,
      errors: [{ resource: "Issue", field: "body", code: "custom", message }],
    });
    expect((await rest.issues.create({ ...shop, title: "t", body: "x".repeat(65_536) })).data.number).toBe(1);
    expect(await refusal(rest.issues.createComment({ ...one, body: "x".repeat(65_537) }))).toMatchObject({
      status: 422,
    });
    expect(await refusal(rest.issues.createComment({ ...one, body: "" }))).toMatchObject({ status: 422 });
  });

  it("is found by number, by state and by label", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const { rest } = github.as("ann");
    await rest.issues.create({ ...shop, title: "one", labels: ["Bug"] });
    await rest.issues.create({ ...shop, title: "two" });
    await rest.issues.create({ ...shop, title: "three", labels: ["bug", "ui"] });
    await rest.issues.update({ ...shop, issue_number: 3, state: "closed" });
    const titles = async (query: { state?: "all" | "closed"; labels?: string }) =>
      (await rest.issues.listForRepo({ ...shop, ...query })).data.map(({ title }) => title);

    expect(await titles({})).toEqual(["two", "one"]);
    expect(await titles({ state: "closed" })).toEqual(["three"]);
    expect(await titles({ state: "all", labels: "bug" })).toEqual(["three", "one"]);
    expect(await titles({ state: "all", labels: "bug,ui" })).toEqual(["three"]);
    expect((await rest.issues.get({ ...shop, issue_number: 2 })).data.title).toBe("two");
    expect(await refusal(rest.issues.get({ ...shop, issue_number: 9 }))).toMatchObject({ status: 404 });
  });

  it("is found by who opened it", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    for (const login of ["ann", "eve"]) await github.as(login).rest.issues.create({ ...shop, title: login });

    const { data } = await github.as("ann").rest.issues.listForRepo({ ...shop, creator: "eve" });

    expect(data).toMatchObject([{ number: 2, title: "eve" }]);
  });

  it("is gone where issues are disabled, and none can be opened, while pull requests stay", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await github.push("ann/shop", { "b.txt": "b\n" }, { branch: "topic", message: "b", author: "ann" });
    const { rest } = github.as("ann");
    await rest.issues.create({ ...shop, title: "t" });
    await rest.pulls.create({ ...shop, title: "p", head: "topic", base: "main" });

    github.owners.disableIssues("ann/shop");

    const disabled = { status: 410, message: "Issues has been disabled in this repository." };
    expect(await refusal(rest.issues.create({ ...shop, title: "u" }))).toMatchObject(disabled);
    expect(await refusal(rest.issues.get(one))).toMatchObject(disabled);
    expect(await refusal(rest.issues.createComment({ ...one, body: "c" }))).toMatchObject(disabled);
    expect((await rest.issues.listForRepo(shop)).data).toMatchObject([{ number: 2, title: "p" }]);
    expect((await rest.issues.createComment({ ...shop, issue_number: 2, body: "c" })).status).toBe(201);
    expect((await rest.repos.get(shop)).data.has_issues).toBe(false);
  });

  it("records who labelled, closed and reopened it, only when something changed", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    github.setRole("ann/shop", "bob", "triage");
    const { rest } = github.as("ann");
    await rest.issues.create({ ...shop, title: "t" });

    await rest.issues.addLabels({ ...one, labels: ["needs work/soon"] });
    await github.as("bob").rest.issues.addLabels({ ...one, labels: ["Needs work/soon"] });
    await github.as("bob").rest.issues.removeLabel({ ...one, name: "needs work/soon" });
    await rest.issues.update({ ...one, state: "closed" });
    await rest.issues.update({ ...one, state: "closed" });
    await rest.issues.update({ ...one, state: "open" });

    const { data } = await rest.issues.listEvents(one);
    expect(
      data.map(({ event, actor, ...more }) => [actor?.login, event, "label" in more ? more.label?.name : ""]),
    ).toEqual([
      ["ann", "labeled", "needs work/soon"],
      ["bob", "unlabeled", "needs work/soon"],
      ["ann", "closed", ""],
      ["ann", "reopened", ""],
    ]);
    expect((await rest.issues.get(one)).data).toMatchObject({ state: "open", labels: [], closed_at: null });
    expect(await refusal(rest.issues.removeLabel({ ...one, name: "none" }))).toEqual({
      status: 404,
      message: "Label does not exist",
      errors: undefined,
    });
  });

  it("is taken without its labels from somebody who may not triage", async () => {
    await using github = await startTestGitHub();
    await addShop(github);

    const { data } = await github.as("stranger").rest.issues.create({ ...shop, title: "t", labels: ["agent-fix"] });

    expect(data.labels).toEqual([]);
    expect((await github.as("ann").rest.issues.listEvents(one)).data).toEqual([]);
  });

  it("may be closed and rewritten by its author, and by nobody else with the same role", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await github.as("stranger").rest.issues.create({ ...shop, title: "t" });

    expect(await refusal(github.as("eve").rest.issues.update({ ...one, state: "closed" }))).toMatchObject({
      status: 403,
    });
    const { data } = await github.as("stranger").rest.issues.update({ ...one, state: "closed", body: null });

    expect(data).toMatchObject({ state: "closed", body: null });
  });
});

describe("a comment", () => {
  it("is changed by its author alone", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const bot = github.with(await github.mint({ permissions: { issues: "write" } }));
    await github.as("ann").rest.issues.create({ ...shop, title: "t" });
    const { data } = await bot.rest.issues.createComment({ ...one, body: "working" });

    await bot.rest.issues.updateComment({ ...shop, comment_id: data.id, body: "done" });

    const change = { ...shop, comment_id: data.id, body: "mine" };
    expect(await refusal(github.as("bob").rest.issues.updateComment(change))).toMatchObject({ status: 403 });
    expect(await refusal(bot.rest.issues.updateComment({ ...change, comment_id: 1 }))).toMatchObject({ status: 404 });
    expect((await bot.rest.issues.listComments(one)).data).toMatchObject([
      { id: data.id, body: "done", user: { login: "fixer[bot]", type: "Bot" } },
    ]);
  });
});
