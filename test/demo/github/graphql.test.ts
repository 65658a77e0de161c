import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { Octokit } from "@octokit/rest";
import { describe, expect, it } from "vitest";
import { githubSchema, schemaDifferences } from "../../support/graphql-contract.ts";
import { addShop, connect, shop, startTestGitHub } from "./support.ts";

const own = new URL("../../../src/demo/github/graphql/schema.graphql", import.meta.url);
const remarks = (paging: string) =>
  `query ($owner: String!, $repo: String!) { repository(owner: $owner, name: $repo) {
    issueOrPullRequest(number: 1) { __typename ... on Issue { comments(${paging}) { nodes { body } totalCount pageInfo { endCursor } } } }
  } }`;

describe("GraphQL", () => {
  it("is a part of GitHub's own schema", () => {
    expect(schemaDifferences(buildSchema(readFileSync(own, "utf8")), githubSchema())).toEqual([]);
  });

  it("pages through a list with cursors, which stay good when an item goes", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    const { graphql, rest } = github.as("ann");
    await rest.issues.create({ ...shop, title: "t" });
    for (const body of ["1", "2", "3", "4"]) await rest.issues.createComment({ ...shop, issue_number: 1, body });
    const read = async (paging: string) => {
      const answer = await graphql<Answer>(remarks(paging), shop);
      return answer.repository.issueOrPullRequest.comments;
    };

    const first = await read("first: 2");
    repository.issues.get(1)?.comments.shift();
    const second = await read(`first: 2, after: ${JSON.stringify(first.pageInfo.endCursor)}`);

    expect([first.nodes, second.nodes]).toEqual([
      [{ body: "1" }, { body: "2" }],
      [{ body: "3" }, { body: "4" }],
    ]);
    expect([first.totalCount, second.totalCount]).toEqual([4, 3]);
  });

  it.each([
    ["", "You must provide a `first` or `last` value"],
    ["(first: 101)", "exceeds the `first` limit of 100 records"],
    ['(first: 1, after: "x")', "does not appear to be a valid cursor"],
  ])("refuses a list of comments%s", async (paging, message) => {
    await using github = await startTestGitHub();
    await addShop(github);
    await github.as("ann").rest.issues.create({ ...shop, title: "t" });
    const query = remarks("first: 1").replace("(first: 1)", paging);

    await expect(github.as("ann").graphql(query, shop)).rejects.toThrow(message);
  });

  it("does not know a private repository of others, and needs a caller", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true, installed: false });

    await expect(github.as("eve").graphql(remarks("first: 1"), shop)).rejects.toMatchObject({
      errors: [{ type: "NOT_FOUND", path: ["repository"] }],
    });
    await expect(connect(github.apiUrl).graphql(remarks("first: 1"), shop)).rejects.toMatchObject({ status: 401 });
  });

  it("is refused and lost like REST, where that is wanted", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await github.as("ann").rest.issues.create({ ...shop, title: "t" });
    const { graphql } = github.with(await github.mint());
    const calls = { method: "POST", path: /^\/graphql$/ };
    github.faults.loseAnswer(calls);

    await expect(graphql(remarks("first: 1"), shop)).rejects.toMatchObject({ status: 502 });
    await expect(graphql(remarks("first: 1"), shop)).resolves.toBeDefined();
    github.faults.limit(calls, { kind: "secondary", status: 403, seconds: 60 });
    await expect(graphql(remarks("first: 1"), shop)).rejects.toThrow("secondary rate limit");
  });

  it("finds a repository by the name it had", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await github.as("ann").rest.issues.create({ ...shop, title: "t" });
    github.owners.rename("ann/shop", "store");

    expect(await github.as("ann").graphql(remarks("first: 1"), shop)).toMatchObject({
      repository: { issueOrPullRequest: { __typename: "Issue" } },
    });
  });
});

it.each([
  ["https://api.github.com", "https://api.github.com/graphql"],
  ["https://github.example.com/api/v3", "https://github.example.com/api/graphql"],
  ["https://git.example.com:8443/api/v3", "https://git.example.com:8443/api/graphql"],
])("beside REST at %s, GraphQL is at %s", async (baseUrl, address) => {
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(url);
    return Response.json({ data: {} });
  };

  await new Octokit({ baseUrl, request: { fetch } }).graphql("{ viewer { login } }");

  expect(asked).toEqual([address]);
});

interface Answer {
  repository: {
    issueOrPullRequest: { comments: { nodes: object[]; totalCount: number; pageInfo: { endCursor: string } } };
  };
}
