import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import { readRun } from "../../src/runlog.ts";
import { addProject, fileLabelled, finalStatus, pullsOf, startTestLaptop } from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [untested, breaking, corrected] });
});
afterAll(() => laptop[Symbol.asyncDispose]());

function scriptFor(title: string, steps: Omit<Script["steps"][number], "id">[]): Script {
  const numbered = steps.map((step, id) => ({ id: String(id), ...step }));
  return { name: title, when: `Task: resolve an issue[^]*${title}`, holes: {}, steps: numbered };
}
const bash = (command: string) => ({ say: "", calls: [{ name: "bash", arguments: { command } }] });
const submit = { say: "", calls: [{ name: "submit", arguments: { title: "A change", cause: "A.", change: "B." } }] };
const submits = Array.from({ length: 8 }, () => submit);

const untested = scriptFor("It is not tested", [bash("echo 42 >answer.txt"), ...submits]);
const breaking = scriptFor("It breaks", [bash(": >answer.txt"), ...submits]);
const corrected = scriptFor("A wrong first try", [
  bash(": >answer.txt; echo more >>README.md"),
  submit,
  submit,
  { ...bash("echo 41 >answer.txt"), after: "it did not pass: `sh check.sh` fails with the change" },
  submit,
  submit,
]);

/** A project whose one check passes. */
const project = {
  "README.md": "# answer\n",
  "answer.txt": "41\n",
  "check.sh": 'test -s answer.txt || { echo "there is no answer"; exit 1; }\n',
  ".github/agent-fix.yml": "checks:\n  - sh check.sh\n",
};

function gatesOf(run: string) {
  return (readRun(laptop.dataDir, run) ?? []).filter((event) => event.type === "gate");
}

test("a mend without a test is asked for one once, and opens as a draft without", async () => {
  const where = await addProject(laptop, "untested", project);
  const number = await fileLabelled(laptop, where, { title: "It is not tested" });

  const { marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("opened");
  expect(await pullsOf(laptop, where)).toMatchObject([{ draft: true, state: "open" }]);
  const gates = gatesOf(marker.run);
  expect(gates.map(({ passed, verdict }) => [passed, verdict?.decision, verdict?.bite.kind])).toEqual([
    [false, "draft", "no-test"],
    [true, "draft", "no-test"],
  ]);
});

test("a change that breaks a check goes back once, and what it makes of that passes", async () => {
  const where = await addProject(laptop, "corrected", project);
  const number = await fileLabelled(laptop, where, { title: "A wrong first try" });

  const { marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("opened");
  expect(await pullsOf(laptop, where)).toMatchObject([{ draft: false }]);
  expect(gatesOf(marker.run).map(({ verdict }) => verdict?.decision)).toEqual(["rejected", "ready"]);
});

test("the second rejection is final, and says what each check came to, with the change folded", async () => {
  const where = await addProject(laptop, "breaking", project);
  const number = await fileLabelled(laptop, where, { title: "It breaks" });

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("gave-up");
  expect(gatesOf(marker.run).map(({ verdict }) => verdict?.decision)).toEqual(["rejected", "rejected"]);
  expect(body).toContain("**Stopped: gate rejected**");
  expect(body).toContain("did not pass: `sh check.sh` fails with the change (exit code 1).");
  expect(body).toContain("- `sh check.sh`: regressed (exit code 1, before the change: passed)");
  expect(body).toMatch(/<details>[^]*there is no answer[^]*```diff\n[^]*-41\n/);
  expect(await pullsOf(laptop, where)).toEqual([]);
  expect(branchesOf(where)).toEqual(["main"]);
});

test("with keepBranch, what did not pass is a branch that the answer names, and no pull request", async () => {
  const settings = `${project[".github/agent-fix.yml"]}keepBranch: true\n`;
  const where = await addProject(laptop, "kept", { ...project, ".github/agent-fix.yml": settings });
  const number = await fileLabelled(laptop, where, { title: "It breaks" });

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("gave-up");
  expect(body).toContain(`It stands on the branch \`agent-fix/issue-${number}\`, without a pull request.`);
  expect(branchesOf(where)).toEqual([`agent-fix/issue-${number}`, "main"]);
  const { data } = await laptop.as("ann").rest.checks.listForRef({ ...where, ref: `agent-fix/issue-${number}` });
  expect(data.check_runs).toMatchObject([{ name: "agent-fix", conclusion: "failure", details_url: null }]);
  expect(await pullsOf(laptop, where)).toEqual([]);
});

function branchesOf({ owner, repo }: { owner: string; repo: string }): string[] {
  const gitDir = laptop.github.state.repositories.get(`${owner}/${repo}`)?.gitDir ?? "";
  const out = execFileSync("git", ["--git-dir", gitDir, "for-each-ref", "--format=%(refname:short)", "refs/heads"]);
  return out.toString().trim().split("\n");
}
