import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Exchange } from "../../../src/demo/github/exchange.ts";
import { LimitedError, RefusedError } from "../../../src/errors.ts";
import { createGitHub } from "../../../src/github/client.ts";
import type { RepoRef } from "../../../src/job.ts";
import { addShop, shop, startTestGitHub, webhookSecret } from "../../demo/github/support.ts";
import type { TestGitHub } from "../../demo/github/support.ts";
import { createContract, expectNoViolations } from "../../support/contract.ts";

const contract = createContract();
const calls: Exchange[] = [];
let github: TestGitHub;
let repo: RepoRef;
beforeEach(async () => {
  calls.length = 0;
  const onExchange = (exchange: Exchange) => {
    contract.onExchange(exchange);
    if (exchange.status !== 301 && exchange.status !== 307) calls.push(exchange);
  };
  github = await startTestGitHub({ onExchange });
  const { id } = await addShop(github);
  const [installationId = 0] = github.state.installations.keys();
  repo = { id, owner: "ann", name: "shop", installationId };
  await github.as("ann").rest.issues.create({ ...shop, title: "It breaks" });
});
afterEach(async () => {
  await github[Symbol.asyncDispose]();
  expectNoViolations(contract);
});

const host = (throttle = false) =>
  createGitHub({ apiUrl: github.apiUrl, throttle }, { id: 77, privateKey: github.app.privateKey, webhookSecret });
const comment = (by = host()) => by.forge(repo, "report").ensureComment(1, "<!-- mark -->", "<!-- mark -->\nhello");
const thrown = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
const namesOf = () => calls.map(({ method, path }) => `${method} ${path}`);

