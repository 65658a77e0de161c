import { describe, expect, it } from "vitest";
import { RefusedError } from "../../../src/errors.ts";
import { redisPrefix } from "../../../src/queue.ts";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "./support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1", timezone: Europe/Berlin}\n';
const monday = "2026-11-23T05:00:00Z";
const nextMonday = "2026-11-30T05:00:00Z";
const two = `${weekly}  sweep: {task: "Sweep", schedule: "0 5 * * 1"}\nunattended: {hourly: 5}\n`;

describe("a task", () => {
  it("starts once when its time has come, and not again after its run was forgotten", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    expect(await on.waiting()).toEqual([]);

    await Promise.all([on.at(monday), on.at(monday)]);
    expect(await on.work()).toMatchObject([{ subject: { kind: "task", key: "tidy" }, actor: { login: "fixer[bot]" } }]);
    await on.at("2026-11-23T06:00:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("that was missed for weeks runs once", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");

    await on.at("2027-02-02T00:00:00Z");
    await on.work();
    await on.at("2027-02-02T00:05:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("whose schedule changes does not start what was due before", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");

    await on.writeSettings(weekly.replace("0 5 * * 1", "0 6 * * 1"));
    await on.at("2026-11-24T12:00:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("whose run Redis lost is queued again, and one that has ended is not", async () => {
    await using on = await startUpkeep(two);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    const [first] = await on.waiting();
    expect(await on.waiting()).toHaveLength(2);
    await on.deps.queues.removeWaiting(first?.runId ?? "");
    await on.work();
    await on.at("2026-11-23T05:05:00Z");
    await on.redis.flushall();

    await on.at("2026-11-23T05:10:00Z");

    expect(await on.waiting()).toMatchObject([{ runId: first?.runId }]);
  });

  it("goes on by what the dashboard remembers after Redis lost everything", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work();
    await on.at("2026-11-23T05:05:00Z");
    await on.redis.flushall();

    await on.at("2026-11-23T05:10:00Z");
    expect(await on.waiting()).toEqual([]);
    await on.at(nextMonday);

    expect(await on.waiting()).toHaveLength(1);
  });

  it("is read from a default branch of another name", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.github.push("ann/shop", { "b.txt": "1\n" }, { branch: "trunk", message: "Rename", author: "ann" });
    Object.assign(on.github.state.repositories.get("ann/shop") ?? {}, { defaultBranch: "trunk" });
    await on.at(monday);

    expect(await on.waiting()).toHaveLength(1);
  });
});

describe("its pull request", () => {
  it("that is open is left alone, and another comes when it was merged", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");

    await on.at(nextMonday);
    expect(await on.waiting()).toEqual([]);
    const [pull] = await on.pulls();
    await on.ann.rest.pulls.merge({ ...shop, pull_number: pull?.number ?? 0 });
    await on.at("2026-12-01T05:00:00Z");
    expect(await on.waiting()).toEqual([]);
    await on.at("2026-12-07T05:00:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it("that a person closes keeps the task quiet, and says so once", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const [pull] = await on.pulls();
    const number = pull?.number ?? 0;
    await on.ann.rest.pulls.update({ ...shop, pull_number: number, state: "closed" });

    await on.at(nextMonday);
    await on.at("2026-12-07T05:00:00Z");

    expect(await on.waiting()).toEqual([]);
    const { data: said } = await on.ann.rest.issues.listComments({ ...shop, issue_number: number });
    expect(said.map(({ body }) => body)).toEqual([expect.stringContaining("I will not open this again by myself")]);
    expect((await on.dashboard())?.body).toContain(`#${number} was closed unmerged`);
  });

  it.each<[string, (on: Awaited<ReturnType<typeof startUpkeep>>, number: number) => Promise<unknown>]>([
    ["is renamed", (on, number) => on.ann.rest.pulls.update({ ...shop, pull_number: number, title: "Again, please" })],
    ["asks for something else by now", (on) => on.writeSettings(weekly.replace("Tidy up", "Tidy up well"))],
  ])("that was closed does not keep it quiet where it %s", async (_how, act) => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const number = (await on.pulls())[0]?.number ?? 0;
    await on.ann.rest.pulls.update({ ...shop, pull_number: number, state: "closed" });
    await on.at("2026-11-24T05:00:00Z");

    await act(on, number);
    await on.at(nextMonday);

    expect(await on.waiting()).toHaveLength(1);
  });

  it("is closed with its branch when the task is gone from the settings", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");

    await on.writeSettings("checks: [make]\n");
    await on.at("2026-11-24T05:00:00Z");
    await on.at("2026-11-24T05:05:00Z");

    expect(await on.pulls()).toMatchObject([{ state: "closed", title: "Tidy tidy - autoclosed" }]);
    expect(await on.forge.branchHead("agent-fix/task/tidy")).toBeUndefined();
  });

  it("stays open then where a person wrote to it, under another title", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const commit = { branch: "agent-fix/task/tidy", message: "Mine", author: "bob" };
    await on.github.push("ann/shop", { "b.txt": "1\n" }, commit);

    await on.writeSettings("checks: [make]\n");
    await on.at("2026-11-24T05:00:00Z");
    await on.at("2026-11-24T05:05:00Z");

    expect(await on.pulls()).toMatchObject([{ state: "open", title: "Tidy tidy - abandoned" }]);
  });
});

