import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import {
  addProject,
  answerScripts,
  brokenProject,
  fileLabelled,
  finalStatus,
  pullsOf,
  repliesOn,
  startTestLaptop,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

const submit = {
  say: "",
  calls: [{ name: "submit", arguments: { title: "Merge it", cause: "Both changed it.", change: "Both are in." } }],
};
const bash = (command: string) => ({ say: "", calls: [{ name: "bash", arguments: { command } }] });
const scripts: Script[] = [
  {
    name: "merges",
    when: String.raw`Task: merge the base branch[^]*ann/joined[^]*CONFLICT \(content\): Merge conflict in answer.txt`,
    holes: {},
    steps: [
      { id: "look", ...bash("cat answer.txt") },
      { id: "mend", after: "41 or 42", ...bash("echo 42 >answer.txt") },
      { id: "submit", ...submit },
      { id: "again", ...submit },
    ],
  },
  {
    name: "mends the merge",
    when: "Task: merge the base branch[^]*ann/demanding[^]*but the result does not pass",
    holes: {},
    steps: [
      { id: "mend", ...bash("echo because >reason.txt && sh check.sh") },
      { id: "submit", ...submit },
      { id: "again", ...submit },
    ],
  },
  {
    name: "can't keep both",
    when: "Task: merge the base branch[^]*ann/torn",
    holes: {},
    steps: [
      { id: "submit", ...submit },
      { id: "again", ...submit },
      { id: "back", after: "Where both sides can't be kept, leave them", ...submit },
      { id: "end", ...submit },
    ],
  },
  {
    name: "lints",
    when: "Task: mend failing checks[^]*ann/pushed",
    holes: {},
    steps: [
      { id: "lint", ...bash("echo linted >lint.txt") },
      { id: "submit", ...submit },
      { id: "again", ...submit },
    ],
  },
];

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [...answerScripts, ...scripts] });
});
afterAll(() => laptop[Symbol.asyncDispose]());

/** Our pull request in a project of this name. */
async function openedPull(name: string, files: Record<string, string> = {}) {
  const settings = `${brokenProject[".github/agent-fix.yml"]}ci: run\n`;
  const where = await addProject(laptop, name, { ...brokenProject, ...files, ".github/agent-fix.yml": settings });
  await finalStatus(laptop, where, await fileLabelled(laptop, where));
  const [pull] = await pullsOf(laptop, where);
  if (pull === undefined) throw new Error(`no pull request on ${name}`);
  const { pulls, git, repos, checks } = laptop.as("ann").rest;
  const { number } = pull;
  const head = async () => (await pulls.get({ ...where, pull_number: number })).data.head.sha;
  const path = (ref: string, file: string) => ({ ...where, path: file, ref });
  return {
    where,
    number,
    first: pull.head.sha,
    head,
    commit: async (id: string) => (await git.getCommit({ ...where, commit_sha: id })).data,
    read: async (ref: string, file: string) => {
      const { data } = await repos.getContent(path(ref, file));
      return "content" in data ? Buffer.from(data.content, "base64").toString() : "";
    },
    evidence: async (ref: string) =>
      (await checks.listForRef({ ...where, ref, check_name: "agent-fix" })).data.check_runs.map(({ status }) => status),
    push: (files: Record<string, string>, branch = "main") =>
      laptop.github.push(`ann/${name}`, files, { branch, message: "A change", author: "ann" }),
    say: (body: string) => laptop.as("ann").rest.issues.createComment({ ...where, issue_number: number, body }),
    /** A check of the repository's own CI ends. */
    check: (commit: string, conclusion: "success" | "failure") =>
      laptop.github.otherApps.check(`ann/${name}`, { app: "ci", name: "lint", commit, conclusion }),
    said: () => repliesOn(laptop, where, number),
  };
}

test("a base that conflicts is merged by one commit with two parents, which passed the checks", async () => {
  const on = await openedPull("joined");
  const base = await on.push({ "answer.txt": "41 or 42\n", "other.txt": "of the base\n" });
  await on.check(on.first, "success");

  await expect.poll(on.head, { timeout: 60_000 }).not.toBe(on.first);
  const { marker, body } = await finalStatus(laptop, on.where, on.number);

  const head = await on.head();
  const commit = await on.commit(head);
  expect(commit.parents.map(({ sha }) => sha)).toEqual([on.first, base]);
  expect(commit.message).toMatch(/^Merge main into agent-fix\/issue-1\n[^]*Agent-Fix-Run: /);
  expect(await on.read(head, "answer.txt")).toBe("42\n");
  expect(await on.read(head, "other.txt")).toBe("of the base\n");
  expect(await on.evidence(head)).toEqual(["completed"]);
  expect(body).toContain("**Base merged in");
  expect(body).toContain("it conflicted in `answer.txt`, resolved in this push");
  expect(marker.watch).toMatchObject({ attempts: 1 });
  expect(await on.said()).toEqual([]);
});

