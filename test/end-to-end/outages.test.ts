import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Exchange } from "../../src/demo/github/exchange.ts";
import type { Calls, Limit } from "../../src/demo/github/faults.ts";
import type { Script } from "../../src/demo/model/script.ts";
import { readRun } from "../../src/runlog.ts";
import { createContract, expectNoViolations } from "../support/contract.ts";
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

const contract = createContract();
let calls: Exchange[] = [];
const onExchange = (exchange: Exchange) => {
  calls.push(exchange);
  contract.onExchange(exchange);
};

const waiting: Script = {
  name: "A short wait",
  when: "Task: resolve an issue[^]*A short wait",
  holes: {},
  steps: [
    { id: "fix", say: "", calls: [{ name: "bash", arguments: { command: "sleep 3; echo 42 >answer.txt" } }] },
    ...["one", "two"].map((id) => ({
      id,
      say: "",
      calls: [{ name: "submit", arguments: { title: "A change", cause: "A cause.", change: "A change." } }],
    })),
  ],
};

let laptop: TestLaptop;
let recorded: ReturnType<typeof recordWrites> | undefined;
beforeAll(async () => {
  const github = { ...contract, onExchange };
  laptop = await startTestLaptop({
    scripts: [waiting, ...answerScripts],
    github,
    settings: { WORKER_CONCURRENCY: "2" },
    // Many conversations at once keep this process from renewing a shorter lock in time.
    pace: { lockMs: 15_000, stalledMs: 5000 },
  });
});
afterAll(async () => {
  await laptop[Symbol.asyncDispose]();
  expectNoViolations(contract);
});
beforeEach(() => {
  calls = [];
});

type Where = { owner: string; repo: string };

/** From a label to a pull request, and from a review of that to a second commit. */
async function converse(where: Where): Promise<{ number: number; pull: number }> {
  const number = await fileLabelled(laptop, where);
  await finalStatus(laptop, where, number);
  const [opened] = await pullsOf(laptop, where);
  const pull = opened?.number ?? 0;
  const comments = [{ path: "answer.txt", line: 1, body: "A reason in README.md is enough." }];
  const review = { event: "COMMENT", body: "Please say why it is 42.", comments } as const;
  await laptop.as("ann").rest.pulls.createReview({ ...where, pull_number: pull, ...review });
  const rounds = async () => (await statusesOn(laptop, where, pull))[0]?.marker?.rounds?.count;
  await expect.poll(rounds, { timeout: 120_000 }).toBe(1);
  await finalStatus(laptop, where, pull);
  return { number, pull };
}

/** Everything that a conversation leaves on GitHub, counted. */
async function leftBy(where: Where, { number, pull }: { number: number; pull: number }) {
  const { pulls, git, checks } = laptop.as("ann").rest;
  const at = { ...where, pull_number: pull };
  const [{ data: full }, { data: inThreads }] = await Promise.all([pulls.get(at), pulls.listReviewComments(at)]);
  const { data: commit } = await git.getCommit({ ...where, commit_sha: full.head.sha });
  const shas = [full.head.sha, ...commit.parents.map(({ sha }) => sha)];
  const runsOn = await Promise.all(
    shas.map(async (ref) => (await checks.listForRef({ ...where, ref, filter: "all" })).data.total_count),
  );
  return {
    onIssue: [(await statusesOn(laptop, where, number)).length, (await repliesOn(laptop, where, number)).length],
    onPull: [(await statusesOn(laptop, where, pull)).length, (await repliesOn(laptop, where, pull)).length],
    inThreads: inThreads.map(({ user }) => user?.login),
    pulls: (await pullsOf(laptop, where)).map(({ head }) => head.ref),
    branches: branchesOf(where),
    commits: full.commits,
    checkRuns: runsOn,
  };
}

function branchesOf({ owner, repo }: Where): string[] {
  const gitDir = laptop.github.state.repositories.get(`${owner}/${repo}`)?.gitDir ?? "";
  const args = ["--git-dir", gitDir, "for-each-ref", "--format=%(refname)"];
  return execFileSync("git", args, { encoding: "utf8" }).trim().split("\n");
}

const once = {
  onIssue: [1, 0],
  onPull: [1, 1],
  inThreads: ["ann", "agent-fix[bot]"],
  pulls: ["agent-fix/issue-1"],
  branches: ["refs/heads/agent-fix/issue-1", "refs/heads/main"],
  commits: 2,
  checkRuns: [1, 1],
};

