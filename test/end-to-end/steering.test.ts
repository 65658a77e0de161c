import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import { readRun } from "../../src/runlog.ts";
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
  laptop = await startTestLaptop({ scripts: [asked, late, endless, circling] });
});
afterAll(() => laptop[Symbol.asyncDispose]());

function scriptFor(title: string, steps: Omit<Script["steps"][number], "id">[]): Script {
  const numbered = steps.map((step, id) => ({ id: String(id), ...step }));
  return { name: title, when: `Task: resolve an issue[^]*${title}`, holes: {}, steps: numbered };
}
const bash = (command: string) => ({ say: "", calls: [{ name: "bash", arguments: { command } }] });
const submit = { say: "", calls: [{ name: "submit", arguments: { title: "A change", cause: "A.", change: "B." } }] };
const plan = { say: "", calls: [{ name: "update_plan", arguments: { items: "[x] look\n[ ] mend" } }] };

const asked = scriptFor("What is it", [
  bash("sleep 6"),
  { ...bash("echo 42 >answer.txt"), after: "a person with write access[^]*It is forty-two" },
  submit,
  submit,
]);
const late = scriptFor("One thing more", [
  bash("echo 42 >answer.txt"),
  submit,
  submit,
  { ...bash("echo more >more.txt"), after: "a person with write access[^]*Add more.txt" },
  submit,
  submit,
]);
const endless = scriptFor("It never ends", [
  plan,
  bash("echo 43 >answer.txt"),
  ...Array.from({ length: 10 }, (_, n) => bash(`echo ${n}`)),
]);
const circling = scriptFor(
  "It goes in circles",
  Array.from({ length: 10 }, () => bash("cat answer.txt")),
);

test("a comment of somebody with write access is read before the next answer, and the status and eyes on it say so", async () => {
  const where = await addProject(laptop, "asked");
  const number = await fileLabelled(laptop, where, { title: "What is it" });
  await expect.poll(async () => logOf(where, number), { timeout: 60_000 }).toContain('"tool.intent"');
  const octokit = laptop.as("ann");
  await octokit.rest.issues.createComment({ ...where, issue_number: number, body: "It is forty-two." });

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("opened");
  expect(body).toContain("took in a comment by ann");
  const { comments = [] } = laptop.github.state.repositories.get("ann/asked")?.issues.get(number) ?? {};
  const seen = comments.find((comment) => comment.body === "It is forty-two.")?.reactions;
  expect(seen).toMatchObject([{ content: "eyes", author: { type: "Bot" } }]);
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("a comment that comes while the checks run sends a change that passes back to work", async () => {
  const slow = { ...brokenProject, "check.sh": `sleep 4; ${brokenProject["check.sh"]}` };
  const where = await addProject(laptop, "late", slow);
  const number = await fileLabelled(laptop, where, { title: "One thing more" });
  await expect.poll(async () => logOf(where, number), { timeout: 60_000 }).toContain('"agent.end"');
  const octokit = laptop.as("ann");
  await octokit.rest.issues.createComment({ ...where, issue_number: number, body: "Add more.txt, please." });

  const { marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("opened");
  const [pull] = await pullsOf(laptop, where);
  const { data } = await octokit.request("GET /repos/{owner}/{repo}/pulls/{pull_number}", {
    ...where,
    pull_number: pull?.number ?? 0,
    mediaType: { format: "diff" },
  });
  expect(data).toContain("b/more.txt");
  expect(data).toContain("b/answer.txt");
});

test("a run that reaches its limit says how far it came, and shows the change", async () => {
  const settings = `${brokenProject[".github/agent-fix.yml"]}limits: {steps: 4}\n`;
  const where = await addProject(laptop, "endless", { ...brokenProject, ".github/agent-fix.yml": settings });
  const number = await fileLabelled(laptop, where, { title: "It never ends" });

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("gave-up");
  expect(body).toContain("**Stopped: out of steps**");
  expect(body).toContain("limit is 4 steps");
  expect(body).toContain("- ☑ look");
  expect(body).toMatch(/<details>[^]*```diff\ndiff --git a\/answer.txt b\/answer.txt\n[^]*-41\n\+43\n/);
  expect(await pullsOf(laptop, where)).toEqual([]);
});

test("a run that goes round in circles ends by that name", async () => {
  const where = await addProject(laptop, "circling");
  const number = await fileLabelled(laptop, where, { title: "It goes in circles" });

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("gave-up");
  expect(body).toContain("**Stopped: stuck**");
  expect(body).toContain("cat answer.txt");
});

async function logOf(where: { owner: string; repo: string }, number: number): Promise<string> {
  const [status] = await statusesOn(laptop, where, number);
  return JSON.stringify(readRun(laptop.dataDir, status?.marker?.run ?? "none") ?? []);
}
