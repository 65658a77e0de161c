import { describe, expect, it } from "vitest";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "./support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1", timezone: Europe/Berlin}\n';
const monday = "2026-11-23T05:00:00Z";
const nextMonday = "2026-11-30T05:00:00Z";
const two = `${weekly}  sweep: {task: "Sweep", schedule: "0 5 * * 1"}\nunattended: {hourly: 5}\n`;

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

    await on.at("2026-11-21T12:01:00Z", { ticked: { id: 9, login: "ann" } });

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
    const number = (await on.pulls())[1]?.number ?? 0;
    const { data } = await on.ann.rest.issues.listComments({ ...shop, issue_number: number });
    expect(data.map(({ body }) => body)).toEqual([expect.stringContaining("start this task over")]);
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