/** The app's writes in a list of calls, each kind once: what is fixed in its path, with the project's own name. */
function writesIn(all: readonly Exchange[], project: string): { name: string; on: (project: string) => Calls }[] {
  const kinds = new Map<string, (project: string) => Calls>();
  for (const { method, path, body } of all) {
    const isMutation = /^\s*mutation/.test(String(Object(body).query ?? ""));
    if (method === "GET" || (path === "/graphql" && !isMutation)) continue;
    const shape = path
      .replace(`/ann/${project}/`, "/ann/PROJECT/")
      .replace(/\/\d+(?=\/|$)/g, "/[0-9]+")
      .replace(/\/refs\/heads.*/, "/refs/heads.*");
    const on = (name: string) => ({
      method,
      path: new RegExp(`^${shape.replace("PROJECT", name)}$`),
      ...(isMutation && { body: /mutation/ }),
    });
    kinds.set(`${method} ${shape}`, on);
  }
  return Array.from(kinds, ([name, on]) => ({ name, on }));
}

/** What a conversation writes that nothing disturbs; it is held once. */
function writesOfOne() {
  return (recorded ??= recordWrites());
}

async function recordWrites() {
  const where = await addProject(laptop, "recorded");
  expect(await leftBy(where, await converse(where))).toEqual(once);
  const ofPeople = [/\/issues$/, /\/labels$/, /\/reviews$/];
  return writesIn(calls, "recorded").filter(({ name }) => !ofPeople.some((path) => path.test(name)));
}

test("fifty deliveries of one label at once, in any order with those of labels taken off, begin one run", async () => {
  const { webhookUrl = "" } = laptop.github.state;
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  const [wanted, unwanted] = [await addProject(laptop, "fifty"), await addProject(laptop, "fifty-off")];
  const { issues } = laptop.as("ann").rest;
  const off = (where: Where, number: number) =>
    issues.removeLabel({ ...where, issue_number: number, name: "agent-fix" });
  const on = (where: Where, number: number) =>
    issues.addLabels({ ...where, issue_number: number, labels: ["agent-fix"] });
  const numbers = { wanted: await fileLabelled(laptop, wanted), unwanted: await fileLabelled(laptop, unwanted) };
  for (let i = 0; i < 4; i++) {
    await off(wanted, numbers.wanted);
    await on(wanted, numbers.wanted);
    await off(unwanted, numbers.unwanted);
    if (i < 3) await on(unwanted, numbers.unwanted);
  }
  const deliveries = laptop.github.state.deliveries.filter(
    ({ event, payload }) => event === "issues" && payload.includes("/fifty"),
  );
  laptop.github.state.deliveries.length = 0;
  laptop.github.setWebhookUrl(webhookUrl);

  const copies = Array.from({ length: 100 }, (_, i) => {
    const { headers, payload } = deliveries[(i * 7) % deliveries.length] ?? { headers: {}, payload: "" };
    // The same id is GitHub's redelivery; another one what nobody promises not to send.
    return { body: payload, headers: i % 2 === 0 ? headers : { ...headers, "x-github-delivery": `copy-${i}` } };
  });
  await Promise.all(copies.map((copy) => fetch(webhookUrl, { method: "POST", ...copy })));

  expect((await finalStatus(laptop, wanted, numbers.wanted)).marker.state).toBe("opened");
  await laptop.web.sweep(new Date());
  const behind = await addProject(laptop, "behind-fifty");
  await finalStatus(laptop, behind, await fileLabelled(laptop, behind));
  expect(await pullsOf(laptop, wanted)).toHaveLength(1);
  expect(await pullsOf(laptop, unwanted)).toEqual([]);
  const states = (await statusesOn(laptop, unwanted, numbers.unwanted)).map(({ marker }) => marker?.state);
  expect(states.filter((state) => state !== "cancelled")).toEqual([]);
});

test("what happened in ten minutes without deliveries is found by one sweep, through GitHub's list of them and by its labels", async () => {
  const where = await addProject(laptop, "dropped");
  const { state } = laptop.github;
  const { webhookUrl = "" } = state;
  const now = state.now.bind(state);
  const { issues } = laptop.as("ann").rest;
  laptop.github.setWebhookUrl("http://127.0.0.1:1/");
  let minutesAgo = 10;
  state.now = () => `${new Date(Date.now() - minutesAgo * 60_000).toISOString().slice(0, 19)}Z`;
  const listed = await fileLabelled(laptop, where);
  minutesAgo = 7;
  const takenBack = await fileLabelled(laptop, where);
  await issues.removeLabel({ ...where, issue_number: takenBack, name: "agent-fix" });
  minutesAgo = 4;
  const asked = (await issues.create({ ...where, title: "How are you?" })).data.number;
  await issues.createComment({ ...where, issue_number: asked, body: "/agent-fix status" });
  await expect.poll(() => state.deliveries.filter(({ status }) => status === "pending")).toEqual([]);
  const known = state.deliveries.filter(
    ({ event, payload }) => event.startsWith("issue") && payload.includes("/dropped"),
  );
  minutesAgo = 1;
  const unlisted = await fileLabelled(laptop, where);
  await expect.poll(() => state.deliveries.filter(({ status }) => status === "pending")).toEqual([]);
  state.deliveries.splice(0, state.deliveries.length, ...known);
  state.now = now;
  laptop.github.setWebhookUrl(webhookUrl);

  await laptop.web.sweep(new Date());

  for (const number of [listed, unlisted])
    expect((await finalStatus(laptop, where, number)).marker.state).toBe("opened");
  await expect.poll(() => repliesOn(laptop, where, asked)).toEqual([expect.stringContaining("I have not worked here")]);
  expect(await statusesOn(laptop, where, takenBack)).toEqual([]);
  expect(await pullsOf(laptop, where)).toHaveLength(2);
  const again = state.deliveries.filter(({ redelivery, guid }) => redelivery && known.some((one) => one.guid === guid));
  expect(again.map(({ guid }) => guid).toSorted()).toEqual(known.map(({ guid }) => guid).toSorted());
});

