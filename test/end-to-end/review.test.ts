import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import {
  addProject,
  answerScripts,
  fileLabelled,
  finalStatus,
  pullsOf,
  repliesOn,
  startTestLaptop,
  statusesOn,
} from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

type Step = Omit<Script["steps"][number], "id">;
type Call = Step["calls"][number];

const reply = (thread: string, disposition: string, text: string): Call => ({
  name: "reply",
  arguments: { thread, disposition, text },
});
const bash = (command: string): Call => ({ name: "bash", arguments: { command } });
const submit = (title: string): Call => ({
  name: "submit",
  arguments: { title, cause: "It was asked for.", change: "What was asked for." },
});
/** What the model does for a review that has the words, before it submits. The first script that fits is taken. */
function scriptFor(words: string, ...calls: Call[]): Script {
  const steps: Step[] = [{ say: "", calls }, ...[1, 2].map(() => ({ say: "", calls: [submit("Do it")] }))];
  const numbered = steps.map((step, id) => ({ id: String(id), ...step }));
  return { name: words, when: `Task: answer a (?:review|question)[^]*${words}`, holes: {}, steps: numbered };
}

const scripts = [
  ...answerScripts,
  scriptFor(
    "Write it out[^]*The suggestions of t1 are in the working tree",
    bash("git diff --stat"),
    reply("t1", "fixed", "The answer is as you wrote it."),
  ),
  scriptFor(
    "Is it final\\?[^]*Is there another\\?",
    reply("t1", "question", "It is, see check.sh:1."),
    reply("t2", "declined", "The check asks for one number (check.sh:1)."),
  ),
  scriptFor(
    "Why not 43\\?[^]*And why not 44\\?",
    reply("t1", "question", "Since check.sh:1 asks for 42."),
    reply("t2", "question", "For the same reason as 43."),
  ),
  scriptFor("And 45\\?", reply("c1", "question", "No: check.sh:1 asks for 42.")),
  scriptFor("Break the check", bash("echo 41 >answer.txt"), reply("r1", "fixed", "It is 41 again."), submit("Do it")),
  scriptFor("What does the check ask for", reply("q1", "question", "For 42 on a line of its own (`check.sh:1`).")),
];

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts });
});
afterAll(() => laptop[Symbol.asyncDispose]());

/** A project with our pull request on it. */
async function openedPull(name: string) {
  const where = await addProject(laptop, name);
  await finalStatus(laptop, where, await fileLabelled(laptop, where));
  const [pull] = await pullsOf(laptop, where);
  if (pull === undefined) throw new Error(`no pull request on ${name}`);
  const at = { ...where, pull_number: pull.number };
  const { pulls, git } = laptop.as("ann").rest;
  const threads = async () => {
    const { data } = await pulls.listReviewComments({ ...at, per_page: 100 });
    return data
      .filter((one) => one.in_reply_to_id === undefined)
      .map((first) => ({
        said: first.body,
        answers: data.filter((one) => one.in_reply_to_id === first.id).map(({ body }) => body.replace(/^<!--.*\n/, "")),
      }));
  };
  return {
    where,
    at,
    number: pull.number,
    head: pull.head.sha,
    headNow: async () => (await pulls.get(at)).data.head.sha,
    commitNow: async () => (await git.getCommit({ ...where, commit_sha: (await pulls.get(at)).data.head.sha })).data,
    review: (login: string, more: object) =>
      laptop.as(login).rest.pulls.createReview({ ...at, event: "COMMENT", ...more }),
    remark: (line: number, body: string) =>
      pulls.createReviewComment({ ...at, commit_id: pull.head.sha, path: "answer.txt", line, body }),
    threads,
    resolved: () => {
      const { pull: about } = laptop.github.state.repositories.get(`ann/${name}`)?.issues.get(pull.number) ?? {};
      return about?.resolved.size ?? 0;
    },
    rounds: async () => (await statusesOn(laptop, where, pull.number))[0]?.marker?.rounds?.count ?? 0,
  };
}

type Opened = Awaited<ReturnType<typeof openedPull>>;

/** Waits until so many rounds were answered; returns the newest answer. */
async function answeredRound(on: Opened, count: number): Promise<string> {
  await expect.poll(on.rounds, { timeout: 60_000 }).toBe(count);
  await finalStatus(laptop, on.where, on.number);
  const replies = await repliesOn(laptop, on.where, on.number);
  return replies.find((body) => body.includes(`**Round ${count}:`)) ?? replies.at(-1) ?? "";
}

