import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { statusOf } from "../../../src/github/status.ts";
import { addShop, jwtOf, refusal, shop, startTestGitHub } from "./support.ts";
import type { connect, Forged } from "./support.ts";

const { privateKey: strange } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});

describe("an app's own token", () => {
  it("is the app", async () => {
    await using github = await startTestGitHub();

    const { data } = await github.asApp().rest.apps.getAuthenticated();

    expect(data).toMatchObject({ id: 77, slug: "fixer", installations_count: 0, permissions: { contents: "write" } });
  });

  it.each<[string, Forged, number]>([
    ["signed with another key", { key: strange }, 401],
    ["expired", { iat: -100, exp: -1 }, 401],
    ["issued in the future", { iat: 60 }, 401],
    ["good for more than ten minutes", { exp: 660 }, 401],
    ["that names no signature (alg none)", { alg: "none" }, 401],
    ["that names another kind of signature", { alg: "HS256" }, 401],
    ["of an app that does not exist", { iss: 78 }, 404],
  ])("is refused when it is %s", async (_what, forged, status) => {
    await using github = await startTestGitHub();

    expect(await refusal(github.with(jwtOf(github, forged)).rest.apps.getAuthenticated())).toMatchObject({ status });
  });

  it.each(["a.b.c", `${btoa("null")}.${btoa("null")}.x`, "eyJhbGciOiJSUzI1NiJ9.e30."])(
    "is refused when it is nothing of the kind: %s",
    async (text) => {
      await using github = await startTestGitHub();

      expect(await refusal(github.with(text).rest.apps.getAuthenticated())).toMatchObject({ status: 401 });
    },
  );

  it("is changed in no letter without being refused", async () => {
    await using github = await startTestGitHub();
    const [head, , signature] = jwtOf(github).split(".");
    const [, payload] = jwtOf(github, { exp: 301 }).split(".");

    expect(await refusal(github.with(`${head}.${payload}.${signature}`).rest.apps.listInstallations())).toMatchObject({
      status: 401,
    });
  });

  it("opens no repository", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });

    expect(await refusal(github.asApp().rest.repos.get(shop))).toMatchObject({ status: 404 });
  });
});

describe("an installation token", () => {
  it("tells its permissions, repositories and end", async () => {
    await using github = await startTestGitHub();
    const { id } = await addShop(github, { private: true });
    const [installation] = (await github.asApp().rest.apps.listInstallations()).data;

    const { data } = await github.asApp().rest.apps.createInstallationAccessToken({
      installation_id: installation?.id ?? 0,
      repository_ids: [id],
      permissions: { issues: "write" },
    });

    expect(data).toMatchObject({
      token: expect.stringMatching(/^ghs_\w{36}$/),
      permissions: { metadata: "read", issues: "write" },
      repositories: [{ full_name: "ann/shop" }],
    });
    const left = new Date(data.expires_at).getTime() - Date.now();
    expect(left).toBeGreaterThan(3_590_000);
    expect(left).toBeLessThanOrEqual(3_600_000);
  });

  it("ends when its time is over", async () => {
    await using github = await startTestGitHub({ tokenTtlMs: 300 });
    await addShop(github, { private: true });
    const octokit = github.with(await github.mint());

    await octokit.rest.repos.get(shop);

    await expect
      .poll(() => refusal(octokit.rest.repos.get(shop)).catch(() => undefined), { interval: 50 })
      .toMatchObject({ status: 401, message: "Bad credentials" });
  });

  it("ends when it is revoked, and no other ends with it", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });
    const [one, other] = [github.with(await github.mint()), github.with(await github.mint())];

    await one.rest.apps.revokeInstallationAccessToken();

    expect(await refusal(one.rest.repos.get(shop))).toMatchObject({ status: 401, message: "Bad credentials" });
    expect(await refusal(one.rest.apps.revokeInstallationAccessToken())).toMatchObject({ status: 401 });
    expect((await other.rest.repos.get(shop)).data.full_name).toBe("ann/shop");
  });

  it("does what its permissions say, and nothing else", async () => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });
    const octokit = github.with(await github.mint({ permissions: { issues: "read", contents: "write" } }));
    const integration = { status: 403, message: "Resource not accessible by integration" };

    expect((await octokit.rest.issues.listForRepo(shop)).data).toEqual([]);
    expect((await octokit.rest.git.createBlob({ ...shop, content: "x" })).status).toBe(201);
    expect(await refusal(octokit.rest.issues.create({ ...shop, title: "t" }))).toMatchObject(integration);
    expect(await refusal(octokit.rest.pulls.list(shop))).toMatchObject(integration);
  });

  it("knows no private repository but its own, and reads a public one", async () => {
    await using github = await startTestGitHub();
    const { id } = await addShop(github, { private: true });
    await addShop(github, { name: "secret", private: true });
    await github.addRepository({ owner: "eve", name: "hidden", private: true, files: { a: "" } });
    await github.addRepository({ owner: "eve", name: "open", files: { a: "" } });
    const octokit = github.with(await github.mint({ repository_ids: [id] }));
    const open = { owner: "eve", repo: "open" };

    const { data } = await octokit.rest.apps.listReposAccessibleToInstallation();

    expect(data.repositories.map((one) => one.full_name)).toEqual(["ann/shop"]);
    expect(await refusal(octokit.rest.repos.get({ owner: "ann", repo: "secret" }))).toMatchObject({ status: 404 });
    expect(await refusal(octokit.rest.repos.get({ owner: "eve", repo: "hidden" }))).toMatchObject({ status: 404 });
    expect((await octokit.rest.repos.get(open)).data.full_name).toBe("eve/open");
    expect(await refusal(octokit.rest.issues.create({ ...open, title: "t" }))).toMatchObject({ status: 403 });
  });

  it("is not given for more than the installation has", async () => {
    await using github = await startTestGitHub({
      app: { id: 77, slug: "fixer", webhookSecret: "s", permissions: { metadata: "read", issues: "read" } },
    });
    await addShop(github);
    const { id } = await github.addRepository({ owner: "eve", name: "hidden", private: true });

    expect(await refusal(github.mint({ permissions: { issues: "write" } }))).toMatchObject({ status: 422 });
    expect(await refusal(github.mint({ permissions: { contents: "read" } }))).toMatchObject({ status: 422 });
    expect(await refusal(github.mint({ repository_ids: [id] }))).toMatchObject({ status: 422 });
    expect(await github.mint({ permissions: { issues: "read" } })).toMatch(/^ghs_/);
  });

  it("is given to the app alone", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const wanted = { installation_id: [...github.state.installations.keys()][0] ?? 0 };

    for (const auth of [undefined, github.addUser("ann"), await github.mint()])
      expect(await refusal(github.with(auth).rest.apps.createInstallationAccessToken(wanted))).toMatchObject({
        status: 401,
      });
    expect(await refusal(github.asApp().rest.apps.createInstallationAccessToken({ installation_id: 1 }))).toMatchObject(
      { status: 404 },
    );
  });
});