test("a 502 after any write of a run and of a round, though it was done, leaves everything there once", async () => {
  const writes = await writesOfOne();
  expect(writes.map(({ name }) => name).toSorted()).toEqual(expect.arrayContaining(expectedWrites));

  const stories = writes.map(async ({ name, on }, index) => {
    const project = `lost-${index}`;
    const where = await addProject(laptop, project);
    laptop.github.faults.loseAnswer(on(project));
    return [name, await leftBy(where, await converse(where))];
  });

  expect(await Promise.all(stories)).toEqual(writes.map(({ name }) => [name, once]));
  expect(calls.filter(({ status }) => status === 502)).toHaveLength(writes.length);
}, 400_000);

/** At least: a way of writing that comes later is tried as well. */
const expectedWrites = [
  "DELETE /installation/token",
  "PATCH /repos/ann/PROJECT/git/refs/heads.*",
  "PATCH /repos/ann/PROJECT/issues/comments/[0-9]+",
  "POST /app/installations/[0-9]+/access_tokens",
  "POST /graphql",
  "POST /repos/ann/PROJECT/check-runs",
  "POST /repos/ann/PROJECT/git/commits",
  "POST /repos/ann/PROJECT/git/refs",
  "POST /repos/ann/PROJECT/git/trees",
  "POST /repos/ann/PROJECT/issues/[0-9]+/comments",
  "POST /repos/ann/PROJECT/pulls",
];

const callOf = (method: string, project: string, path: string, body?: RegExp): Calls => ({
  method,
  path: new RegExp(`^/repos/ann/${project}/${path}`),
  ...(body && { body }),
});

test("a 502 after any write of a merge, though it was done, leaves one merge there", async () => {
  const where = await addProject(laptop, "merged-once");
  await finalStatus(laptop, where, await fileLabelled(laptop, where));
  const [opened] = await pullsOf(laptop, where);
  const number = opened?.number ?? 0;
  const { issues, git, pulls, checks } = laptop.as("ann").rest;
  const head = async () => (await pulls.get({ ...where, pull_number: number })).data.head.sha;
  const writes = [
    ["POST", "git/trees"],
    ["POST", "git/commits"],
    ["PATCH", "git/refs/heads"],
    ["POST", "check-runs"],
  ];

  for (const [method = "", path = ""] of writes) {
    const before = await head();
    const change = { branch: "main", message: "A change", author: "ann" };
    const base = await laptop.github.push("ann/merged-once", { [`${path}.txt`]: "1\n" }, change);
    calls = [];
    laptop.github.faults.loseAnswer(callOf(method, "merged-once", path));
    await issues.createComment({ ...where, issue_number: number, body: "/agent-fix continue" });
    await expect.poll(head, { timeout: 120_000 }).not.toBe(before);
    await finalStatus(laptop, where, number);

    const merge = await head();
    const { data: commit } = await git.getCommit({ ...where, commit_sha: merge });
    expect({ path, parents: commit.parents.map(({ sha }) => sha) }).toEqual({ path, parents: [before, base] });
    const { data: evidence } = await checks.listForRef({ ...where, ref: merge, filter: "all" });
    expect({ path, runs: evidence.total_count }).toEqual({ path, runs: 1 });
    expect(calls.filter(({ status }) => status === 502)).toHaveLength(1);
  }
  expect(await statusesOn(laptop, where, number)).toHaveLength(1);
}, 400_000);

