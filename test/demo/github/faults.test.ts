import { expect, it } from "vitest";
import { addShop, refusal, shop, startTestGitHub } from "./support.ts";

const comments = { method: "POST", path: /\/comments$/ };

it("carries out a call whose answer gets lost, once, and never one of a person", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  const ann = github.as("ann");
  const app = github.with(await github.mint());
  await ann.rest.issues.create({ ...shop, title: "It breaks" });
  github.faults.loseAnswer(comments);
  const comment = { ...shop, issue_number: 1, body: "hello" };

  await ann.rest.issues.createComment(comment);
  const { status } = await refusal(app.rest.issues.createComment(comment));
  await app.rest.issues.createComment(comment);

  expect(status).toBe(502);
  expect((await ann.rest.issues.listComments({ ...shop, issue_number: 1 })).data).toHaveLength(3);
});

it.each([
  ["secondary", 403, /secondary rate limit/, { "retry-after": "3" }],
  ["secondary", 429, /secondary rate limit/, { "retry-after": "3" }],
  ["primary", 403, /API rate limit exceeded/, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": /^\d{10}$/ }],
] as const)("refuses every call of the app under a %s limit with %i", async (kind, status, message, headers) => {
  await using github = await startTestGitHub();
  await addShop(github);
  const app = github.with(await github.mint());
  const limited = github.faults.limit({ method: "GET", path: /\/issues$/ }, { kind, status, seconds: 3 });
  await app.rest.repos.get(shop);

  await refusal(app.rest.issues.listForRepo(shop));
  const error = await app.rest.repos.get(shop).catch((thrown: unknown) => thrown);

  expect(error).toMatchObject({ status, message: expect.stringMatching(message) });
  for (const [name, value] of Object.entries(headers))
    expect(Object(error).response.headers[name]).toMatch(new RegExp(value));
  expect(limited.refused).toBe(2);
  await expect(github.as("ann").rest.repos.get(shop)).resolves.toMatchObject({ status: 200 });
});

it("knows no token any longer after all expired, and gives new ones", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  const app = github.with(await github.mint());
  github.faults.before({ method: "GET", path: /\/issues$/ }, () => github.faults.expireTokens());

  expect(await refusal(app.rest.issues.listForRepo(shop))).toMatchObject({ status: 401, message: "Bad credentials" });
  await expect(github.with(await github.mint()).rest.issues.listForRepo(shop)).resolves.toMatchObject({ status: 200 });
});