test("a submitted review brings one additive commit, and an answer to each point of it", async () => {
  const on = await openedPull("reviewed");
  await on.review("ann", {
    event: "REQUEST_CHANGES",
    body: "Please say why it is 42.",
    comments: [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }],
  });

  const answer = await answeredRound(on, 1);
  const after = await on.headNow();
  const commit = await on.commitNow();

  expect(commit.parents.map(({ sha }) => sha)).toEqual([on.head]);
  expect(await repliesOn(laptop, on.where, on.number)).toEqual([answer]);
  expect(answer).toContain(`**Round 1: 2 points answered in`);
  expect(answer).toContain(`with ${after}**`);
  expect(answer).toMatch(/\| \[answer.txt:1\]\(http\S+\) \| Fixed in [0-9a-f]{12}: README.md says why it is 42. \|/);
  expect(answer).toMatch(/\| \[review by ann\]\(http\S+\) \| Fixed in/);
  expect(answer).toContain("After 9 more rounds I leave the pull request to you.");
  expect(await on.threads()).toEqual([
    {
      said: "A reason in README.md is enough.",
      answers: [`Fixed in ${after.slice(0, 12)}: README.md says why it is 42.`],
    },
  ]);
  expect(on.resolved()).toBe(1);
  expect(await pullsOf(laptop, on.where)).toHaveLength(1);
});

test("commits that a person pushes while a round is at work are merged with it, and the answer says what was checked", async () => {
  const on = await openedPull("overtaken");
  const theirs: string[] = [];
  laptop.github.faults.before({ method: "POST", path: /\/repos\/ann\/overtaken\/git\/commits$/ }, async () => {
    const at = { branch: "agent-fix/issue-1", message: "A note", author: "ann" };
    theirs.push(await laptop.github.push("ann/overtaken", { "note.txt": "mine\n" }, at));
  });
  const comments = [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }];
  await on.review("ann", { body: "Please say why it is 42.", comments });

  const answer = await answeredRound(on, 1);
  const { parents } = await on.commitNow();

  expect(answer).toContain("they are merged, but my checks ran before that merge.");
  expect(answer).toContain(`with ${await on.headNow()}**`);
  expect(parents.map(({ sha }) => sha)).toEqual([theirs[0], expect.any(String)]);
  expect(on.resolved()).toBe(0);
});

test("what is said while a round is at work is the next round's, and nothing of it is lost", async () => {
  const on = await openedPull("reviewed-twice");
  const comments = [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }];
  await on.review("ann", { body: "Please say why it is 42.", comments });
  await expect
    .poll(async () => (await statusesOn(laptop, on.where, on.number))[0]?.body, { timeout: 60_000 })
    .toMatch(/"rounds"/);
  await on.review("ann", { body: "Please say why it is 42, once more.", comments });
  await answeredRound(on, 2);

  const threads = await on.threads();
  expect(threads.map(({ answers }) => answers)).toEqual([
    [expect.stringContaining("Fixed in")],
    [expect.stringContaining("Fixed in")],
  ]);
  expect((await repliesOn(laptop, on.where, on.number)).join("\n")).toContain(await on.headNow());
});

test("a suggestion is applied exactly, with its author's name on the commit", async () => {
  const on = await openedPull("suggested");
  await on.remark(1, "Write it out:\n```suggestion\n42\nforty-two\n```");

  const answer = await answeredRound(on, 1);
  const commit = await on.commitNow();
  const at = { ...on.where, path: "answer.txt", ref: commit.sha };
  const { data: file } = await laptop.as("ann").rest.repos.getContent(at);

  expect(file).toMatchObject({ content: Buffer.from("42\nforty-two\n").toString("base64") });
  expect(commit.message).toMatch(/\nCo-authored-by: ann <\d+\+ann@users\.noreply\./);
  expect(answer).toContain("Applied as suggested in");
});

test("a round of questions is answered in its threads, without a commit, and resolves nothing", async () => {
  const on = await openedPull("asked");
  await on.review("ann", {
    comments: [
      { path: "answer.txt", line: 1, body: "Is it final?" },
      { path: "answer.txt", line: 1, body: "Is there another?" },
    ],
  });

  const answer = await answeredRound(on, 1);

  expect(answer).toContain("2 points answered in");
  expect(answer).toContain("nothing changed**");
  expect((await on.threads()).map(({ answers }) => answers)).toEqual([
    ["It is, see check.sh:1."],
    ['Not changed: The check asks for one number (check.sh:1). Say "do it anyway" and I will.'],
  ]);
  expect(on.resolved()).toBe(0);
  expect(await on.headNow()).toBe(on.head);
});

