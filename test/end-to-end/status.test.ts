import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import { readRun } from "../../src/runlog.ts";
import { parseStatus } from "../../src/status.ts";
import { addProject, answerScripts, fileLabelled, finalStatus, startTestLaptop, statusesOn } from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [long, ...answerScripts], settings: { WORKER_CONCURRENCY: "1" } });
});
afterAll(() => laptop[Symbol.asyncDispose]());

type Where = { owner: string; repo: string };
const bash = (id: string, command: string) => ({ id, say: "", calls: [{ name: "bash", arguments: { command } }] });

/** Works on, a step a second, until somebody stops it. */
const long: Script = {
  name: "long",
  when: "Task: resolve an issue[^]*It takes long",
  holes: {},
  steps: [
    { id: "plan", say: "", calls: [{ name: "update_plan", arguments: { items: "[x] look\n[ ] go on" } }] },
    ...Array.from({ length: 200 }, (_, step) => bash(String(step), `echo ${step}; sleep 1`)),
  ],
};

async function begin(where: Where): Promise<number> {
  return fileLabelled(laptop, where, { title: "It takes long" });
}

async function stop(where: Where, number: number): Promise<string> {
  await laptop.as("ann").rest.issues.createComment({ ...where, issue_number: number, body: "/agent-fix stop" });
  const { body, marker } = await finalStatus(laptop, where, number);
  expect(marker.state).toBe("cancelled");
  return body;
}

const patiently = { timeout: 60_000, interval: 200 };
const headerOf = async (where: Where, number: number) =>
  (await statusesOn(laptop, where, number)).map(({ body }) => /\*\*(.*)\*\*/.exec(body)?.[1]).join();

test("those that wait are told their places, and the new ones when the run before them begins", async () => {
  const where = await addProject(laptop, "queue");
  const first = await begin(where);
  await expect.poll(() => headerOf(where, first), patiently).toMatch(/^Working: .* of 300$/);
  const second = await begin(where);
  await expect.poll(() => headerOf(where, second), patiently).toBe("Queued: place 1");
  const third = await begin(where);
  await expect.poll(() => headerOf(where, third), patiently).toBe("Queued: place 2");
  await stop(where, first);

  await expect.poll(() => headerOf(where, second), patiently).toMatch(/^Working/);
  await expect.poll(() => headerOf(where, third), patiently).toBe("Queued: place 1");
  expect(await stop(where, third)).toContain("The run had not started.");
  await stop(where, second);
});

test("a run shows its last step and the model's plan while it works", async () => {
  const where = await addProject(laptop, "working");
  const number = await begin(where);
  const bodyOf = async () => (await statusesOn(laptop, where, number))[0]?.body ?? "";

  await expect.poll(bodyOf, patiently).toMatch(/Last step: bash `echo \d+; sleep 1`/);
  await expect.poll(bodyOf, patiently).toContain("Before the change: `sh check.sh` exit code 1.");

  expect(await bodyOf()).toContain("> The model's plan:\n>\n> - ☑ look\n> - ☐ go on");
  await stop(where, number);
});

test("a status comment that a person deletes comes back once, and after that only with the end", async () => {
  const where = await addProject(laptop, "deleted");
  const number = await begin(where);
  const comments = () => laptop.github.state.repositories.get("ann/deleted")?.issues.get(number)?.comments ?? [];
  const ours = () => comments().filter(({ body }) => parseStatus(body) !== undefined);
  await expect.poll(() => headerOf(where, number), patiently).toMatch(/^Working/);
  const run = parseStatus(ours()[0]?.body ?? "")?.run ?? "";
  const steps = () => readRun(laptop.dataDir, run)?.filter(({ type }) => type === "tool.intent").length ?? 0;
  const remove = () => comments().splice(0);

  const [before] = remove();
  await expect.poll(() => ours().length, patiently).toBe(1);
  const [again] = remove();
  const seen = steps();
  await expect.poll(steps, patiently).toBeGreaterThan(seen + 4);

  expect(again?.id).not.toBe(before?.id);
  expect(ours()).toEqual([]);
  expect(await stop(where, number)).toContain("**Stopped by ann**");
  expect(ours()).toHaveLength(1);
});

test("the end is told although GitHub takes no more edits for a while, and nobody asks it meanwhile", async () => {
  const where = await addProject(laptop, "limited");
  const edits = { method: "PATCH", path: /\/issues\/comments\// };
  const limited = laptop.github.faults.limit(edits, { kind: "secondary", status: 403, seconds: 5 });
  const number = await fileLabelled(laptop, where);

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("opened");
  expect(body).toMatch(/\*\*Opened #\d+ in /);
  expect(body).toContain("| `sh check.sh` | exit code 1 | passed |");
  // The web's side and the worker's each learn of it by one call; the sweep that a new repository brings may be under way.
  expect(limited.refused).toBeLessThanOrEqual(10);
});
