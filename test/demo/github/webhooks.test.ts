import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { addShop, shop, startReceiver, startTestGitHub, webhookSecret } from "./support.ts";
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
    await rest.issues.createComment({ ...one, body: "no event that this app asked for" });
    await rest.pulls.create({ ...shop, title: "p", head: "topic", base: "main" });
    await rest.pulls.createReview({ ...shop, pull_number: 2, event: "COMMENT", body: "Hm" });

    const expected = ["opened", "labeled", "labeled", "unlabeled", "closed", "reopened", "submitted"];
    await expect.poll(() => receiver.received.length).toBe(expected.length);
    expect(actionsOf(receiver.received).sort()).toEqual(expected.toSorted());
    expect(github.state.deliveries.map((one) => one.action).toReversed()).toEqual(expected);
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
  github.setWebhookUrl(receiver.url);
  await addShop(github);
  return github;
}

function actionsOf(received: readonly Received[]): string[] {
  return received.map(({ body }) => (JSON.parse(body) as { action: string }).action);
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