describe("what a person wrote is not lost", () => {
  it("where they rewrote the text of a pull request: it is not taken for another task's", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    await on.ann.rest.pulls.merge({ ...shop, pull_number: (await on.pulls())[0]?.number ?? 0 });
    await on.at(nextMonday);
    await on.work("opens");
    const [pull] = await on.pulls();
    await on.ann.rest.pulls.update({ ...shop, pull_number: pull?.number ?? 0, body: "Better words." });

    await on.at("2026-11-30T06:00:00Z");

    expect((await on.pulls())[0]).toMatchObject({ head: { ref: "agent-fix/task/tidy-2" }, state: "open" });
    expect((await on.dashboard())?.body).toContain(`Open as #${pull?.number}`);
  });

  it.each([
    ["picked, with its trailer", "Tidy up\n\nAgent-Fix-Run: abc\n"],
    ["made with words of their own", "Mine"],
  ])("where their commit was %s: the branch is left to them", async (_how, message) => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const commit = { branch: "agent-fix/task/tidy", message, author: "bob" };
    const head = await on.github.push("ann/shop", { "b.txt": "1\n" }, commit);

    await on.writeSettings("checks: [make]\n");
    await on.at("2026-11-24T05:00:00Z");

    expect(await on.forge.branchHead("agent-fix/task/tidy")).toBe(head);
    expect(await on.pulls()).toMatchObject([{ state: "open" }]);
  });
});

it("a conversation that is locked keeps nothing else from being done", async () => {
  await using on = await startUpkeep(two);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  await on.work("opens");
  for (const { number } of await on.pulls()) {
    const issue = on.github.state.repositories.get("ann/shop")?.issues.get(number);
    Object.assign(issue ?? {}, { locked: true });
  }
  const [first] = await on.pulls();
  await on.ann.rest.pulls.update({ ...shop, pull_number: first?.number ?? 0, state: "closed" });

  await on.writeSettings(
    'maintenance:\n  sweep: {task: "Sweep", schedule: "0 5 * * 1"}\n  new: {task: "New", schedule: "0 6 * * 1"}\n',
  );
  await on.at("2026-11-24T05:00:00Z");
  await on.at(nextMonday.replace("T05", "T06"));

  expect(await on.waiting()).toMatchObject([{ subject: { key: "new" } }]);
  expect((await on.pulls()).map(({ title }) => title)).toContain("Tidy tidy - autoclosed");
});

it("a pull request that the code host lets nobody edit keeps no other task from starting", async () => {
  await using on = await startUpkeep(weekly);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  await on.work("opens");
  await on.writeSettings('maintenance:\n  new: {task: "New", schedule: "0 5 * * 1"}\n');
  const { host } = on.deps;
  const editPull = async () => {
    throw new RefusedError("permission", "Resource not accessible by integration");
  };
  on.deps.host = { ...host, forge: (repo, access) => ({ ...host.forge(repo, access), editPull }) };
  await on.at("2026-11-24T05:00:00Z");

  await on.at(nextMonday);

  expect(await on.waiting()).toMatchObject([{ subject: { key: "new" } }]);
});

it("a dashboard that somebody damaged does not stop the tasks after Redis lost everything", async () => {
  await using on = await startUpkeep(weekly);
  await on.at("2026-11-21T12:00:00Z");
  const board = await on.dashboard();
  const body = board?.body.replace(/"slot":"[^"]*"/, '"slot":"soon"') ?? "";
  await on.ann.rest.issues.update({ ...shop, issue_number: board?.number ?? 0, body });
  await on.redis.flushall();

  await on.at("2026-11-22T12:00:00Z");
  await on.at(monday);

  expect(await on.waiting()).toHaveLength(1);
});

it("a tick that waits while Redis loses everything is seen to", async () => {
  await using on = await startUpkeep(weekly);
  await on.at("2026-11-21T12:00:00Z");
  await on.tick("run-task=tidy");
  await on.redis.flushall();

  await on.at("2026-11-21T12:05:00Z");

  expect(await on.waiting()).toHaveLength(1);
});

