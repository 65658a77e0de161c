import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startWorkerRole } from "../../src/cli/compose.ts";
import { teeRunLog } from "../../src/cli/progress.ts";
import { openRunLog } from "../../src/runlog.ts";
import type { Stamped } from "../../src/runlog.ts";
import {
  addProject,
  answerScripts,
  brokenProject,
  fileLabelled,
  finalStatus,
  pullsOf,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
/** Sees every event of a run before the run goes on. */
let onEvent: (event: Stamped) => void = () => {};
beforeAll(async () => {
  const openLog = (runId: string) => teeRunLog(openRunLog(laptop.dataDir, runId), (event) => onEvent(event));
  laptop = await startTestLaptop({ scripts: answerScripts, openLog });
});
afterAll(() => laptop[Symbol.asyncDispose]());
afterEach(() => {
  onEvent = () => {};
});

type Where = { owner: string; repo: string };
const label = "agent-fix";

/** Does something once, when a run of any project has passed the gate and published nothing yet. */
function beforePublishing(act: () => void): void {
  onEvent = (event) => {
    if (event.type !== "gate" || !event.passed) return;
    onEvent = () => {};
    act();
  };
}

/** Sets the label anew and waits for the end of the run that it begins. */
async function relabel(where: Where, number: number) {
  const [before] = await statusesOn(laptop, where, number);
  await setAnew(where, number);
  const trigger = async () => (await statusesOn(laptop, where, number))[0]?.marker?.trigger;
  await expect.poll(trigger, { timeout: 30_000 }).not.toBe(before?.marker?.trigger);
  return finalStatus(laptop, where, number);
}

async function setAnew(where: Where, number: number): Promise<void> {
  const { issues } = laptop.as("ann").rest;
  await issues.removeLabel({ ...where, issue_number: number, name: label });
  await issues.addLabels({ ...where, issue_number: number, labels: [label] });
}

/** Makes the answer on a branch wrong again, as ann. */
function breakAgain({ owner, repo }: Where, branch: string): Promise<string> {
  const commit = { branch, message: "Break it", author: "ann" };
  return laptop.github.push(`${owner}/${repo}`, { "answer.txt": "41\n" }, commit);
}

/** Git on the server's own repository: what a person does with `git push --force` or `--delete`. */
function onServer({ owner, repo }: Where, ...args: string[]): string {
  const { gitDir = "" } = laptop.github.state.repositories.get(`${owner}/${repo}`) ?? {};
  const who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
  return execFileSync("git", [...who, "--git-dir", gitDir, ...args], { encoding: "utf8" }).trim();
}

/** The base branch with the same files and none of its history. */
function beginAnew(where: Where, branch = "main"): string {
  const commit = onServer(where, "commit-tree", `${branch}^{tree}`, "-m", "Begin anew");
  onServer(where, "update-ref", `refs/heads/${branch}`, commit);
  return commit;
}

const headsOf = async (where: Where) => (await pullsOf(laptop, where)).map(({ head, state }) => [head.ref, state]);

async function commitsOf(where: Where, number: number): Promise<number> {
  return (await laptop.as("ann").rest.pulls.get({ ...where, pull_number: number })).data.commits;
}

/** Another run from label to pull request: what was queued before it has been decided about by then. */
async function anotherRun(name: string): Promise<void> {
  const other = await addProject(laptop, name);
  await finalStatus(laptop, other, await fileLabelled(laptop, other));
}

test("the label set again after the pull request was merged brings a new one that names the old", async () => {
  const where = await addProject(laptop, "merged");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const [first] = await pullsOf(laptop, where);
  const { pulls, issues } = laptop.as("ann").rest;
  await pulls.merge({ ...where, pull_number: first?.number ?? 0 });
  await breakAgain(where, "main");
  await issues.update({ ...where, issue_number: number, state: "open" });

  const { marker } = await relabel(where, number);

  expect(marker.state).toBe("opened");
  const [second] = await pullsOf(laptop, where);
  expect(await headsOf(where)).toEqual([
    [`agent-fix/issue-${number}-2`, "open"],
    [`agent-fix/issue-${number}`, "closed"],
  ]);
  expect(second?.body).toContain(`It follows #${first?.number}, which is closed.`);
});

test("a delivery that comes again after a person closed the pull request begins nothing", async () => {
  const where = await addProject(laptop, "unwanted");
  const number = await fileLabelled(laptop, where);
  const before = await finalStatus(laptop, where, number);
  const [pull] = await pullsOf(laptop, where);
  await laptop.as("ann").rest.pulls.update({ ...where, pull_number: pull?.number ?? 0, state: "closed" });
  const labelled = laptop.github.state.deliveries.find((one) => one.action === "labeled");
  if (labelled === undefined) throw new Error("nothing was delivered");
  const { webhookUrl = "" } = laptop.github.state;

  await fetch(webhookUrl, { method: "POST", headers: labelled.headers, body: labelled.payload });
  await laptop.web.sweep(new Date());
  await anotherRun("behind-unwanted");

  expect(await headsOf(where)).toEqual([[`agent-fix/issue-${number}`, "closed"]]);
  expect(await statusesOn(laptop, where, number)).toEqual([{ body: before.body, marker: before.marker }]);
});

test("labels set within the same second bring one pull request with one commit, for two workers on machines of their own", async () => {
  const where = await addProject(laptop, "flickering");
  const { parts } = laptop;
  const config = { ...parts.config, dataDir: join(laptop.dataDir, "another-machine") };
  await using _another = await startWorkerRole({ ...parts, config });

  const number = await fileLabelled(laptop, where);
  for (let i = 0; i < 5; i++) await setAnew(where, number);
  const { data: events } = await laptop.as("ann").rest.issues.listEvents({ ...where, issue_number: number });
  const newest = events.findLast(({ event }) => event === "labeled")?.id;
  const marker = async () => (await statusesOn(laptop, where, number)).map((status) => status.marker);
  await expect
    .poll(marker, { timeout: 90_000 })
    .toEqual([expect.objectContaining({ state: "opened", trigger: `label-${newest}` })]);
  await laptop.web.sweep(new Date());
  await anotherRun("behind-flickering");

  expect(await headsOf(where)).toEqual([[`agent-fix/issue-${number}`, "open"]]);
  expect(await commitsOf(where, number + 1)).toBe(1);
});

test("a branch of a person's that has our name stays as it is, and the next name is taken", async () => {
  const where = await addProject(laptop, "squatted");
  const commit = { branch: "agent-fix/issue-1", message: "Mine", author: "bob" };
  const theirs = await laptop.github.push("ann/squatted", { "bob.txt": "mine\n" }, commit);

  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);

  expect(number).toBe(1);
  expect(await headsOf(where)).toEqual([["agent-fix/issue-1-2", "open"]]);
  expect(onServer(where, "rev-parse", "agent-fix/issue-1")).toBe(theirs);
});

