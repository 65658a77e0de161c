import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { addShop, git, gitComplaint, refusal, remoteOf, shop, startReceiver, startTestGitHub } from "./support.ts";

it("redirects calls and git from the old name of a renamed repository", async () => {
  await using github = await startTestGitHub();
  const { id } = await addShop(github);
  const app = github.with(await github.mint());
  github.owners.rename("ann/shop", "store");

  const { data } = await app.rest.repos.get(shop);
  await app.rest.issues.create({ ...shop, title: "By the old name" });
  const { data: found } = await app.rest.issues.listForRepo({ ...shop, labels: "nothing" });
  const raw = (method: string, body?: string) =>
    fetch(`${github.apiUrl}/repos/ann/shop/issues`, {
      method,
      redirect: "manual",
      ...(body === undefined ? {} : { body }),
    });

  expect(data).toMatchObject({ id, full_name: "ann/store" });
  expect(found).toEqual([]);
  expect(github.state.repositories.get("ann/store")?.issues.get(1)?.title).toBe("By the old name");
  const [read, written] = [await raw("GET"), await raw("POST", '{"title":"x"}')];
  expect([read.status, written.status]).toEqual([301, 307]);
  expect(read.headers.get("location")).toBe(`${github.apiUrl}/repositories/${id}/issues`);
  expect(await read.json()).toMatchObject({ message: "Moved Permanently", url: read.headers.get("location") });
  const folder = await mkdtemp(join(tmpdir(), "agent-fix-renamed-"));
  await git(folder, "clone", "--quiet", remoteOf(github), "copy");
  expect(await git(join(folder, "copy"), "rev-parse", "--abbrev-ref", "HEAD")).toBe("main");
  await rm(folder, { recursive: true, force: true });
});

it("writes nothing to an archived repository, and shows it", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  const app = github.with(await github.mint());
  github.owners.archive("ann/shop");

  expect(await refusal(app.rest.issues.create({ ...shop, title: "Late" }))).toMatchObject({
    status: 403,
    message: "Repository was archived so is read-only.",
  });
  expect((await app.rest.repos.get(shop)).data.archived).toBe(true);
  expect(
    await gitComplaint(github.folder, "push", remoteOf(github, await github.mint()), "HEAD:refs/heads/x"),
  ).not.toBe("");
  github.owners.unarchive("ann/shop");
  await expect(app.rest.issues.create({ ...shop, title: "In time" })).resolves.toMatchObject({ status: 201 });
});

it("redirects from an issue that went to another repository, and has its number no more", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  await addShop(github, { name: "store" });
  const ann = github.as("ann");
  await ann.rest.issues.create({ ...shop, title: "Misplaced" });
  await ann.rest.issues.create({ owner: "ann", repo: "store", title: "At home" });
  const number = github.owners.transferIssue("ann/shop", 1, "ann/store");

  const { data } = await ann.rest.issues.get({ ...shop, issue_number: 1 });
  const { data: next } = await ann.rest.issues.create({ ...shop, title: "The next" });

  expect(number).toBe(2);
  expect(data).toMatchObject({ number: 2, title: "Misplaced", repository_url: `${github.apiUrl}/repos/ann/store` });
  expect(next.number).toBe(2);
  expect((await refusal(ann.rest.issues.createComment({ ...shop, issue_number: 1, body: "x" }))).status).toBe(404);
});

it("lets people with write speak on a locked issue, and no app", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  const ann = github.as("ann");
  await ann.rest.issues.create({ ...shop, title: "Heated" });
  github.owners.lock("ann/shop", 1);
  const comment = { ...shop, issue_number: 1, body: "x" };

  await ann.rest.issues.createComment(comment);

  for (const refused of [github.as("tom"), github.with(await github.mint())])
    expect(await refusal(refused.rest.issues.createComment(comment))).toMatchObject({
      status: 403,
      message: "Unable to create comment because issue is locked.",
    });
  expect((await ann.rest.issues.get({ ...shop, issue_number: 1 })).data.locked).toBe(true);
});

it("gives a suspended installation neither tokens nor webhooks, and lets none in that it has", async () => {
  await using github = await startTestGitHub();
  await using receiver = await startReceiver();
  github.setWebhookUrl(receiver.url);
  await addShop(github);
  const app = github.with(await github.mint());
  github.owners.suspend("ann/shop");
  const suspended = { status: 403, message: "This installation has been suspended" };

  expect(await refusal(github.mint())).toMatchObject(suspended);
  expect(await refusal(app.rest.repos.get(shop))).toMatchObject(suspended);
  await github.as("ann").rest.issues.create({ ...shop, title: "Unheard" });
  expect(github.state.deliveries).toEqual([]);
  expect((await github.asApp().rest.apps.listInstallations()).data[0]?.suspended_at).toMatch(/Z$/);
  github.owners.unsuspend("ann/shop");
  await expect(github.mint()).resolves.toMatch(/^ghs_/);
});

it("names the permission that a call lacks, and refuses a token for more than is granted", async () => {
  await using github = await startTestGitHub();
  await addShop(github, { private: true });
  const app = github.with(await github.mint());
  github.owners.grant("ann/shop", { metadata: "read", issues: "read" });

  const error = await app.rest.issues.create({ ...shop, title: "x" }).catch((thrown: unknown) => thrown);

  expect(Object(error)).toMatchObject({
    status: 403,
    message: expect.stringContaining("not accessible by integration"),
  });
  expect(Object(error).response.headers["x-accepted-github-permissions"]).toBe("issues=write; pull_requests=write");
  expect(await refusal(github.mint({ permissions: { contents: "write" } }))).toMatchObject({ status: 422 });
});

it("takes open pull requests along when the default branch gets another name", async () => {
  await using github = await startTestGitHub();
  await addShop(github);
  await github.push("ann/shop", { "b.txt": "two\n" }, { branch: "work", message: "Work", author: "ann" });
  const ann = github.as("ann");
  await ann.rest.pulls.create({ ...shop, title: "Work", head: "work", base: "main" });

  await github.owners.renameDefaultBranch("ann/shop", "trunk");

  expect((await ann.rest.pulls.get({ ...shop, pull_number: 1 })).data.base.ref).toBe("trunk");
  expect((await ann.rest.repos.get(shop)).data.default_branch).toBe("trunk");
  expect((await refusal(ann.rest.git.getRef({ ...shop, ref: "heads/main" }))).status).toBe(404);
});

it("shows the organization that owns a repository as one", async () => {
  await using github = await startTestGitHub();
  github.owners.makeOrganization("acme");
  await addShop(github, { owner: "acme", installed: false });
  github.setRole("acme/shop", "ann", "write");
  github.install({ repositories: ["acme/shop"] });

  const { data } = await github.as("ann").rest.repos.get({ owner: "acme", repo: "shop" });

  expect(data.owner.type).toBe("Organization");
  expect(
    (
      await github
        .asApp()
        .rest.apps.getInstallation({ installation_id: [...github.state.installations.keys()][0] ?? 0 })
    ).data,
  ).toMatchObject({ target_type: "Organization", account: { login: "acme" } });
});
