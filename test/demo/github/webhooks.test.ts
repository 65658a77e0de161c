import { createHmac } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  addShop,
  git,
  gitComplaint,
  remoteOf,
  shop,
  startReceiver,
  startTestGitHub,
  webhookSecret,
} from "./support.ts";
import type { Received, Receiver, TestGitHub } from "./support.ts";

describe("a webhook", () => {
  it("is signed with the app's secret, and names app, event, action and installation", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);

    await github.as("ann").rest.issues.create({ ...shop, title: "It breaks", body: "Wörld 🌍" });

    await expect.poll(() => receiver.received.length).toBe(1);
    const [{ headers, body } = { headers: {}, body: "" }] = receiver.received;
    const [[installation] = []] = github.state.installations;
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "x-github-event": "issues",
      "x-github-delivery": expect.stringMatching(/^[\da-f-]{36}$/),
      "x-github-hook-installation-target-id": "77",
      "x-hub-signature-256": `sha256=${createHmac("sha256", webhookSecret).update(body).digest("hex")}`,
    });
    expect(JSON.parse(body)).toMatchObject({
      action: "opened",
      issue: { number: 1, title: "It breaks", body: "Wörld 🌍", user: { login: "ann" } },
      repository: { full_name: "ann/shop", owner: { login: "ann" } },
      sender: { login: "ann", type: "User" },
      installation: { id: installation },
    });
  });

  it("is sent for each thing that happens, once", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    await github.push("ann/shop", { "a.txt": "two\n" }, { branch: "topic", message: "m", author: "ann" });
    const { rest } = github.as("ann");
    const one = { ...shop, issue_number: 1 };

    await rest.issues.create({ ...shop, title: "It breaks", labels: ["bug"] });
    await rest.issues.addLabels({ ...one, labels: ["bug", "fix"] });
    await rest.issues.removeLabel({ ...one, name: "fix" });
    await rest.issues.update({ ...one, state: "closed" });
    await rest.issues.update({ ...one, state: "closed", title: "Still" });
    await rest.issues.update({ ...one, state: "open" });
    const { data: comment } = await rest.issues.createComment({ ...one, body: "It broke again" });
    await rest.issues.updateComment({ ...shop, comment_id: comment.id, body: "It breaks" });
    await rest.issues.deleteComment({ ...shop, comment_id: comment.id });
    await rest.pulls.create({ ...shop, title: "p", head: "topic", base: "main" });
    await rest.pulls.createReview({ ...shop, pull_number: 2, event: "COMMENT", body: "Hm" });

    const expected = [
      "push",
      "opened",
      "labeled",
      "labeled",
      "unlabeled",
      "closed",
      "edited",
      "reopened",
      "created",
      "edited",
      "deleted",
      "opened",
      "submitted",
    ];
    await expect.poll(() => receiver.received.length).toBe(expected.length);
    expect(actionsOf(receiver.received).sort()).toEqual(expected.toSorted());
    expect(github.state.deliveries.map(({ event, action }) => action ?? event).toReversed()).toEqual(expected);
  });

  it("is not sent where the app is not installed", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    await addShop(github, { name: "other", installed: false });

    await github.as("ann").rest.issues.create({ owner: "ann", repo: "other", title: "Unseen" });
    await github.as("ann").rest.issues.create({ ...shop, title: "Seen" });

    await expect.poll(() => titlesOf(receiver.received)).toEqual(["Seen"]);
    expect(github.state.deliveries).toHaveLength(1);
  });

  it("is not sent to an app that did not subscribe", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver, ["pull_request_review"]);

    await github.as("ann").rest.issues.create({ ...shop, title: "Unseen" });

    expect(github.state.deliveries).toEqual([]);
  });

  it("does not keep the call waiting that caused it", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    receiver.answer = "never";

    const { status } = await github.as("ann").rest.issues.create({ ...shop, title: "t" });

    expect(status).toBe(201);
    await expect.poll(() => receiver.received.length).toBe(1);
    expect(await deliveriesOf(github)).toEqual([]);
  });
});