test("a branch that a person deletes, and the pull request with it, is not made again: the next name is taken", async () => {
  const where = await addProject(laptop, "deleted");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const [pull] = await pullsOf(laptop, where);
  const { git } = laptop.as("ann").rest;
  await git.deleteRef({ ...where, ref: `heads/agent-fix/issue-${number}` });

  await relabel(where, number);

  expect(await headsOf(where)).toEqual([
    [`agent-fix/issue-${number}-2`, "open"],
    [`agent-fix/issue-${number}`, "closed"],
  ]);
  expect(onServer(where, "for-each-ref", `refs/heads/agent-fix/issue-${number}`)).toBe("");
  expect((await pullsOf(laptop, where))[0]?.body).toContain(`It follows #${pull?.number}`);
});

test("a pull request that is closed while a follow-up is made gets no commit, and the answer says so", async () => {
  const where = await addProject(laptop, "closed-meanwhile");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const [pull] = await pullsOf(laptop, where);
  const head = await breakAgain(where, `agent-fix/issue-${number}`);
  const issue = laptop.github.state.repositories.get("ann/closed-meanwhile")?.issues.get(pull?.number ?? 0);
  beforePublishing(() => {
    if (issue !== undefined) issue.state = "closed";
  });

  const { marker, body } = await relabel(where, number);

  expect(marker.state).toBe("cancelled");
  expect(body).toContain(`#${pull?.number} was closed while I worked`);
  expect(onServer(where, "rev-parse", `agent-fix/issue-${number}`)).toBe(head);
});