test("single comments soon after one another are one round, and one that names us below is another", async () => {
  const on = await openedPull("singly");
  await on.remark(1, "Why not 43?");
  await on.remark(1, "And why not 44?");
  await answeredRound(on, 1);

  await laptop.as("ann").rest.issues.createComment({ ...on.where, issue_number: on.number, body: "And 45?" });
  await laptop
    .as("ann")
    .rest.issues.createComment({ ...on.where, issue_number: on.number, body: "@agent-fix And 45?" });
  const second = await answeredRound(on, 2);

  expect((await on.threads()).flatMap(({ answers }) => answers)).toHaveLength(2);
  expect(second).toMatch(/\[comment by ann\]\(http\S+\) \| No: check.sh:1 asks for 42. \|/);
});

test("a round whose change does not pass pushes nothing, says so, and is taken up again only when asked", async () => {
  const on = await openedPull("broken");
  await on.review("ann", { body: "Break the check, please." });

  const answer = await answeredRound(on, 1);
  await laptop.as("ann").rest.issues.createComment({ ...on.where, issue_number: on.number, body: "/agent-fix retry" });
  await expect.poll(async () => (await repliesOn(laptop, on.where, on.number)).length, { timeout: 60_000 }).toBe(2);

  expect(answer).toContain("do not try again by myself: `/agent-fix retry` makes me.");
  expect(await on.headNow()).toBe(on.head);
  expect((await finalStatus(laptop, on.where, on.number)).marker.rounds).toMatchObject({ count: 1, failures: 1 });
});

test("a review that no webhook told of is found by the sweep", async () => {
  const on = await openedPull("lost");
  const { webhookUrl } = laptop.github.state;
  laptop.github.state.webhookUrl = undefined;
  await on.review("ann", {
    body: "Please say why it is 42.",
    comments: [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }],
  });
  laptop.github.state.webhookUrl = webhookUrl;

  await laptop.web.sweep(new Date());

  expect(await answeredRound(on, 1)).toContain("2 points answered");
});

test("a review by somebody without write is refused in words, once, and changes nothing", async () => {
  const on = await openedPull("foreign");
  laptop.github.setRole("ann/foreign", "rob", "read");
  await on.review("rob", { body: "Please say why it is 42." });
  await on.review("rob", { body: "Please say why it is 42, I said." });

  const refusals = async () => (await repliesOn(laptop, on.where, on.number)).length;
  await expect.poll(refusals, { timeout: 20_000 }).toBe(1);
  const reviews = () =>
    laptop.github.state.deliveries.filter((one) => one.event === "pull_request_review" && one.statusCode === 200)
      .length;
  await expect.poll(reviews).toBeGreaterThan(1);

  expect(await repliesOn(laptop, on.where, on.number)).toEqual([
    expect.stringContaining("Only people with write access can start me"),
  ]);
  expect(await on.headNow()).toBe(on.head);
});

test("an approval without words starts nothing", async () => {
  const on = await openedPull("approved");
  await on.review("ann", { event: "APPROVE" });
  const delivered = () => laptop.github.state.deliveries.find((one) => one.event === "pull_request_review");
  await expect.poll(delivered, { timeout: 20_000 }).toMatchObject({ statusCode: 200 });
  // Whatever the approval had begun would be answered before this.
  const other = await addProject(laptop, "later");
  await finalStatus(laptop, other, await fileLabelled(laptop, other));

  expect(await statusesOn(laptop, on.where, on.number)).toEqual([]);
});

test("a question that names us on an issue is answered there by a run that changes nothing", async () => {
  const where = await addProject(laptop, "question");
  const { issues } = laptop.as("ann").rest;
  const { data: issue } = await issues.create({ ...where, title: "A thought" });
  await issues.createComment({
    ...where,
    issue_number: issue.number,
    body: "@agent-fix What does the check ask for?",
  });

  await expect.poll(() => repliesOn(laptop, where, issue.number), { timeout: 60_000 }).toHaveLength(1);

  expect((await repliesOn(laptop, where, issue.number))[0]).toMatch(
    /-->\nFor 42 on a line of its own \(`check.sh:1`\)\.$/,
  );
  expect(await statusesOn(laptop, where, issue.number)).toEqual([]);
  expect(await pullsOf(laptop, where)).toEqual([]);
});
