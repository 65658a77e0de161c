import { describe, expect, it } from "vitest";
import { addShop, refusal, shop, startTestGitHub } from "./support.ts";

describe("the API", () => {
  it("answers a call that is not built with 501 and its name, and the test fails of it", async () => {
    await using github = await startTestGitHub({
      wrongs: ["GET /repos/ann/shop/branches: the embedded GitHub answered 501: this call is not built"],
    });
    await addShop(github);

    const refused = await refusal(github.as("ann").rest.repos.listBranches(shop));

    expect(refused).toMatchObject({
      status: 501,
      message: "GET /repos/ann/shop/branches is not built into the embedded GitHub",
    });
  });

  it("refuses a body that is no JSON with 400", async () => {
    await using github = await startTestGitHub({
      wrongs: ["issues/create: the request has no body, and GitHub requires one"],
    });
    await addShop(github);

    const answer = await fetch(`${github.apiUrl}/repos/ann/shop/issues`, {
      method: "POST",
      headers: { authorization: `token ${github.addUser("ann")}` },
      body: "{",
    });

    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ message: "Problems parsing JSON", status: "400" });
  });

  it("gives a long list in pages, each with the address of the next", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const { paginate, rest } = github.as("ann");
    const one = { ...shop, issue_number: 1 };
    await rest.issues.create({ ...shop, title: "Much to say" });
    for (let number = 1; number <= 120; number++) await rest.issues.createComment({ ...one, body: `${number}` });

    const first = await rest.issues.listComments(one);
    const second = await rest.issues.listComments({ ...one, per_page: 100, page: 2 });
    const all = await paginate(rest.issues.listComments, { ...one, per_page: 50 });

    expect(first.data).toHaveLength(30);
    const at = `${github.apiUrl}/repos/ann/shop/issues/1/comments`;
    expect(first.headers.link).toBe(`<${at}?page=2>; rel="next", <${at}?page=4>; rel="last"`);
    expect(second.data).toHaveLength(20);
    expect(second.headers.link).toBeUndefined();
    expect(all.map(({ body }) => body)).toEqual(Array.from({ length: 120 }, (_, index) => `${index + 1}`));
  });
});