describe("a push", () => {
  it("by git is told of once for each reference that moved, with its commits and what they did", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    const copy = join(github.folder, "copy");
    await git(github.folder, "clone", "--quiet", remoteOf(github, github.addUser("ann")), copy);
    const before = await git(copy, "rev-parse", "HEAD");
    await git(copy, "rm", "--quiet", "a.txt");
    await writeFile(join(copy, "ü b.txt"), "b\n");
    const first = await commitAll(copy, "Put b in a's place");
    await writeFile(join(copy, "ü b.txt"), "c\n");
    const second = await commitAll(copy, "Change b");
    await git(copy, "tag", "--annotate", "--message", "One", "v1");

    await git(copy, "push", "--quiet", "origin", "main", "main:topic", "v1");
    await git(copy, "push", "--quiet", "origin", ":topic");

    await expect.poll(() => pushesOf(receiver)).toHaveLength(4);
    const zero = "0".repeat(40);
    const tag = await git(copy, "rev-parse", "v1");
    const [main, topic, v1, deleted] = pushesOf(receiver);
    expect(main).toMatchObject({
      ref: "refs/heads/main",
      before,
      after: second,
      created: false,
      deleted: false,
      forced: false,
      commits: [
        { id: first, message: "Put b in a's place", added: ["ü b.txt"], removed: ["a.txt"], modified: [] },
        { id: second, added: [], removed: [], modified: ["ü b.txt"] },
      ],
      head_commit: { id: second, author: { name: "Ann" } },
      pusher: { name: "ann" },
      sender: { login: "ann" },
      repository: { full_name: "ann/shop", default_branch: "main" },
    });
    expect(topic).toMatchObject({ ref: "refs/heads/topic", before: zero, after: second, created: true, commits: [] });
    expect(v1).toMatchObject({ ref: "refs/tags/v1", before: zero, after: tag, head_commit: { id: second } });
    expect(deleted).toMatchObject({ before: second, after: zero, deleted: true, commits: [], head_commit: null });
  });

  it("that git refuses, or that changes nothing, is not told of", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    github.setRole("ann/shop", "bob", "read");
    const copy = join(github.folder, "copy");
    await git(github.folder, "clone", "--quiet", remoteOf(github, github.addUser("ann")), copy);
    await git(copy, "push", "--quiet", "origin", "main");
    await writeFile(join(copy, "b.txt"), "b\n");
    await commitAll(copy, "Sneak in");

    await gitComplaint(copy, "push", remoteOf(github, github.addUser("bob")), "main");

    expect(github.state.deliveries).toEqual([]);
  });

  it("by the API is told of as one by its caller, a new branch with what the default branch does not have", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    const bot = github.with(await github.mint()).rest;
    const { data: head } = await bot.git.getRef({ ...shop, ref: "heads/main" });
    const base = head.object.sha;
    const { data: tree } = await bot.git.createTree({
      ...shop,
      base_tree: base,
      tree: [{ path: "b.txt", mode: "100644", type: "blob", content: "b\n" }],
    });
    const { data: made } = await bot.git.createCommit({ ...shop, message: "Add b", tree: tree.sha, parents: [base] });
    const ref = "heads/agent-fix/issue-1";

    await bot.git.createRef({ ...shop, ref: `refs/${ref}`, sha: made.sha });
    await bot.git.updateRef({ ...shop, ref, sha: base, force: true });
    await bot.git.updateRef({ ...shop, ref, sha: base });

    await expect.poll(() => receiver.received.length).toBe(2);
    expect(github.state.deliveries.map(({ event, action }) => [event, action])).toEqual([
      ["push", null],
      ["push", null],
    ]);
    const [created, forced] = pushesOf(receiver);
    expect(created).toMatchObject({
      ref: `refs/${ref}`,
      created: true,
      forced: false,
      sender: { login: "fixer[bot]", type: "Bot" },
      commits: [{ id: made.sha, added: ["b.txt"] }],
    });
    expect(forced).toMatchObject({ before: made.sha, after: base, created: false, forced: true });
  });
});