describe("what GitHub is sure of", () => {
  it.each([
    ["a suspended installation", () => github.owners.suspend("ann/shop"), "suspended", /on ann is suspended/],
    ["an archived repository", () => github.owners.archive("ann/shop"), "archived", /is archived/],
    ["a locked conversation", () => github.owners.lock("ann/shop", 1), "locked", /conversation is locked/],
    [
      "a permission that was never accepted",
      () => github.owners.grant("ann/shop", { metadata: "read", contents: "read", issues: "read" }),
      "permission",
      /on ann lacks the permission `issues: write, pull_requests: write/,
    ],
    ["an app that was removed", () => github.state.installations.clear(), "gone", /not installed on ann any more/],
    [
      "a repository that the app was taken off",
      () => [...github.state.installations.values()].forEach(({ repositories }) => repositories.clear()),
      "gone",
      /does not cover the repository/,
    ],
    ["an issue that is gone", () => github.state.repositories.get("ann/shop")?.issues.clear(), "gone", /not have it/],
  ] as const)("is told of %s with its remedy, after few calls", async (_what, happen, why, text) => {
    happen();

    const error = await thrown(comment());

    expect(error).toBeInstanceOf(RefusedError);
    expect(error).toMatchObject({ why, message: expect.stringMatching(text) });
    expect(calls.length).toBeLessThanOrEqual(5);
  });

  it("speaks for an app that was made before it needed to read checks, and is refused those alone", async () => {
    const former = { metadata: "read", contents: "write", issues: "write", pull_requests: "write" } as const;
    github.owners.grant("ann/shop", former);
    const forge = host().forge(repo, "report");

    const { id } = await forge.ensureComment(1, "<!-- mark -->", "<!-- mark -->\nhello");
    calls.length = 0;
    await forge.ensureComment(1, "<!-- mark -->", "<!-- mark -->\nagain");
    const asked = namesOf();

    expect(id).toBeGreaterThan(0);
    expect(asked.filter((name) => name.includes("access_tokens"))).toEqual([]);
    expect(await thrown(forge.checksOn("main"))).toMatchObject({ why: "permission" });
  });

  it("names the permission that GitHub asks for where a token lacks it", async () => {
    const { value } = await host().mint(repo, "read");

    const error = await thrown(host().forgeWith(repo, value).ensureBranch("x", "a".repeat(40), undefined));

    expect(error).toMatchObject({ why: "permission", message: expect.stringContaining("`contents=write`") });
  });

  it("takes nothing that is not there for a refusal of the app", async () => {
    github.state.installations.clear();

    await expect(host().forge(repo, "report").readFile("none.txt")).rejects.toThrow("not installed on ann");
  });

  it("reads no issue of another repository in place of one that went there", async () => {
    await addShop(github, { name: "store" });
    github.owners.transferIssue("ann/shop", 1, "ann/store");

    const error = await thrown(host().forge(repo, "report").issue(1));

    expect(error).toMatchObject({ why: "gone", message: expect.stringContaining("moved to another repository") });
  });
});

describe("a renamed repository", () => {
  it("is worked on by its old name, with every write done once", async () => {
    github.owners.rename("ann/shop", "store");
    const forge = host().forge(repo, "report");
    const { value } = await host().mint(repo, "publish");
    const writer = host().forgeWith(repo, value);

    const { cloneUrl } = await forge.repository();
    await comment();
    await comment();
    const base = (await writer.branchHead("main")) ?? "";
    const files = [{ path: "b.txt", mode: "100644" as const, bytes: Buffer.from("two\n") }];
    const { commit } = await writer.createCommit({ base, message: "Add b", files, deleted: [] });
    await writer.ensureBranch("work", commit, undefined);
    await writer.ensureBranch("work", commit, undefined);
    const pull = { branch: "work", base: "main", title: "Add b", body: "", draft: false };
    const numbers = [(await writer.ensurePull(pull)).number, (await writer.ensurePull(pull)).number];

    expect(cloneUrl).toMatch(/\/ann\/store\.git$/);
    expect(github.state.repositories.get("ann/store")?.issues.get(1)?.comments).toHaveLength(1);
    expect(numbers).toEqual([2, 2]);
  });
});

describe("a token that is good no longer", () => {
  it("is replaced by a new one, once for a call", async () => {
    const forge = host().forge(repo, "report");
    await forge.issue(1);
    github.faults.expireTokens();

    await expect(forge.issue(1)).resolves.toMatchObject({ title: "It breaks" });

    expect(namesOf().filter((name) => name.endsWith("/access_tokens"))).toHaveLength(2);
  });

  it("ends in GitHub's own words where a new one is no better", async () => {
    const forge = host().forge(repo, "report");
    const question = { method: "GET", path: /\/issues\/1$/ };
    for (let i = 0; i < 2; i++) github.faults.before(question, () => github.faults.expireTokens());
    const before = calls.length;

    await expect(forge.issue(1)).rejects.toThrow("Bad credentials");

    expect(
      namesOf()
        .slice(before)
        .filter((name) => name.endsWith("/issues/1")),
    ).toHaveLength(2);
  });
});

describe("a limit", () => {
  const everything = { method: "GET", path: /./ };

  it.each([
    ["secondary", 403],
    ["secondary", 429],
    ["primary", 403],
  ] as const)("(%s, %i) lets no other call through before it ends, and none is lost", async (kind, status) => {
    const [one, other] = [host(), host()];
    await Promise.all([one.forge(repo, "report").issue(1), other.app()]);
    const limit = github.faults.limit(everything, { kind, status, seconds: 1 });

    const error = await thrown(one.forge(repo, "report").issue(1));
    const { value } = await one.mint(repo, "report");
    const answers = [one.forge(repo, "report").issue(1), one.forgeWith(repo, value).issue(1), comment(one)];

    expect(error).toBeInstanceOf(LimitedError);
    await expect(Promise.all(answers)).resolves.toHaveLength(3);
    expect(limit.refused).toBe(1);
  });

  it("that is long ends a call at once, without a request", async () => {
    const app = host();
    const limit = github.faults.limit(everything, { kind: "primary", status: 403, seconds: 1800 });
    await thrown(app.forge(repo, "report").issue(1));
    const asked = calls.length;

    const error = await thrown(app.forge(repo, "report").issue(1));

    expect(error).toBeInstanceOf(LimitedError);
    expect(Math.abs(Number(Object(error).until) - Date.now() - 1_800_000)).toBeLessThan(60_000);
    expect(calls.length).toBe(asked);
    expect(limit.refused).toBe(1);
  });

  it("that GraphQL tells of in an answer 200 is one", async () => {
    github.faults.limit({ method: "POST", path: /^\/graphql$/ }, { kind: "primary", status: 403, seconds: 1800 });

    expect(await thrown(host().forge(repo, "report").remarks(1))).toBeInstanceOf(LimitedError);
  });

  it("that is short is waited out within the call where calls are paced", async () => {
    const paced = host(true);
    const limit = github.faults.limit(everything, { kind: "secondary", status: 403, seconds: 1 });

    await expect(paced.forge(repo, "report").issue(1)).resolves.toMatchObject({ number: 1 });

    expect(limit.refused).toBe(1);
  });
});