test("a 502 after any write of a merge with what was pushed during a round, though it was done, leaves one merge there", async () => {
  const { faults } = laptop.github;
  const merge = /Merge what was pushed meanwhile/;
  const losing: [string, (project: string) => void][] = [
    ["the tree", (project) => faults.loseAnswer(callOf("POST", project, "git/trees"))],
    ["the commit", (project) => faults.loseAnswer(callOf("POST", project, "git/commits", merge))],
    [
      "the branch",
      (project) =>
        faults.before(callOf("POST", project, "git/commits", merge), () =>
          faults.loseAnswer(callOf("PATCH", project, "git/refs/heads")),
        ),
    ],
  ];

  const stories = losing.map(async ([what, lose], index) => {
    const project = `meanwhile-${index}`;
    const where = await addProject(laptop, project);
    faults.before(callOf("PATCH", project, "git/refs/heads"), async () => {
      const change = { branch: "agent-fix/issue-1", message: "By hand", author: "ann" };
      await laptop.github.push(`ann/${project}`, { "note.txt": "mine\n" }, change);
      lose(project);
    });
    const { commits, onPull, checkRuns } = await leftBy(where, await converse(where));
    return { what, commits, onPull, checkRuns };
  });

  // The check run stays beside the second parent, which was checked.
  const left = { commits: 4, onPull: [1, 1], checkRuns: [0, 0, 1] };
  expect(await Promise.all(stories)).toEqual(losing.map(([what]) => ({ what, ...left })));
  expect(calls.filter(({ status }) => status === 502)).toHaveLength(losing.length);
}, 400_000);

test("tokens that expire right before a write keep nothing from being done, and done once", async () => {
  // One of each way to come by a token: for publishing, for telling, and for the check run.
  const kinds = ["/git/trees", "/pulls", "/issues/[0-9]+/comments", "/check-runs"];
  const writes = (await writesOfOne()).filter(({ name }) => kinds.some((kind) => name.endsWith(kind)));
  expect(writes).toHaveLength(kinds.length);

  const stories = writes.map(async ({ name, on }, index) => {
    const project = `expired-${index}`;
    const where = await addProject(laptop, project);
    laptop.github.faults.before(on(project), () => laptop.github.faults.expireTokens(`ann/${project}`));
    return [name, await leftBy(where, await converse(where))];
  });

  expect(await Promise.all(stories)).toEqual(writes.map(({ name }) => [name, once]));
}, 400_000);

test("tokens that live shorter than a run are renewed", async () => {
  await using brief = await startTestLaptop({ scripts: [waiting], github: { tokenTtlMs: 2000 } });
  const where = await addProject(brief, "brief");

  const { marker } = await finalStatus(brief, where, await fileLabelled(brief, where, { title: "A short wait" }));

  expect(marker.state).toBe("opened");
  const claims = readRun(brief.dataDir, marker.run)?.filter(({ type }) => type === "claimed");
  expect(claims).toHaveLength(1);
});

test.each<[string, Calls, Limit]>([
  ["the pull request", { method: "POST", path: /\/pulls$/ }, { kind: "secondary", status: 403, seconds: 2 }],
  ["the commit", { method: "POST", path: /\/git\/commits$/ }, { kind: "secondary", status: 429, seconds: 2 }],
  ["the check run", { method: "POST", path: /\/check-runs$/ }, { kind: "secondary", status: 403, seconds: 2 }],
  ["the first comment", { method: "POST", path: /\/comments$/ }, { kind: "secondary", status: 403, seconds: 2 }],
  [
    "the last edit",
    { method: "PATCH", path: /\/comments\/\d+$/, body: /Opened/ },
    { kind: "primary", status: 403, seconds: 2 },
  ],
  ["the first question", { method: "GET", path: /\/permission$/ }, { kind: "primary", status: 429, seconds: 2 }],
])("a limit that is met at %s is waited out without a request, and nothing is lost", async (what, at, limit) => {
  const where = await addProject(laptop, `limited-${what.replaceAll(" ", "-")}`);
  const limited = laptop.github.faults.limit(at, limit);

  const number = await fileLabelled(laptop, where);
  const { body, marker } = await finalStatus(laptop, where, number);

  const [pull, ...others] = await pullsOf(laptop, where);
  expect(others).toEqual([]);
  expect(body).toContain(`Opened #${pull?.number}`);
  expect(pull?.body).toContain(`Fixes #${number}`);
  expect(pull?.body).toContain("| `sh check.sh` | exit code 1 | passed |");
  const { data } = await laptop.as("ann").rest.checks.listForRef({ ...where, ref: pull?.head.sha ?? "" });
  expect(data.check_runs).toHaveLength(1);
  // The web's side and the worker's each learn of it by one call, beside those that were under way, of a sweep as well.
  expect(limited.refused).toBeGreaterThan(0);
  expect(limited.refused).toBeLessThanOrEqual(15);
  const types = readRun(laptop.dataDir, marker.run)?.map(({ type }) => type) ?? [];
  const tries = types.filter((type) => type === "claimed").length - types.filter((type) => type === "released").length;
  expect(tries).toBe(1);
});