describe("a delivery is recorded", () => {
  it("with the answer", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);

    await github.as("ann").rest.issues.create({ ...shop, title: "one" });
    await expect.poll(() => statusesOf(github)).toEqual([["OK", 200]]);
    receiver.answer = 503;
    await github.as("ann").rest.issues.create({ ...shop, title: "two" });
    await expect.poll(() => statusesOf(github)).toHaveLength(2);
    receiver.answer = 302;
    await github.as("ann").rest.issues.create({ ...shop, title: "three" });

    await expect
      .poll(() => statusesOf(github))
      .toEqual([
        ["Invalid HTTP Response: 302", 302],
        ["Invalid HTTP Response: 503", 503],
        ["OK", 200],
      ]);
    expect(receiver.received).toHaveLength(3);
  });

  it("as timed out when no answer comes within the limit", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver, ["issues"], 100);
    receiver.answer = "never";

    await github.as("ann").rest.issues.create({ ...shop, title: "t" });

    await expect.poll(() => statusesOf(github)).toEqual([["timed out", 504]]);
  });

  it("as failed when nobody listens", async () => {
    await using github = await listening({ url: `http://127.0.0.1:${await freePort()}/` });

    await github.as("ann").rest.issues.create({ ...shop, title: "t" });

    await expect.poll(() => statusesOf(github)).toEqual([[expect.stringContaining("failed to connect to host"), 502]]);
  });

  it("and listed newest first, page by page", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    for (const title of ["1", "2", "3", "4", "5"]) await github.as("ann").rest.issues.create({ ...shop, title });
    await expect.poll(() => statusesOf(github)).toHaveLength(5);
    const { paginate, rest } = github.asApp();

    const ids = await paginate(rest.apps.listWebhookDeliveries, { per_page: 2 }, ({ data }) =>
      data.map(({ id }) => id),
    );

    expect(ids).toEqual(github.state.deliveries.map((one) => one.id));
    expect(ids).toEqual(ids.toSorted((a, b) => b - a));
  });
});

describe("a redelivery", () => {
  it("has the same GUID, payload and signature, and an id of its own", async () => {
    await using receiver = await startReceiver();
    await using github = await listening(receiver);
    receiver.answer = 500;
    await github.as("ann").rest.issues.create({ ...shop, title: "t" });
    await expect.poll(() => statusesOf(github)).toHaveLength(1);
    const [first] = await deliveriesOf(github);
    receiver.answer = 200;

    await github.asApp().rest.apps.redeliverWebhookDelivery({ delivery_id: first?.id ?? 0 });

    await expect.poll(() => statusesOf(github)).toHaveLength(2);
    const [second] = await deliveriesOf(github);
    expect(second).toMatchObject({ guid: first?.guid, redelivery: true, status_code: 200, event: "issues" });
    expect(second?.id).not.toBe(first?.id);
    expect(first).toMatchObject({ redelivery: false, status_code: 500 });
    const [one, again] = receiver.received;
    expect(again?.body).toBe(one?.body);
    for (const name of ["x-github-delivery", "x-hub-signature-256"])
      expect(again?.headers[name]).toBe(one?.headers[name]);
  });
});

async function listening(receiver: Pick<Receiver, "url">, events?: string[], limitMs?: number): Promise<TestGitHub> {
  const app = { id: 77, slug: "fixer", webhookSecret, ...(events === undefined ? {} : { events }) };
  const github = await startTestGitHub({ app, ...(limitMs === undefined ? {} : { deliveryLimitMs: limitMs }) });
  await addShop(github);
  github.setWebhookUrl(receiver.url);
  return github;
}

function actionsOf(received: readonly Received[]): string[] {
  return received.map(
    ({ headers, body }) => (JSON.parse(body) as { action?: string }).action ?? String(headers["x-github-event"]),
  );
}

/** By reference, then what was taken back: deliveries overtake each other. */
function pushesOf({ received }: Receiver): { ref: string; deleted: boolean; forced: boolean }[] {
  const pushes = received.map(({ body }) => JSON.parse(body) as { ref: string; deleted: boolean; forced: boolean });
  const late = (push: { deleted: boolean; forced: boolean }) => (push.deleted || push.forced ? 1 : 0);
  return pushes.toSorted((a, b) => late(a) - late(b) || a.ref.localeCompare(b.ref));
}

async function commitAll(copy: string, message: string): Promise<string> {
  await git(copy, "add", ".");
  await git(copy, "commit", "--quiet", "--message", message);
  return git(copy, "rev-parse", "HEAD");
}

function titlesOf(received: readonly Received[]): string[] {
  return received.map(({ body }) => (JSON.parse(body) as { issue: { title: string } }).issue.title);
}

async function deliveriesOf(github: TestGitHub) {
  return (await github.asApp().rest.apps.listWebhookDeliveries()).data;
}

async function statusesOf(github: TestGitHub): Promise<[string, number][]> {
  return (await deliveriesOf(github)).map((one) => [one.status, one.status_code]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => void server.close(done));
  return port;
}