describe("limits", () => {
  it("hold a third pull request back while two are open, and let it go when one is merged", async () => {
    const three = two.replace("unattended", '  polish: {task: "Polish", schedule: "0 5 * * 1"}\nunattended');
    await using on = await startUpkeep(three);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    expect((await on.work("opens")).map(({ subject }) => subject)).toMatchObject([{ key: "tidy" }, { key: "sweep" }]);
    await on.at("2026-11-24T05:00:00Z");
    expect(await on.waiting()).toEqual([]);
    expect((await on.dashboard())?.body).toMatch(/## Held back\n\n.*unlimit-task=polish/);

    await on.ann.rest.pulls.merge({ ...shop, pull_number: (await on.pulls())[0]?.number ?? 0 });
    await on.at("2026-11-24T06:00:00Z");

    expect(await on.waiting()).toMatchObject([{ subject: { key: "polish" } }]);
  });

  it("let one be opened within an hour", async () => {
    await using on = await startUpkeep(two.replace("hourly: 5", "hourly: 1"));
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    expect(await on.work("opens")).toHaveLength(1);
    await on.at("2026-11-23T05:30:00Z");
    expect(await on.waiting()).toEqual([]);

    await on.at("2026-11-23T06:01:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it("keep quiet hours", async () => {
    await using on = await startUpkeep(`${weekly}unattended: {quiet: ["04:00-07:00"]}\n`);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    expect(await on.waiting()).toEqual([]);

    await on.at("2026-11-23T07:00:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });
});

describe("the dashboard", () => {
  it("is edited only where its text changes", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    const writes = on.github.state.deliveries.length;

    await on.at("2026-11-21T12:05:00Z");
    await on.at("2026-11-22T12:05:00Z");

    expect(on.github.state.deliveries).toHaveLength(writes);
    expect(await on.dashboard()).toMatchObject({ title: "agent-fix dashboard", state: "open" });
  });

  it("starts a task whose box somebody with write access ticks, and empties the box", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.tick("run-task=tidy");

    await on.at("2026-11-21T12:01:00Z", { ticked: { by: { id: 9, login: "ann" }, trigger: "d1" } });

    expect(await on.waiting()).toMatchObject([{ subject: { key: "tidy" }, actor: { login: "ann" } }]);
    expect((await on.dashboard())?.body).not.toContain("[x]");
  });

  it("starts nothing where somebody without write access ticks, and empties the box", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.tick("run-task=tidy");

    await on.at("2026-11-21T12:01:00Z", { ticked: "refused" });

    expect(await on.waiting()).toEqual([]);
    expect((await on.dashboard())?.body).not.toContain("[x]");
  });

  it("finds a tick that no event told of, and takes no boxes out of another text", async () => {
    await using on = await startUpkeep(two);
    await on.at("2026-11-21T12:00:00Z");
    await on.tick("run-task=tidy");
    await on.at("2026-11-21T12:05:00Z");
    expect(await on.work()).toHaveLength(1);
    await on.at("2026-11-21T12:06:00Z");
    const board = await on.dashboard();
    const body = board?.body.replaceAll("[ ]", "[x]").replace("Ticking", "All ticked. Ticking") ?? "";
    await on.ann.rest.issues.update({ ...shop, issue_number: board?.number ?? 0, body });

    await on.at("2026-11-21T12:10:00Z");

    expect(await on.waiting()).toEqual([]);
    expect((await on.dashboard())?.body).toBe(board?.body);
  });

  it("takes a tick also after Redis lost everything", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.redis.flushall();
    await on.at("2026-11-21T12:05:00Z");
    await on.tick("run-task=tidy");

    await on.at("2026-11-21T12:06:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it("loses no tick that comes while it is written", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    const { queues } = on.deps;
    const before = queues.liveIn.bind(queues);
    queues.liveIn = async (repo) => {
      queues.liveIn = before;
      await on.tick("run-task=tidy");
      return before(repo);
    };
    await on.writeSettings(weekly.replace("Tidy up", "Tidy up well"));
    await on.at("2026-11-21T12:05:00Z");
    expect((await on.dashboard())?.body).toContain("[x]");

    await on.at("2026-11-21T12:06:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it("that was deleted is made anew, with all that it remembered", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    const board = await on.dashboard();
    const { repositories } = on.github.state;
    repositories.get("ann/shop")?.issues.delete(board?.number ?? 0);

    await on.at("2026-11-21T12:05:00Z");

    expect((await on.dashboard())?.body).toBe(board?.body);
  });

  it("that a person closed is left alone, and the tasks go on", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    const board = await on.dashboard();
    await on.ann.rest.issues.update({ ...shop, issue_number: board?.number ?? 0, state: "closed" });

    await on.at(monday);

    expect(await on.waiting()).toHaveLength(1);
    expect(await on.dashboard()).toMatchObject({ number: board?.number, state: "closed", body: board?.body });
  });

  it("keeps what a person writes below it", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    const board = await on.dashboard();
    const body = `${board?.body}\n\nAsk ann first.`;
    await on.ann.rest.issues.update({ ...shop, issue_number: board?.number ?? 0, body });

    await on.at(monday);

    expect((await on.dashboard())?.body).toMatch(/## Waiting for their turn[\s\S]*Ask ann first\.$/);
  });

  it("starts an edited one over: the pull request is closed, its commits stay, and a new run begins", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const commit = { branch: "agent-fix/task/tidy", message: "Mine", author: "bob" };
    const head = await on.github.push("ann/shop", { "b.txt": "1\n" }, commit);
    await on.at(nextMonday);
    expect(await on.waiting()).toEqual([]);
    await on.tick("recreate-task=tidy");

    await on.at("2026-11-30T06:00:00Z");
    await on.work("opens");

    expect(await on.pulls()).toMatchObject([
      { head: { ref: "agent-fix/task/tidy-2" }, state: "open" },
      { head: { ref: "agent-fix/task/tidy" }, state: "closed" },
    ]);
    expect(await on.forge.branchHead("agent-fix/task/tidy")).toBe(head);
  });
});

it("where issues are disabled, the dashboard is a check run on the newest commit, and says nothing of boxes", async () => {
  await using on = await startUpkeep(weekly);
  on.github.owners.disableIssues("ann/shop");

  await on.at("2026-11-21T12:00:00Z");
  await on.at("2026-11-21T12:05:00Z");

  const { data } = await on.ann.rest.checks.listForRef({ ...shop, ref: "main" });
  expect(data.check_runs).toMatchObject([
    {
      name: "agent-fix / dashboard",
      conclusion: "neutral",
      output: { summary: expect.stringMatching(/^## Awaiting schedule\n\n- \*\*tidy\*\*: Tidy up/) as string },
    },
  ]);
});

it("a fork leaves its parent's tasks alone, unless its settings say otherwise", async () => {
  await using on = await startUpkeep(weekly);
  Object.assign(on.github.state.repositories.get("ann/shop") ?? {}, { fork: true });
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  expect(await on.waiting()).toEqual([]);

  await on.writeSettings(`${weekly}unattended: {forks: true}\n`);
  await on.at("2026-11-24T12:00:00Z");
  await on.at(nextMonday);

  expect(await on.waiting()).toHaveLength(1);
});

it("a run whose task is to be ignored is stopped", async () => {
  await using on = await startUpkeep(two);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  const [first] = await on.waiting();
  const actor = { id: 1, login: "ann" };

  await on.at("2026-11-23T05:01:00Z", { ask: { verb: "ignore", key: "tidy", actor, trigger: "comment-1" } });

  expect(await on.waiting()).toMatchObject([{ subject: { key: "sweep" } }]);
  expect(await on.deps.inbox.read(first?.runId ?? "")).toMatchObject([{ kind: "stop", by: "ann" }]);
});

describe("without settings", () => {
  it("a repository gets a run for its first ones, one a day while none comes of it", async () => {
    await using on = await startUpkeep(undefined);

    await Promise.all([on.at("2026-11-21T12:00:00Z"), on.at("2026-11-21T12:00:00Z")]);
    expect(await on.work()).toMatchObject([{ subject: { kind: "onboarding" } }]);
    expect(await on.dashboard()).toBeUndefined();
    await on.at("2026-11-22T12:00:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it.each([
    ["fork", true],
    ["archived", true],
  ] as const)("a repository that is %s is left alone", async (fact, value) => {
    await using on = await startUpkeep(undefined);
    const repository = on.github.state.repositories.get("ann/shop");
    Object.assign(repository ?? {}, { [fact]: value });

    await on.at("2026-11-21T12:00:00Z");

    expect(await on.waiting()).toEqual([]);
  });
});

it("what is queued while a repository is unattended comes after what people ask for", async () => {
  await using on = await startUpkeep(weekly);
  await on.at("2026-11-21T12:00:00Z");
  await on.at(monday);
  const { repo } = on;
  const actor = { id: 1, login: "ann" };
  await on.deps.queues.addRun({
    runId: "review",
    repo,
    actor,
    trigger: "t",
    subject: { kind: "review", pull: 3, branch: "b" },
  });
  await on.deps.queues.addRun({ runId: "issue", repo, actor, trigger: "t", subject: { kind: "issue", number: 2 } });

  expect((await on.waiting()).map(({ subject }) => subject.kind)).toEqual(["issue", "review", "task"]);
  expect(await on.redis.exists(`${redisPrefix}:tasks:${repo.id}`)).toBe(1);
});
