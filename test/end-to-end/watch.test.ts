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
  calls: [{ name: "submit", arguments: { title: "Lint it", cause: "It was not linted.", change: "It is linted." } }],
};
const lints: Script = {
  name: "lints",
  when: "Task: mend failing checks[^]*answer.txt:1: no-answer: The answer has no lint",
  holes: {},
  steps: [
    { id: "lint", say: "", calls: [{ name: "bash", arguments: { command: "echo linted >lint.txt" } }] },
    { id: "submit", ...submit },
    { id: "again", ...submit },
  ],
};

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [...answerScripts, lints] });
});
afterAll(() => laptop[Symbol.asyncDispose]());

/** Our pull request in a project whose settings say whether CI runs on it. */
async function openedPull(name: string, ci: "run" | "hold") {
  const settings = `${brokenProject[".github/agent-fix.yml"]}ci: ${ci}\n`;
  const where = await addProject(laptop, name, { ...brokenProject, ".github/agent-fix.yml": settings });
  await finalStatus(laptop, where, await fileLabelled(laptop, where));
  const [pull] = await pullsOf(laptop, where);
  if (pull === undefined) throw new Error(`no pull request on ${name}`);
  const { pulls, git, issues, checks } = laptop.as("ann").rest;
  const head = async () => (await pulls.get({ ...where, pull_number: pull.number })).data.head.sha;
  return {
    where,
    number: pull.number,
    first: pull.head.sha,
    base: pull.base.sha,
    head,
    commit: async () => (await git.getCommit({ ...where, commit_sha: await head() })).data,
    say: (body: string, who = "ann") =>
      laptop.as(who).rest.issues.createComment({ ...where, issue_number: pull.number, body }),
    answers: async () =>
      (await issues.listComments({ ...where, issue_number: pull.number })).data.flatMap(({ body = "" }) =>
        body.startsWith("<!-- agent-fix:answer") ? [body.split("\n")[1] ?? ""] : [],
      ),
    told: async (ref: string) =>
      (await checks.listForRef({ ...where, ref, check_name: "agent-fix / checks" })).data.check_runs.map(
        ({ output, conclusion }) => `${conclusion}: ${output.title}`,
      ),
    fails: (commit: string, message = "The answer has no lint") =>
      laptop.github.otherApps.check(`ann/${name}`, {
        app: "ci",
        name: "lint",
        commit,
        conclusion: "failure",
        annotations: [
          {
            path: "answer.txt",
            start_line: 1,
            end_line: 1,
            annotation_level: "failure",
            title: "no-answer",
            message,
          },
        ],
      }),
  };
}

test("a check of the repository's own CI that our change broke is mended by one more commit", async () => {
  const on = await openedPull("linted", "run");
  await on.fails(on.first);

  await expect.poll(on.head, { timeout: 60_000 }).not.toBe(on.first);
  const { marker, body } = await finalStatus(laptop, on.where, on.number);

  expect((await on.commit()).parents.map(({ sha }) => sha)).toEqual([on.first]);
  expect(body).toContain("**Failing checks mended in");
  expect(marker.watch).toMatchObject({ attempts: 1 });
});

test("what is red on the base as well is left alone, and said so beside the checks", async () => {
  const on = await openedPull("red-base", "run");
  await on.fails(on.base);
  await on.fails(on.first);

  await expect.poll(() => on.told(on.first), { timeout: 20_000 }).toContain("neutral: Red on the base as well");

  expect(await on.head()).toBe(on.first);
});

test("a machine that failed is named as such", async () => {
  const on = await openedPull("machine", "run");
  await on.fails(on.first, "No space left on device");

  await expect
    .poll(() => on.told(on.first), { timeout: 20_000 })
    .toContain("neutral: The machine failed, and not the code");
});

test("`/agent-fix ci` by somebody with write adds one empty commit on which CI runs, once", async () => {
  const on = await openedPull("held", "hold");
  expect((await on.commit()).message).toContain("[skip ci]");

  laptop.github.setRole("ann/held", "rob", "read");
  await on.say("/agent-fix ci", "rob");
  await expect.poll(() => repliesOn(laptop, on.where, on.number), { timeout: 20_000 }).toHaveLength(1);
  expect(await on.head()).toBe(on.first);

  await on.say("/agent-fix ci");
  await expect.poll(on.head, { timeout: 20_000 }).not.toBe(on.first);
  const commit = await on.commit();
  await on.say("/agent-fix ci");
  await expect.poll(on.answers, { timeout: 20_000 }).toHaveLength(2);

  expect(commit.message).not.toContain("[skip ci]");
  expect(commit.parents.map(({ sha }) => sha)).toEqual([on.first]);
  expect(commit.tree.sha).toBe(
    (await laptop.as("ann").rest.git.getCommit({ ...on.where, commit_sha: on.first })).data.tree.sha,
  );
  expect(await on.head()).toBe(commit.sha);
  expect(await on.answers()).toEqual([
    expect.stringContaining(`CI can run on \`${commit.sha.slice(0, 12)}\``),
    expect.stringContaining("does not hold CI back"),
  ]);
});