test("a commit of a person's that arrives while a follow-up is made is not written over: both are joined", async () => {
  const where = await addProject(laptop, "overtaken");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const branch = `agent-fix/issue-${number}`;
  await breakAgain(where, branch);
  beforePublishing(() => {
    const theirs = onServer(where, "commit-tree", `${branch}^{tree}`, "-p", branch, "-m", "Mine");
    onServer(where, "update-ref", `refs/heads/${branch}`, theirs);
  });

  const { marker, body } = await relabel(where, number);

  expect(marker).toMatchObject({ state: "opened" });
  expect(body).toContain("merged");
  const [, theirs = ""] = onServer(where, "log", "-1", "--format=%P", branch).split(" ");
  expect(onServer(where, "log", "--format=%s", branch).split("\n")).toContain("Mine");
  expect(theirs).not.toBe("");
});

test("a default branch that gets another name takes the pull request along, and a follow-up goes there", async () => {
  const where = await addProject(laptop, "renamed-base");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  await laptop.github.owners.renameDefaultBranch("ann/renamed-base", "trunk");
  await breakAgain(where, `agent-fix/issue-${number}`);

  await relabel(where, number);

  const [pull, ...others] = await pullsOf(laptop, where);
  expect(others).toEqual([]);
  expect(pull).toMatchObject({ state: "open", base: { ref: "trunk" } });
  expect(await commitsOf(where, pull?.number ?? 0)).toBe(3);
});

test("a default branch that gets another name while a run works is where the pull request goes", async () => {
  const where = await addProject(laptop, "renamed-meanwhile");
  beforePublishing(() => {
    onServer(where, "branch", "-m", "main", "trunk");
    const repository = laptop.github.state.repositories.get("ann/renamed-meanwhile");
    if (repository !== undefined) repository.defaultBranch = "trunk";
  });
  const number = await fileLabelled(laptop, where);

  const { marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("opened");
  expect(await pullsOf(laptop, where)).toMatchObject([{ base: { ref: "trunk" }, title: "Give the right answer" }]);
});

test("a base branch that the settings name and that is gone when the change is ready is asked for", async () => {
  const settings = `${brokenProject[".github/agent-fix.yml"]}base: next\n`;
  const where = await addProject(laptop, "gone-base", { ...brokenProject, ".github/agent-fix.yml": settings });
  onServer(where, "branch", "next", "main");
  beforePublishing(() => onServer(where, "branch", "-D", "next"));
  const number = await fileLabelled(laptop, where);

  const { marker, body } = await finalStatus(laptop, where, number);

  expect(marker).toMatchObject({ state: "needs-input", cause: "base branch" });
  expect(body).toContain("`next`");
  expect(await pullsOf(laptop, where)).toEqual([]);
});

test("a base branch that moves on while a run works changes nothing", async () => {
  const where = await addProject(laptop, "moved-on");
  const base = onServer(where, "rev-parse", "main");
  beforePublishing(() => {
    onServer(
      where,
      "update-ref",
      "refs/heads/main",
      onServer(where, "commit-tree", "main^{tree}", "-p", "main", "-m", "On"),
    );
  });
  const number = await fileLabelled(laptop, where);

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
  expect(onServer(where, "rev-parse", `agent-fix/issue-${number}^`)).toBe(base);
});

test("a base branch that is force-pushed while a run works does not get back what was taken out of it", async () => {
  const where = await addProject(laptop, "rewritten");
  beforePublishing(() => void beginAnew(where));
  const number = await fileLabelled(laptop, where);

  const { marker, body } = await finalStatus(laptop, where, number);

  expect(marker).toMatchObject({ state: "needs-input", cause: "branch moved" });
  expect(body).toContain("`main` was force-pushed");
  expect(onServer(where, "for-each-ref", "--format=%(refname)")).toBe("refs/heads/main");
  expect((await relabel(where, number)).marker.state).toBe("opened");
});

test("a pull request whose base branch was begun anew still gets its follow-up", async () => {
  const where = await addProject(laptop, "begun-anew");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  beginAnew(where);
  await breakAgain(where, `agent-fix/issue-${number}`);

  const { marker } = await relabel(where, number);

  expect(marker.state).toBe("opened");
  expect(await headsOf(where)).toEqual([[`agent-fix/issue-${number}`, "open"]]);
  expect(onServer(where, "show", `agent-fix/issue-${number}:answer.txt`)).toBe("42");
});