describe("a person", () => {
  const tries = {
    see: (octokit) => octokit.rest.repos.get(shop),
    file: (octokit) => octokit.rest.issues.create({ ...shop, title: "It breaks" }),
    comment: (octokit) => octokit.rest.issues.createComment({ ...shop, issue_number: 1, body: "Me too" }),
    review: (octokit) => octokit.rest.pulls.createReview({ ...shop, pull_number: 2, event: "COMMENT", body: "Hm" }),
    label: (octokit) => octokit.rest.issues.addLabels({ ...shop, issue_number: 1, labels: ["bug"] }),
    close: (octokit) => octokit.rest.issues.update({ ...shop, issue_number: 1, state: "open" }),
    push: (octokit) => octokit.rest.git.createBlob({ ...shop, content: "x" }),
  } satisfies Record<string, (octokit: ReturnType<typeof connect>) => Promise<unknown>>;
  type Try = keyof typeof tries;
  const all = Object.keys(tries) as Try[];

  const speaks: Try[] = ["see", "file", "comment", "review"];
  it.each<["read" | "triage" | "write" | "admin", Try[]]>([
    ["read", speaks],
    ["triage", [...speaks, "label", "close"]],
    ["write", all],
    ["admin", all],
  ])("with the role %s may %j, and nothing else", async (role, may) => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });
    await fileIssueAndPull(github);
    github.setRole("ann/shop", "bob", role);

    const answers: [Try, number | undefined][] = [];
    for (const name of all) answers.push([name, await tries[name](github.as("bob")).then(() => 200, statusOf)]);

    expect(answers).toEqual(all.map((name) => [name, may.includes(name) ? 200 : 403]));
  });

  it.each([["nobody"], ["a stranger"]])("who is %s sees no private repository", async (who) => {
    await using github = await startTestGitHub();
    await addShop(github, { private: true });
    await fileIssueAndPull(github);
    const octokit = who === "nobody" ? github.with() : github.as("stranger");

    for (const name of all) expect(await refusal(tries[name](octokit))).toMatchObject({ status: 404 });
  });

  it("who is nobody reads a public repository, and must be somebody to speak", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    await fileIssueAndPull(github);

    expect((await github.with().rest.issues.get({ ...shop, issue_number: 1 })).data.title).toBe("First");
    expect(await refusal(tries.file(github.with()))).toMatchObject({ status: 401, message: "Requires authentication" });
    expect(await refusal(tries.push(github.as("stranger")))).toMatchObject({ status: 403 });
    expect((await github.as("stranger").rest.issues.create({ ...shop, title: "t" })).status).toBe(201);
  });

  it("is who the token says", async () => {
    await using github = await startTestGitHub();

    expect((await github.as("bob").rest.users.getAuthenticated()).data.login).toBe("bob");
    expect(await refusal(github.with("ghp_wrong").rest.users.getAuthenticated())).toMatchObject({ status: 401 });
  });

  async function fileIssueAndPull(github: Awaited<ReturnType<typeof startTestGitHub>>): Promise<void> {
    await github.as("ann").rest.issues.create({ ...shop, title: "First" });
    await github.push("ann/shop", { "b.txt": "b\n" }, { branch: "topic", message: "b", author: "ann" });
    await github.as("ann").rest.pulls.create({ ...shop, title: "Second", head: "topic", base: "main" });
  }
});
