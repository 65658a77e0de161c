import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { teeRunLog } from "../../src/cli/progress.ts";
import type { Exchange } from "../../src/demo/github/exchange.ts";
import type { Script } from "../../src/demo/model/script.ts";
import { connectRedis, createQueues } from "../../src/queue.ts";
import type { Queues } from "../../src/queue.ts";
import { openRunLog, readRun } from "../../src/runlog.ts";
import type { Stamped } from "../../src/runlog.ts";
import { createContract, expectNoViolations } from "../support/contract.ts";
import {
  answerScripts,
  brokenProject,
  fileLabelled,
  finalStatus,
  pullsOf,
  repliesOn,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

const contract = createContract();
let calls: Exchange[] = [];
const onExchange = (exchange: Exchange) => {
  contract.onExchange(exchange);
  calls.push(exchange);
};

let laptop: TestLaptop;
let queues: Queues;
/** Sees every event of a run before the run goes on. */
let onEvent: (event: Stamped) => void = () => {};
/** The ids of the runs that a worker took in a test, each time that it did. */
let taken: string[] = [];
beforeAll(async () => {
  const openLog = (runId: string) => {
    taken.push(runId);
    return teeRunLog(openRunLog(laptop.dataDir, runId), (event) => onEvent(event));
  };
  laptop = await startTestLaptop({
    scripts: [longWait, ...answerScripts],
    openLog,
    github: { ...contract, onExchange },
  });
  queues = createQueues(connectRedis(laptop.parts.redisUrl, "producer"));
});
afterAll(async () => {
  await queues.close();
  await laptop[Symbol.asyncDispose]();
  expectNoViolations(contract);
});
beforeEach(() => {
  onEvent = () => {};
  taken = [];
});

const longWait: Script = {
  name: "A long wait",
  when: "Task: resolve an issue[^]*A long wait",
  holes: {},
  steps: [{ id: "wait", say: "", calls: [{ name: "bash", arguments: { command: "sleep 600" } }] }],
};

type Where = { owner: string; repo: string };
const patiently = { timeout: 60_000, interval: 100 };

/** A project of an owner's own, so that one installation's trouble is nobody else's; ann may write to it. */
async function projectOf(owner: string): Promise<Where> {
  await laptop.github.addRepository({ owner, name: "app", files: brokenProject });
  laptop.github.setRole(`${owner}/app`, "ann", "write");
  laptop.github.install({ repositories: [`${owner}/app`] });
  return { owner, repo: "app" };
}

/** Does something once, when a run has passed the gate and published nothing yet; calls are counted from then on. */
function beforePublishing(act: () => void): void {
  onEvent = (event) => {
    if (event.type !== "gate" || !event.passed) return;
    onEvent = () => {};
    calls = [];
    act();
  };
}

/** Waits until the newest run has ended and waits for nothing; returns its outcome. */
async function ended() {
  const lastOf = () => readRun(laptop.dataDir, taken.at(-1) ?? "")?.findLast(({ type }) => type === "finished");
  await expect.poll(lastOf, patiently).toBeDefined();
  await expect.poll(() => queues.isLive(taken.at(-1) ?? ""), patiently).toBe(false);
  return lastOf();
}

/** What of the app's calls was refused; that there is no such branch is an answer. */
const refused = () =>
  calls
    .filter(({ status, path }) => status >= 400 && !(status === 404 && path.includes("/git/ref/")))
    .map(({ method, path }) => `${method} ${path}`);

/** One sweep, and then another run from label to pull request: whatever the sweep began has been seen by then. */
async function sweepAndWait(owner: string): Promise<void> {
  await laptop.web.sweep(new Date());
  const other = await projectOf(owner);
  await finalStatus(laptop, other, await fileLabelled(laptop, other));
}

const issueIn = ({ owner, repo }: Where, number: number) =>
  laptop.github.state.repositories.get(`${owner}/${repo}`)?.issues.get(number);

test("a repository of an organization is worked on for people who may write there, and for nobody else", async () => {
  laptop.github.owners.makeOrganization("acme");
  const where = await projectOf("acme");
  laptop.github.setRole("acme/app", "tom", "triage");
  const number = await fileLabelled(laptop, where);
  const tom = laptop.as("tom").rest.issues;
  const { data: other } = await laptop.as("ann").rest.issues.create({ ...where, title: "The answer is wrong" });
  await tom.addLabels({ ...where, issue_number: other.number, labels: ["agent-fix"] });

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
  await expect.poll(() => repliesOn(laptop, where, other.number), patiently).toHaveLength(1);
  const [pull, ...others] = await pullsOf(laptop, where);
  expect(others).toEqual([]);
  expect(pull?.head).toMatchObject({ ref: `agent-fix/issue-${number}`, repo: { full_name: "acme/app" } });
  expect(pull?.base.label).toBe("acme:main");
});

test("a repository that is renamed while a run works gets its one pull request and its one answer", async () => {
  const where = await projectOf("renamer");
  beforePublishing(() => laptop.github.owners.rename("renamer/app", "product"));
  const number = await fileLabelled(laptop, where);
  const now = { owner: "renamer", repo: "product" };

  const { body } = await finalStatus(laptop, now, number);

  const pulls = await pullsOf(laptop, now);
  expect(pulls.map(({ head, state }) => [head.ref, state])).toEqual([[`agent-fix/issue-${number}`, "open"]]);
  expect(body).toContain(`Opened #${pulls[0]?.number}`);
  expect(issueIn(now, number)?.comments).toHaveLength(1);
  expect(refused()).toEqual([]);
});

test("an event that tells of a repository by a name that it no longer has is answered", async () => {
  const where = await projectOf("late-renamer");
  const { webhookUrl = "" } = laptop.github.state;
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  const number = await fileLabelled(laptop, where);
  const told = laptop.github.state.deliveries.find(
    ({ action, payload }) => action === "labeled" && payload.includes("late-renamer/app"),
  );
  laptop.github.owners.rename("late-renamer/app", "product");
  laptop.github.setWebhookUrl(webhookUrl);

  await fetch(webhookUrl, { method: "POST", headers: told?.headers ?? {}, body: told?.payload ?? "" });

  const now = { owner: "late-renamer", repo: "product" };
  expect((await finalStatus(laptop, now, number)).marker.state).toBe("opened");
  expect(await pullsOf(laptop, now)).toHaveLength(1);
  expect(issueIn(now, number)?.comments).toHaveLength(1);
});

test("a repository that is archived while a run works is left alone, and told the reason when it is one again", async () => {
  const where = await projectOf("archivist");
  beforePublishing(() => laptop.github.owners.archive("archivist/app"));
  const number = await fileLabelled(laptop, where);

  expect(await ended()).toMatchObject({ outcome: "gave-up", cause: "refused" });
  expect(refused().length).toBeLessThanOrEqual(4);
  const { length } = taken;
  calls = [];
  await sweepAndWait("behind-archivist");
  expect(taken.slice(length)).toHaveLength(1);
  expect(calls.filter(({ path }) => path.includes("archivist/app/") && !path.includes("behind"))).toEqual([]);

  laptop.github.owners.unarchive("archivist/app");
  await laptop.web.sweep(new Date());
  const { body, marker } = await finalStatus(laptop, where, number);
  expect(marker.state).toBe("gave-up");
  expect(body).toContain("The repository is archived");
  expect(body).toContain("`/agent-fix retry` starts over");
  expect(await pullsOf(laptop, where)).toEqual([]);
});

test("an app that is suspended while a run works asks no more, and answers when it is let in again", async () => {
  const where = await projectOf("suspender");
  beforePublishing(() => laptop.github.owners.suspend("suspender/app"));
  const number = await fileLabelled(laptop, where);

  expect(await ended()).toMatchObject({
    outcome: "gave-up",
    cause: "refused",
    detail: expect.stringContaining("The app's installation on suspender is suspended."),
  });
  expect(refused().length).toBeLessThanOrEqual(6);
  const { length } = taken;
  await sweepAndWait("behind-suspender");
  expect(taken.slice(length)).toHaveLength(1);

  laptop.github.owners.unsuspend("suspender/app");
  await laptop.web.sweep(new Date());
  expect((await finalStatus(laptop, where, number)).body).toContain("is suspended");
});

test("an app that is removed while a run works asks no more", async () => {
  await projectOf("remover");
  const { installations } = laptop.github.state;
  beforePublishing(() => {
    for (const [id, { account }] of installations) if (account.login === "remover") installations.delete(id);
    laptop.github.faults.expireTokens("remover/app");
  });
  await fileLabelled(laptop, { owner: "remover", repo: "app" });

  expect(await ended()).toMatchObject({
    cause: "refused",
    detail: expect.stringContaining("not installed on remover"),
  });
  // What is not there is asked for once more, in case that it could not be seen yet.
  expect(refused().length).toBeLessThanOrEqual(12);
});

test("a permission that an owner has not granted is named on the issue, once the change is ready", async () => {
  const where = await projectOf("miser");
  laptop.github.owners.grant("miser/app", { ...laptop.github.app.permissions, contents: "read" });
  const number = await fileLabelled(laptop, where);

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker).toMatchObject({ state: "gave-up", cause: "no rights" });
  expect(body).toContain("The app's installation on miser lacks the permission `contents: write`.");
  expect(body).toContain("`/agent-fix retry`");
  expect(taken.filter((run) => run === marker.run)).toHaveLength(1);
});

