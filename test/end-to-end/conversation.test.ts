import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEngine } from "../../sandbox/engine.ts";
import type { Script } from "../../src/demo/model/script.ts";
import { image } from "../sandbox/support.ts";
import {
  addProject,
  brokenProject,
  fileLabelled,
  finalStatus,
  pullsOf,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [answered, unsure, approved, planned, stopped, resumed, endless] });
});
afterAll(() => laptop[Symbol.asyncDispose]());

type Where = Awaited<ReturnType<typeof addProject>>;
type Step = Omit<Script["steps"][number], "id">;

/** What the model says to a task in which the words stand one after another. The first script that fits is taken. */
function scriptFor(name: string, words: string, steps: Step[]): Script {
  const numbered = steps.map((step, id) => ({ id: String(id), ...step }));
  return { name, when: `Task: resolve an issue[^]*${words}`, holes: {}, steps: numbered };
}
const bash = (command: string): Step => ({ say: "", calls: [{ name: "bash", arguments: { command } }] });
const submit = (change: string): Step => ({
  say: "",
  calls: [{ name: "submit", arguments: { title: "Answer with 42", cause: "It said 41.", change } }],
});
const mend = [bash("echo 42 >answer.txt"), submit("Mended."), submit("Mended.")];
const asks = (question: string) => ({ name: "ask", arguments: { question, default: `Nothing about ${question}` } });

const answered = scriptFor("answered", "What should it be[^]*What number\\?[^]*Forty-two, please", mend);
const unsure = scriptFor("unsure", "What should it be", [
  { say: "", calls: [asks("What number?"), asks("What file?"), asks("What for?"), asks("And then?")] },
]);
const approved = scriptFor("approved", "Think first[^]*Write 42 into answer.txt[^]*Its plan is approved", mend);
const planned = scriptFor("planned", "Think first[^]*Only a plan is wanted", [submit("Write 42 into answer.txt")]);
const resumed = scriptFor("resumed", "It has many steps[^]*\\+half done[^]*Its change is in the working tree", [
  bash("git status --short; cat note.txt"),
  { ...bash("echo 42 >answer.txt"), after: "\\?\\? note.txt[^]*half done" },
  submit("Mended."),
  submit("Mended."),
]);
const endless = scriptFor("endless", "It has many steps", [
  bash("echo half done >note.txt"),
  ...Array.from({ length: 10 }, (_, n) => bash(`echo ${n}`)),
]);
const stopped = scriptFor("stopped", "Take your time", [bash("sleep 60"), ...mend]);

async function say(where: Where, number: number, body: string, who = "ann"): Promise<void> {
  await laptop.as(who).rest.issues.createComment({ ...where, issue_number: number, body });
}

/** Our comments but the status, the newest last. */
async function answers(where: Where, number: number): Promise<string[]> {
  const { data } = await laptop.as("ann").rest.issues.listComments({ ...where, issue_number: number, per_page: 100 });
  return data.flatMap(({ body = "" }) => (body.startsWith("<!-- agent-fix:answer") ? [body.split("\n")[1] ?? ""] : []));
}

async function endedAs(where: Where, number: number, state: string): Promise<string> {
  await expect
    .poll(async () => (await statusesOn(laptop, where, number))[0]?.marker?.state, { timeout: 90_000 })
    .toBe(state);
  return (await finalStatus(laptop, where, number)).body;
}

test("an issue that can't be worked on brings at most three questions, and a comment that answers them goes on with it", async () => {
  const where = await addProject(laptop, "questions");
  const number = await fileLabelled(laptop, where, { title: "What should it be" });
  const asked = await endedAs(where, number, "needs-input");
  expect(asked).toContain("**Needs input: question**");
  expect(asked).toMatch(
    /1\. What number\?\n\n {3}Without an answer I would: Nothing about What number\?\n2\. What file/,
  );
  expect(asked).toContain("3. What for?");
  expect(asked).not.toContain("And then?");
  expect(asked).toContain("Answer in a comment, and I go on with it.");
  expect(asked).toMatch(/Without an answer by \d{4}-\d\d-\d\d \d\d:\d\d UTC I do what I said/);

  await say(where, number, "Forty-two, please.", "bob");
  await say(where, number, "Forty-two, please.");

  expect(await endedAs(where, number, "opened")).toContain("**Opened #");
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("where the settings ask for a plan, nothing is changed until a person approves it", async () => {
  const settings = `${brokenProject[".github/agent-fix.yml"]}plan: true\n`;
  const where = await addProject(laptop, "plans", { ...brokenProject, ".github/agent-fix.yml": settings });
  const number = await fileLabelled(laptop, where, { title: "Think first" });
  const plan = await endedAs(where, number, "needs-input");
  expect(plan).toContain("**Needs input: plan**");
  expect(plan).toContain("Write 42 into answer.txt");
  expect(plan).toContain("`/agent-fix approve` carries it out");
  expect(await pullsOf(laptop, where)).toEqual([]);

  await say(where, number, "/agent-fix approve", "bob");
  await expect.poll(async () => refusals(where, number)).toHaveLength(1);
  await say(where, number, "/agent-fix approve");

  await endedAs(where, number, "opened");
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("a run that came to its limit is told to go on, and is shown how far it had come", async () => {
  const settings = `${brokenProject[".github/agent-fix.yml"]}limits: {steps: 4}\n`;
  const where = await addProject(laptop, "limits", { ...brokenProject, ".github/agent-fix.yml": settings });
  const number = await fileLabelled(laptop, where, { title: "It has many steps" });
  const body = await endedAs(where, number, "gave-up");
  expect(body).toContain("**Stopped: out of steps**");
  expect(body).toContain("`/agent-fix continue` goes on from here");

  await say(where, number, "/agent-fix continue");

  await endedAs(where, number, "opened");
});

test("a run is asked how it stands, stopped and begun anew by commands; what can't be done is answered", async () => {
  const where = await addProject(laptop, "commands");
  const number = await fileLabelled(laptop, where, { title: "Take your time" });
  const engine = createEngine({ instance: readFileSync(join(laptop.dataDir, "instance"), "utf8").trim(), image });
  const roles = async () => (await engine.list()).map(({ role }) => role);
  await expect.poll(roles, { timeout: 60_000 }).toContain("agent");

  await say(where, number, "/agent-fix retry");
  await expect
    .poll(async () => answers(where, number), { timeout: 20_000 })
    .toEqual([expect.stringContaining("at work here already")]);
  await say(where, number, "/agent-fix stop\nIt is not needed.");
  expect(await endedAs(where, number, "cancelled")).toContain("**Stopped by ann**");
  expect(await roles()).toEqual([]);
  await say(where, number, "/agent-fix status");
  await say(where, number, "/agent-fix approve");
  await say(where, number, "/agent-fix dance");
  await say(where, number, "/agent-fix stop");

  await expect
    .poll(async () => (await answers(where, number)).slice(1).toSorted(), { timeout: 20_000 })
    .toEqual([
      expect.stringMatching(/^I do not know that\. I know `\/agent-fix stop`/),
      "Nothing of mine is at work here.",
      expect.stringMatching(/^Stopped \(.*\)\. The status comment has the rest/),
      expect.stringMatching(/^There is no plan that waits for approval/),
    ]);
});

async function refusals(where: Where, number: number): Promise<string[]> {
  const { data } = await laptop.as("ann").rest.issues.listComments({ ...where, issue_number: number });
  return data.flatMap(({ body = "" }) => (body.includes("Only people with write access") ? [body] : []));
}
