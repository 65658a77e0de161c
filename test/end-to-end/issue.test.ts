import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import { readRun } from "../../src/runlog.ts";
import {
  brokenProject,
  addProject,
  answerScripts,
  fileLabelled,
  finalStatus,
  pullsOf,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";
import type { Evidence } from "../../worker/evidence.ts";

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [...answerScripts, ...stubborn] });
});
afterAll(() => laptop[Symbol.asyncDispose]());

/** Says something for an issue with this title, and the same again after every rejection. */
function scriptFor(title: string, command: string): Script {
  const submit = { name: "submit", arguments: { title: "A change", cause: "A cause.", change: "A change." } };
  const submits = Array.from({ length: 10 }, (_, i) => ({ id: `submit-${i}`, say: "", calls: [submit] }));
  const fix = { id: "fix", say: "", calls: [{ name: "bash", arguments: { command } }] };
  return { name: title, when: `Task: resolve an issue[^]*${title}`, holes: {}, steps: [fix, ...submits] };
}
const stubborn = [
  scriptFor("The wrong repair", "echo 43 >answer.txt"),
  scriptFor("Nothing is wrong here", "cat answer.txt"),
  scriptFor("A long wait", "sleep 600"),
  scriptFor("A short wait", "sleep 3; echo 42 >answer.txt"),
  scriptFor(
    "Binary and odd files",
    "echo 42 >answer.txt && mkdir docs && head -c 300000 /dev/urandom >docs/noise.png && ln -s answer.txt link && printf '#!/bin/sh\\n' >'run me;$(id).sh' && chmod +x run*",
  ),
  scriptFor(
    "A link out of the tree",
    "echo 42 >answer.txt && ln -s /etc/passwd secret && ln -s ../../../../etc/shadow up",
  ),
  scriptFor(
    "A poisoned repository",
    "echo 42 >answer.txt && git config core.fsmonitor 'touch /tmp/pwned-by-agent-fix' && git config core.hooksPath /workspace/repo/hooks && mkdir nested && cd nested && git init -q && git config core.fsmonitor 'touch /tmp/pwned-by-agent-fix' && echo x >inside",
  ),
  scriptFor("--upload-pack=touch /tmp/pwned", "echo 42 >answer.txt"),
];