test("without the permission to speak there is no run, and few calls", async () => {
  const where = await projectOf("silencer");
  laptop.github.owners.grant("silencer/app", { ...laptop.github.app.permissions, issues: "read" });
  const { length } = taken;
  calls = [];
  const number = await fileLabelled(laptop, where);
  await expect.poll(refused, patiently).not.toEqual([]);

  await sweepAndWait("behind-silencer");

  expect(taken.slice(length)).toHaveLength(1);
  expect(issueIn(where, number)?.comments).toEqual([]);
  const mints = refused().filter((call) => call.endsWith("/access_tokens"));
  expect(mints.length).toBeLessThanOrEqual(10);
});

test("an issue that goes to another repository stops the run that works on it", async () => {
  const [from, to] = [await projectOf("donor"), await projectOf("heir")];
  await fileLabelled(laptop, from, { title: "A long wait" });
  const log = () => JSON.stringify(readRun(laptop.dataDir, taken[0] ?? "") ?? []);
  await expect.poll(log, patiently).toContain("sleep 600");

  laptop.github.owners.transferIssue("donor/app", 1, "heir/app");

  expect(await ended()).toMatchObject({ outcome: "cancelled", cause: "issue transferred" });
  expect(taken).toHaveLength(1);
  // Over there the next sweep would find it.
  await laptop.as("ann").rest.issues.removeLabel({ ...to, issue_number: 1, name: "agent-fix" });
});