const workflow = (first: string, last: string) => `name: ${first}\non: push\njobs:\n  a: {}\n# ${last}\n`;
const workflowFile = ".github/workflows/ci.yml";

test("a base that moved on without a conflict is merged when somebody says so, without the model and with what people pushed", async () => {
  const on = await openedPull("moved-on");
  const pushed = await on.push({ [workflowFile]: workflow("ci", "end") }, "agent-fix/issue-1");
  const base = await on.push({ "other.txt": "of the base\n" });

  await on.say("/agent-fix continue");
  await expect.poll(on.head, { timeout: 60_000 }).not.toBe(pushed);
  const { body } = await finalStatus(laptop, on.where, on.number);
  const head = await on.head();

  expect((await on.commit(head)).parents.map(({ sha }) => sha)).toEqual([pushed, base]);
  expect(await on.read(head, "other.txt")).toBe("of the base\n");
  expect(await on.read(head, workflowFile)).toBe(workflow("ci", "end"));
  expect(await on.evidence(head)).toEqual(["completed"]);
  expect(body).toContain("no conflict");

  await on.say("/agent-fix continue");
  await expect
    .poll(async () => (await finalStatus(laptop, on.where, on.number)).body, { timeout: 60_000 })
    .toContain("**Nothing to merge**");
  expect(await on.head()).toBe(head);
});

test("a merge without a conflict that does not pass as it is goes to the model", async () => {
  const on = await openedPull("demanding");
  const base = await on.push({ "check.sh": "grep -qx 42 answer.txt && test -f reason.txt\n" });

  await on.say("/agent-fix continue");
  await expect.poll(on.head, { timeout: 60_000 }).not.toBe(on.first);
  const head = await on.head();

  expect((await on.commit(head)).parents.map(({ sha }) => sha)).toEqual([on.first, base]);
  expect(await on.read(head, "reason.txt")).toBe("because\n");
  expect(await on.read(head, "answer.txt")).toBe("42\n");
});

test("a merge of workflow files that GitHub lets no app push is left to a person, who is told so", async () => {
  const on = await openedPull("workflows", { [workflowFile]: workflow("ci", "end") });
  const pushed = await on.push({ [workflowFile]: workflow("tests", "end") }, "agent-fix/issue-1");
  await on.push({ [workflowFile]: workflow("ci", "the end") });

  await on.say("/agent-fix continue");
  const status = async () => (await finalStatus(laptop, on.where, on.number)).marker.cause;
  await expect.poll(status, { timeout: 60_000 }).toBe("workflow files");
  const { body } = await finalStatus(laptop, on.where, on.number);

  expect(body).toContain(`GitHub lets no app write \`${workflowFile}\``);
  expect(body).toContain("Merge the base into the branch yourself");
  expect(await on.head()).toBe(pushed);
  expect(await on.said()).toEqual([
    expect.stringContaining("ann handed the branch back to me"),
    expect.stringMatching(
      /I could not merge `main` into this branch by myself: workflow files\.[^]*yourself, and push/,
    ),
  ]);
});

test("a conflict in which both sides can't be kept is handed over in one comment", async () => {
  const on = await openedPull("torn");
  await on.push({ "answer.txt": "40\n" });
  await on.check(on.first, "success");

  await expect.poll(on.said, { timeout: 60_000 }).toHaveLength(1);
  const { marker } = await finalStatus(laptop, on.where, on.number);

  expect(marker).toMatchObject({ state: "gave-up", cause: "conflict", watch: { attempts: 1 } });
  expect(await on.said()).toEqual([
    expect.stringMatching(
      /`main` conflicts with this branch in `answer.txt`[^]*two ways out:[^]*1\. Merge[^]*2\. Close/,
    ),
  ]);
  expect(await on.head()).toBe(on.first);
});

test("who pushes to the branch is told once that it is theirs, and `continue` hands it back", async () => {
  const on = await openedPull("pushed");
  const pushed = await on.push({ "note.txt": "mine\n" }, "agent-fix/issue-1");
  await on.check(pushed, "failure");
  await expect
    .poll(on.said, { timeout: 20_000 })
    .toEqual([expect.stringContaining(`You pushed \`${pushed.slice(0, 7)}\`; I do not touch this branch by myself`)]);

  await on.say("/agent-fix continue");
  await expect
    .poll(on.said, { timeout: 20_000 })
    .toEqual([expect.stringContaining(`ann handed the branch back to me at \`${pushed.slice(0, 7)}\``)]);
  expect((await finalStatus(laptop, on.where, on.number)).body).toContain("**Nothing to merge**");
  expect(await on.head()).toBe(pushed);
  await on.check(pushed, "failure");

  await expect.poll(on.head, { timeout: 60_000 }).not.toBe(pushed);
  expect((await on.commit(await on.head())).parents.map(({ sha }) => sha)).toEqual([pushed]);
  expect(await on.said()).toHaveLength(1);
});