test("a labelled issue becomes one pull request that carries its evidence, and the status comment names it", async () => {
  const where = await addProject(laptop, "plain");
  const number = await fileLabelled(laptop, where);

  const { body, marker } = await finalStatus(laptop, where, number);
  const [pull, ...others] = await pullsOf(laptop, where);

  expect(others).toEqual([]);
  expect(marker.state).toBe("opened");
  expect(body).toMatch(new RegExp(`\\*\\*Opened #${pull?.number} in \\d+ s\\*\\*`));
  expect(pull).toMatchObject({ title: "Give the right answer", head: { ref: `agent-fix/issue-${number}` } });
  expect(pull?.body).toContain(`Fixes #${number}`);
  expect(pull?.body).toContain("| `sh check.sh` | exit code 1 | passed |");
  const visible = (pull?.body ?? "")
    .replaceAll(/<details>[^]*?<\/details>/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  expect(visible.length).toBeLessThanOrEqual(25);
  const { data: commit } = await laptop.as("ann").rest.git.getCommit({ ...where, commit_sha: pull?.head.sha ?? "" });
  expect(commit.author.name).toBe("agent-fix[bot]");
  expect(commit.verification.verified).toBe(true);
  expect(commit.message).toContain(`Agent-Fix-Run: ${marker.run}`);
  expect(commit.parents.map(({ sha }) => sha)).toEqual([pull?.base.sha]);
});

test("what the verdict rests on stands beside the commit and in the run's folder", async () => {
  const where = await addProject(laptop, "evidence");
  const { marker } = await finalStatus(laptop, where, await fileLabelled(laptop, where));
  const [pull] = await pullsOf(laptop, where);

  const { data } = await laptop.as("ann").rest.checks.listForRef({ ...where, ref: pull?.head.sha ?? "" });
  expect(data.check_runs).toMatchObject([
    { name: "agent-fix", external_id: marker.run, conclusion: "success", details_url: pull?.html_url },
  ]);
  expect(data.check_runs[0]?.output.summary).toContain("| `sh check.sh` | exit code 1 | passed |");
  const evidence = JSON.parse(readFileSync(`${laptop.dataDir}/runs/${marker.run}/evidence.json`, "utf8")) as Evidence;
  expect(evidence).toMatchObject({
    decision: "ready",
    commits: { base: pull?.base.sha, published: pull?.head.sha },
    checks: [{ run: "sh check.sh", word: "new-pass", base: { passed: false }, change: { passed: true } }],
  });
});

test("tokens ask for no more than their work needs, and those that read or write code are revoked with it", async () => {
  const left = [...laptop.github.state.installationTokens.values()].map(({ permissions }) => permissions);

  expect(left).not.toEqual([]);
  const readOrWrite = left.filter(({ contents, issues }) => contents === "write" || (contents && issues === undefined));
  expect(readOrWrite).toEqual([]);
});

test("the same delivery again gives one pull request and one answer", async () => {
  const where = await addProject(laptop, "twice");
  const number = await fileLabelled(laptop, where);
  const app = laptop.github.state.deliveries.filter((one) => one.action === "labeled");
  const { webhookUrl = "" } = laptop.github.state;
  const newest = app[0];
  if (newest === undefined) throw new Error("nothing was delivered");
  for (let i = 0; i < 3; i++)
    expect((await fetch(webhookUrl, { method: "POST", headers: newest.headers, body: newest.payload })).status).toBe(
      200,
    );

  await finalStatus(laptop, where, number);
  await laptop.web.sweep(new Date());

  expect(await pullsOf(laptop, where)).toHaveLength(1);
  expect(await statusesOn(laptop, where, number)).toHaveLength(1);
});

test("the label taken off and set again while a run works gives one pull request, and the sweep begins nothing more", async () => {
  const where = await addProject(laptop, "flickering");
  const number = await fileLabelled(laptop, where, { title: "A short wait" });
  await expect.poll(async () => runText(where, number), { timeout: 60_000 }).toContain("sleep 3");
  const octokit = laptop.as("ann");
  await octokit.rest.issues.removeLabel({ ...where, issue_number: number, name: "agent-fix" });
  await octokit.rest.issues.addLabels({ ...where, issue_number: number, labels: ["agent-fix"] });
  const newest = await lastLabel(where, number);
  await expect
    .poll(async () => (await statusesOn(laptop, where, number))[0]?.marker, { timeout: 90_000 })
    .toMatchObject({ state: "opened", trigger: `label-${newest}` });

  await laptop.web.sweep(new Date());
  const other = await addProject(laptop, "behind-it");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  const [pull, ...others] = await pullsOf(laptop, where);
  expect(others).toEqual([]);
  const { data: full } = await octokit.rest.pulls.get({ ...where, pull_number: pull?.number ?? 0 });
  expect(full.commits).toBe(1);
});

/** The log of the run that an issue's status comment names. */
async function runText(where: { owner: string; repo: string }, number: number): Promise<string> {
  const run = (await statusesOn(laptop, where, number))[0]?.marker?.run;
  const file = `${laptop.dataDir}/runs/${run}/log.jsonl`;
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

async function lastLabel(where: { owner: string; repo: string }, number: number): Promise<number | undefined> {
  const { data } = await laptop.as("ann").rest.issues.listEvents({ ...where, issue_number: number });
  return data.findLast((event) => event.event === "labeled")?.id;
}

test("a label set by somebody without write is refused once, in words, and taken off", async () => {
  const where = await addProject(laptop, "refused");
  laptop.github.setRole("ann/refused", "tom", "triage");
  const { data: issue } = await laptop.as("tom").rest.issues.create({ ...where, title: "The answer is wrong" });
  const tom = laptop.as("tom");
  await tom.rest.issues.addLabels({ ...where, issue_number: issue.number, labels: ["agent-fix"] });

  const comments = async () => (await tom.rest.issues.listComments({ ...where, issue_number: issue.number })).data;
  await expect.poll(async () => (await comments()).length, { timeout: 20_000 }).toBe(1);
  const labels = async () => (await tom.rest.issues.get({ ...where, issue_number: issue.number })).data.labels;
  await expect.poll(labels, { timeout: 20_000 }).toEqual([]);

  expect((await comments())[0]?.body).toContain("Only people with write access can start me");
  expect(await pullsOf(laptop, where)).toEqual([]);
});

test("taking the label off stops a run at work, and says who stopped it", async () => {
  const where = await addProject(laptop, "stopped");
  const number = await fileLabelled(laptop, where, { title: "A long wait" });
  const log = () => readFileSync(`${laptop.dataDir}/runs/${runOf()}/log.jsonl`, "utf8");
  let run = "";
  const runOf = () => run;
  await expect
    .poll(async () => (run = (await statusesOn(laptop, where, number))[0]?.marker?.run ?? ""), { timeout: 20_000 })
    .not.toBe("");
  await expect.poll(log, { timeout: 60_000 }).toContain("sleep 600");

  await laptop.as("ann").rest.issues.removeLabel({ ...where, issue_number: number, name: "agent-fix" });
  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("cancelled");
  expect(body).toContain("Stopped by ann");
  expect(await pullsOf(laptop, where)).toEqual([]);
});

test("closing the issue stops a run at work", async () => {
  const where = await addProject(laptop, "closed");
  const number = await fileLabelled(laptop, where, { title: "A long wait" });
  await expect.poll(async () => (await statusesOn(laptop, where, number)).length, { timeout: 20_000 }).toBe(1);
  await laptop.as("ann").rest.issues.update({ ...where, issue_number: number, state: "closed" });

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("cancelled");
});

test("a change that never passes opens no pull request, and the answer names the check", async () => {
  const where = await addProject(laptop, "red");
  const number = await fileLabelled(laptop, where, { title: "The wrong repair" });

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("gave-up");
  expect(body).toContain("`sh check.sh` fails, as it did before the change (exit code 1)");
  expect(await pullsOf(laptop, where)).toEqual([]);
});

test("a model that refuses the request is an answer with its own words, and one that stumbles once is asked again", async () => {
  const where = await addProject(laptop, "refusing");
  laptop.model?.failNext(400, "the template broke");
  const refused = await finalStatus(laptop, where, await fileLabelled(laptop, where));
  laptop.model?.failNext(500, "the engine stumbled");
  const stumbled = await finalStatus(laptop, where, await fileLabelled(laptop, where));

  expect(refused.marker.state).toBe("gave-up");
  expect(refused.body).toContain("the template broke");
  expect(refused.body).toContain("MODEL_BASE_URL");
  expect(stumbled.marker.state).toBe("opened");
});

test("a model that is away for a moment is waited for, and the run log says so", async () => {
  const where = await addProject(laptop, "patient");
  laptop.model?.failNext(503, "Loading model");

  const { marker } = await finalStatus(laptop, where, await fileLabelled(laptop, where));

  expect(marker.state).toBe("opened");
  const waiting = readRun(laptop.dataDir, marker.run)?.filter(({ type }) => type === "model.waiting");
  expect(waiting).toEqual([
    expect.objectContaining({ reason: "its server is away or busy" }),
    expect.not.objectContaining({ reason: expect.anything() }),
  ]);
});

test("the only model that is served is used, whatever MODEL_NAME says", async () => {
  await using other = await startTestLaptop({ scripts: answerScripts, settings: { MODEL_NAME: "nobody/serves-this" } });
  const where = await addProject(other, "misnamed");

  const { marker } = await finalStatus(other, where, await fileLabelled(other, where));

  expect(marker.state).toBe("opened");
});

test("an issue with nothing to change is answered so", async () => {
  const where = await addProject(laptop, "nothing", { ...brokenProject, "answer.txt": "42\n" });
  const number = await fileLabelled(laptop, where, { title: "Nothing is wrong here" });

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("no-change");
});

test("a repository without a check is told which lines to add", async () => {
  const where = await addProject(laptop, "unchecked", { "README.md": "# empty\n" });
  const number = await fileLabelled(laptop, where);

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("needs-input");
  expect(body).toContain(".github/agent-fix.yml");
  expect(body).toMatch(/```yaml\nchecks:\n {2}- /);
});

test("a repository without a commit is told so", async () => {
  const where = await addProject(laptop, "void", null);
  const number = await fileLabelled(laptop, where);

  expect((await finalStatus(laptop, where, number)).body).toContain("no commit yet");
});

test("settings that cannot be read are answered with line, key and the nearest known key", async () => {
  const where = await addProject(laptop, "unsettled", {
    ...brokenProject,
    ".github/agent-fix.yml": "checks: [sh check.sh]\nlimit: {minutes: 5}\n",
  });
  const number = await fileLabelled(laptop, where);

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("needs-input");
  expect(body).toContain("line 2: unknown key `limit`, did you mean `limits`?");
});

test("an image that does not exist is named", async () => {
  const where = await addProject(laptop, "unimaged", {
    ...brokenProject,
    ".github/agent-fix.yml": "image: registry.invalid/nothing:1\nchecks: [sh check.sh]\n",
  });
  const number = await fileLabelled(laptop, where);

  const { body, marker } = await finalStatus(laptop, where, number);

  expect(marker.state).toBe("needs-input");
  expect(body).toContain("registry.invalid/nothing:1");
});

test.each([
  ["$(touch /tmp/pwned) `id` The answer is wrong"],
  ["The answer is wrong\u2028@everyone fixes #1 <script>alert(1)</script>"],
  ["The answer is wrong --upload-pack=touch${IFS}/tmp/pwned"],
])("a hostile title is text: %j", async (title) => {
  const where = await addProject(laptop, `hostile-${title.length}`);
  const number = await fileLabelled(laptop, where, { title });

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
  expect(await pullsOf(laptop, where)).toHaveLength(1);
});

test("binary files, links and modes arrive in the pull request as the agent left them", async () => {
  const where = await addProject(laptop, "odd");
  const number = await fileLabelled(laptop, where, { title: "Binary and odd files" });

  await finalStatus(laptop, where, number);
  const [pull] = await pullsOf(laptop, where);
  const { diff } = await diffOf(pull?.number ?? 0, where);

  expect(diff).toContain("new file mode 120000");
  expect(diff).toContain("Binary files /dev/null and b/docs/noise.png differ");
  expect(diff).toContain("run me;$(id).sh");
  expect(diff).toContain("new file mode 100755");
});

async function diffOf(number: number, where: { owner: string; repo: string }) {
  const answer = await laptop.as("ann").request("GET /repos/{owner}/{repo}/pulls/{pull_number}", {
    ...where,
    pull_number: number,
    mediaType: { format: "diff" },
  });
  return { diff: answer.data as unknown as string };
}

test.each([["A link out of the tree"], ["A poisoned repository"]])(
  "%s opens no pull request that carries it, and runs nothing on the host",
  async (title) => {
    const where = await addProject(laptop, `poison-${title.length}`);
    const number = await fileLabelled(laptop, where, { title });

    const { marker } = await finalStatus(laptop, where, number);
    const pulls = await pullsOf(laptop, where);
    const diffs = await Promise.all(pulls.map(async (pull) => (await diffOf(pull.number, where)).diff));

    expect(["opened", "gave-up"]).toContain(marker.state);
    expect(diffs.join("")).not.toMatch(/root:|shadow|nested|160000|fsmonitor/);
    expect(() => readFileSync("/tmp/pwned-by-agent-fix")).toThrow("ENOENT");
  },
);

test("the label set again on an issue whose pull request is open adds a commit there, and opens no second one", async () => {
  const where = await addProject(laptop, "again");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const octokit = laptop.as("ann");
  await laptop.github.push(
    "ann/again",
    { "answer.txt": "41\n" },
    { branch: `agent-fix/issue-${number}`, message: "Break it", author: "ann" },
  );
  const [before] = await statusesOn(laptop, where, number);
  await octokit.rest.issues.removeLabel({ ...where, issue_number: number, name: "agent-fix" });
  await octokit.rest.issues.addLabels({ ...where, issue_number: number, labels: ["agent-fix"] });
  await expect
    .poll(async () => (await statusesOn(laptop, where, number))[0]?.marker?.trigger, { timeout: 30_000 })
    .not.toBe(before?.marker?.trigger);

  expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
  const [pull, ...others] = await pullsOf(laptop, where);

  expect(others).toEqual([]);
  const { data: full } = await octokit.rest.pulls.get({ ...where, pull_number: pull?.number ?? 0 });
  expect(full.commits).toBe(3);
});

test("a new run after the pull request was closed takes the next branch name", async () => {
  const where = await addProject(laptop, "reopened");
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const octokit = laptop.as("ann");
  const [first] = await pullsOf(laptop, where);
  await octokit.rest.pulls.update({ ...where, pull_number: first?.number ?? 0, state: "closed" });
  const [before] = await statusesOn(laptop, where, number);
  await octokit.rest.issues.removeLabel({ ...where, issue_number: number, name: "agent-fix" });
  await octokit.rest.issues.addLabels({ ...where, issue_number: number, labels: ["agent-fix"] });
  await expect
    .poll(async () => (await statusesOn(laptop, where, number))[0]?.marker?.trigger, { timeout: 30_000 })
    .not.toBe(before?.marker?.trigger);
  await finalStatus(laptop, where, number);

  const pulls = await pullsOf(laptop, where);

  expect(pulls.map((pull) => [pull.head.ref, pull.state])).toEqual([
    [`agent-fix/issue-${number}-2`, "open"],
    [`agent-fix/issue-${number}`, "closed"],
  ]);
});