test("an issue that goes to another repository, of which nobody tells, gets its pull request over there alone", async () => {
  const [from, to] = [await projectOf("giver"), await projectOf("taker")];
  const { webhookUrl = "" } = laptop.github.state;
  await laptop.as("ann").rest.issues.create({ ...to, title: "At home there" });
  let there = 0;
  beforePublishing(() => {
    laptop.github.setWebhookUrl("http://127.0.0.1:1/");
    there = laptop.github.owners.transferIssue("giver/app", 1, "taker/app");
  });
  await fileLabelled(laptop, from);
  expect(await ended()).toMatchObject({ cause: "refused" });
  laptop.github.setWebhookUrl(webhookUrl);
  expect(refused().length).toBeLessThanOrEqual(8);
  expect([...(await pullsOf(laptop, from)), ...(await pullsOf(laptop, to))]).toEqual([]);

  await laptop.web.sweep(new Date());

  expect((await finalStatus(laptop, to, there)).marker.state).toBe("opened");
  expect(await pullsOf(laptop, from)).toEqual([]);
  expect(issueIn(to, 1)?.comments).toEqual([]);
});

test("a label whose issue went to another repository before it was heard of begins nothing here, also where numbers meet", async () => {
  const [from, to] = [await projectOf("early-giver"), await projectOf("early-taker")];
  const { webhookUrl = "" } = laptop.github.state;
  const { issues } = laptop.as("ann").rest;
  for (const title of ["One", "Two"]) await issues.create({ ...from, title });
  await issues.create({ ...to, title: "At home there" });
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  const number = await fileLabelled(laptop, from);
  const told = laptop.github.state.deliveries.find(
    ({ action, payload }) => action === "labeled" && payload.includes("early-giver/app"),
  );
  const there = laptop.github.owners.transferIssue("early-giver/app", number, "early-taker/app");
  laptop.github.setWebhookUrl(webhookUrl);

  await fetch(webhookUrl, { method: "POST", headers: told?.headers ?? {}, body: told?.payload ?? "" });
  await sweepAndWait("behind-early-giver");

  // By its old number the issue is read under its new one, which is another issue's here.
  expect([number, there]).toEqual([3, 2]);
  expect((await finalStatus(laptop, to, there)).marker.state).toBe("opened");
  expect(await pullsOf(laptop, from)).toEqual([]);
  expect([issueIn(from, 1)?.comments, issueIn(from, 2)?.comments, issueIn(to, 1)?.comments]).toEqual([[], [], []]);
});

test("a locked issue is worked on, and its label comes off since nothing can be said there", async () => {
  const where = await projectOf("locker");
  const { issues } = laptop.as("ann").rest;
  const { data: issue } = await issues.create({ ...where, title: "The answer is wrong" });
  laptop.github.owners.lock("locker/app", issue.number);
  const { length } = taken;
  await issues.addLabels({ ...where, issue_number: issue.number, labels: ["agent-fix"] });
  await expect.poll(() => pullsOf(laptop, where), patiently).toHaveLength(1);
  expect(await ended()).toMatchObject({ outcome: "published" });

  await expect.poll(() => issueIn(where, issue.number)?.labels, patiently).toEqual([]);
  await sweepAndWait("behind-locker");

  expect(taken.slice(length)).toHaveLength(2);
  expect(await pullsOf(laptop, where)).toHaveLength(1);
  expect(await statusesOn(laptop, where, issue.number)).toEqual([]);
});
