import { describe, expect, it } from "vitest";
import { OutageError, RefusedError } from "../../../src/errors.ts";
import { shop } from "../../demo/github/support.ts";
import { loadMemory } from "../../../src/maintenance/memory.ts";
import { readPulls } from "../../../src/maintenance/standing.ts";
import { startUpkeep } from "./support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1", timezone: Europe/Berlin}\n';
const monday = "2026-11-23T05:00:00Z";
const nextMonday = "2026-11-30T05:00:00Z";
const two = `${weekly}  sweep: {task: "Sweep", schedule: "0 5 * * 1"}\nunattended: {hourly: 5}\n`;

/** What we said on the newest pull request. */
async function said({ ann, pulls }: Awaited<ReturnType<typeof startUpkeep>>): Promise<string[]> {
  const number = (await pulls())[0]?.number ?? 0;
  const { data } = await ann.rest.issues.listComments({ ...shop, issue_number: number });
  return data.filter(({ user }) => user?.type === "Bot").map(({ body }) => body ?? "");
}

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

  it("that was closed and renamed brings another at the next look, and once", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const number = (await on.pulls())[0]?.number ?? 0;
    await on.ann.rest.pulls.update({ ...shop, pull_number: number, state: "closed" });
    await on.at("2026-11-24T05:00:00Z");
    await on.ann.rest.pulls.update({ ...shop, pull_number: number, title: "Again, please" });

    await on.at("2026-11-24T05:05:00Z");
    expect(await on.work()).toHaveLength(1);
    await on.at("2026-11-24T05:10:00Z");

    expect(await on.waiting()).toEqual([]);
  });

  it("to which a person pushed says once that it is theirs now", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    const commit = { branch: "agent-fix/task/tidy", message: "Mine", author: "bob" };
    const head = await on.github.push("ann/shop", { "b.txt": "1\n" }, commit);

    await on.at("2026-11-24T05:00:00Z");
    await on.at("2026-11-24T05:05:00Z");

    expect(await said(on)).toEqual([expect.stringContaining(`You pushed \`${head.slice(0, 7)}\`; I do not touch`)]);
  });

  it("that was about one thing of several is turned down alone when a person closes it", async () => {
    const settings = 'maintenance:\n  deps: {use: dependencies, schedule: "0 5 * * 1"}\n';
    await using on = await startUpkeep(settings);
    const task = on.taskOf("deps");
    const turnedDown = async () => (await readPulls(on.forge, task, "agent-fix[bot]")).turnedDown;
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens", { content: "a@2", turnedDown: ["minor"] });
    const number = (await on.pulls())[0]?.number ?? 0;
    await on.ann.rest.pulls.update({ ...shop, pull_number: number, state: "closed" });

    await on.at(nextMonday);

    expect(await on.waiting()).toMatchObject([{ subject: { key: "deps" } }]);
    expect(await turnedDown()).toEqual(["minor", "a@2"]);
    const { data: said } = await on.ann.rest.issues.listComments({ ...shop, issue_number: number });
    expect(said.map(({ body }) => body)).toEqual([expect.stringContaining("The task goes on with all but `a@2`.")]);
    await on.work("opens", { content: "b@3", turnedDown: await turnedDown() });
    await on.ann.rest.pulls.merge({ ...shop, pull_number: (await on.pulls())[0]?.number ?? 0 });
    expect(await turnedDown()).toEqual(["minor", "a@2"]);
  });

  it("that was turned down counts no more once a person asks for the task, also with others behind it", async () => {
    await using on = await startUpkeep('maintenance:\n  deps: {use: dependencies, schedule: "0 5 * * 1"}\n');
    const { task } = on.taskOf("deps");
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens", { content: "b@3", turnedDown: ["a@2"] });
    await on.ann.rest.pulls.merge({ ...shop, pull_number: (await on.pulls())[0]?.number ?? 0 });

    await on.at("2026-11-24T05:00:00Z", {
      ask: { verb: "run", key: "deps", actor: { id: 1, login: "ann" }, trigger: "comment-1" },
    });

    const memory = (await loadMemory(on.redis, on.repo, {}))["deps"];
    if (memory === undefined) throw new Error("nothing is remembered");
    expect(await readPulls(on.forge, { key: "deps", task, memory }, "agent-fix[bot]")).toMatchObject({
      turnedDown: [],
    });
  });

  it("that could not be opened is remembered with its versions, and not in the dashboard", async () => {
    await using on = await startUpkeep('maintenance:\n  deps: {use: dependencies, schedule: "0 5 * * 1"}\n');
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work({ outcome: "gave-up", cause: "gate rejected", failed: { "a@2": "0123456789ab" } });

    await on.at("2026-11-23T06:00:00Z");

    expect((await loadMemory(on.redis, on.repo, {}))["deps"]?.last?.failed).toEqual({ "a@2": "0123456789ab" });
    expect((await on.dashboard())?.body).toContain("gave up, gate rejected");
    expect((await on.dashboard())?.body).not.toContain("0123456789ab");
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

  it.each<[string, Error]>([
    ["fails once", new OutageError("it did not answer")],
    ["is refused", new RefusedError("refused", "a rule keeps it")],
  ])("is closed, and says so once, where the deletion of its branch %s", async (_how, error) => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    await on.at(monday);
    await on.work("opens");
    await on.writeSettings("checks: [make]\n");
    const { host } = on.deps;
    const ensureBranchGone = async () => {
      throw error;
    };
    on.deps.host = { ...host, forge: (repo, access) => ({ ...host.forge(repo, access), ensureBranchGone }) };
    await on.at("2026-11-24T05:00:00Z").catch(() => {});
    on.deps.host = host;

    await on.at("2026-11-24T05:05:00Z");

    expect(await on.pulls()).toMatchObject([{ state: "closed", title: "Tidy tidy - autoclosed" }]);
    const isKept = error instanceof RefusedError;
    expect((await on.forge.branchHead("agent-fix/task/tidy")) !== undefined).toBe(isKept);
    expect(await said(on)).toHaveLength(1);
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
