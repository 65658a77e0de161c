import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { RefusedError } from "../../src/errors.ts";
import type { CommitChange, Forge, NewPull, Pull } from "../../src/forge.ts";
import type { RunJob } from "../../src/job.ts";
import { openRunLog } from "../../src/runlog.ts";
import type { RunLog } from "../../src/runlog.ts";
import type { Passed } from "../../worker/attempt.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { openPull } from "../../src/branches.ts";
import { processJob } from "../../worker/process.ts";
import { commitMessage, freeBranch, publish, trailer } from "../../worker/publish.ts";
import type { Published, Target } from "../../worker/publish.ts";
import { rebuildCommit } from "../../worker/rebuild.ts";
import { openRun } from "../../worker/run.ts";
import { recordOf } from "../../worker/verdict.ts";
import { issueWorkflow } from "../../worker/workflows/issue.ts";
import { maintenanceWorkflow } from "../../worker/workflows/maintenance.ts";
import {
  createLocalDeps,
  createLocalHost,
  dataFolder,
  job,
  never,
  ourPull,
  passedWith,
  submission,
  verdictOn,
} from "./support.ts";
import type { LocalHost } from "./support.ts";

const name = "agent-fix/issue-7";
const pull = { base: "main", title: "Mend it", body: "Fixes #7", draft: false };

class Crash extends Error {}

/** A change that passed the gate, in the run's own repository. */
async function prepare(dataDir: string, host: LocalHost, path = "new/bin"): Promise<Passed> {
  const log = openRunLog(dataDir, job.runId);
  mkdirSync(log.dir, { recursive: true });
  const repository = await createRunRepository(log.dir, host.mirror);
  const bytes = Buffer.from([0, 255, 13, 10]);
  const changes = [
    { path: "a.txt", mode: "100755" as const, bytes: Buffer.from("mended\n") },
    { path, mode: "100644" as const, bytes },
    { path: "old.txt", mode: "deleted" as const },
  ];
  const built = await rebuildCommit(repository, host.commits.at(-1) ?? "", changes, never);
  log.close();
  return { ...built, submission, checks: { base: [], head: [] }, verdict: verdictOn([], []) };
}

/** One try of a worker: a log that is opened anew, and a branch that is looked for anew. */
async function tryOnce(
  dataDir: string,
  host: Pick<LocalHost, "commits" | "forge">,
  { passed, target = {}, point = () => {}, guard = async () => {}, runId = job.runId }: Try,
): Promise<Published> {
  const log = crashing(openRunLog(dataDir, job.runId), point);
  const forge = crashingForge(host.forge, point);
  try {
    const base = target.base ?? host.commits.at(-1) ?? "";
    const branch = target.branch ?? (await freeBranch(forge, name, { runId, base, tree: passed.tree }));
    const message = commitMessage({ title: "Mend it", why: "It was broken.", runId, held: false });
    const whole = { base, branch, expected: undefined, message, pull, ...target };
    return await publish({ job: { ...job, runId }, log, signal: never, guard }, forge, passed, whole);
  } finally {
    log.close();
  }
}

interface Try {
  passed: Passed;
  target?: Partial<Target>;
  point?: () => void;
  guard?: () => Promise<void>;
  runId?: string;
}

function crashing(log: RunLog, point: () => void): RunLog {
  return {
    ...log,
    async append(event) {
      point();
      await log.append(event);
      point();
    },
  };
}

function crashingForge(forge: Forge, point: () => void): Forge {
  const around =
    <A extends unknown[], R>(verb: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      point();
      const result = await verb(...args);
      point();
      return result;
    };
  return {
    ...forge,
    createCommit: around((change: CommitChange) => forge.createCommit(change)),
    ensureBranch: around((...to: Parameters<Forge["ensureBranch"]>) => forge.ensureBranch(...to)),
    ensurePull: around((wanted: NewPull) => forge.ensurePull(wanted)),
  };
}

function pullOf(number: number, branch: string, state: Pull["state"]): Pull {
  return { ...ourPull, number, state, head: { branch, commit: "" } };
}

const base = [{ "a.txt": "broken\n", "old.txt": "old\n" }];

describe("publish", () => {
  it("writes one commit with the run's trailer, one branch and one pull request, on the tree that the gate ran", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const passed = await prepare(data.path, host);

    const published = await tryOnce(data.path, host, { passed });

    expect(published).toMatchObject({ ok: true, pull: { number: 100, title: "Mend it", state: "open" } });
    expect(host.writes).toEqual(["commit", `branch ${name}`, `pull ${name}`]);
    expect(host.git("rev-parse", `${name}^{tree}`)).toBe(passed.tree);
    expect(host.git("log", "--format=%B", `main..${name}`)).toBe(`Mend it\n\nIt was broken.\n\n${trailer(job.runId)}`);
  });

  it("leaves one branch with one commit and one pull request wherever a worker dies, when another takes the run again", async () => {
    let died = 0;
    for (let at = 1; ; at++) {
      using data = dataFolder();
      using host = createLocalHost(...base);
      const passed = await prepare(data.path, host);
      let points = 0;
      const point = () => {
        if (++points === at) throw new Crash();
      };
      const first = await tryOnce(data.path, host, { passed, point }).catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
        return undefined;
      });
      if (first !== undefined) break;
      died++;

      const second = await tryOnce(data.path, host, { passed });
      const third = await tryOnce(data.path, host, { passed });

      expect({
        died,
        second,
        third,
        pulls: host.pulls.length,
        branches: host.git("for-each-ref", "--format=%(refname:short)").split("\n"),
        commits: host.git("rev-list", "--count", `main..${name}`),
        tree: host.git("rev-parse", `${name}^{tree}`),
      }).toMatchObject({
        died,
        second: { ok: true, pull: { number: 100 } },
        third: second,
        pulls: 1,
        branches: [name, "main"],
        commits: "1",
        tree: passed.tree,
      });
    }

    // Before and after each of three effects and of the six lines about them.
    expect(died).toBe(18);
  });

  it("adopts the branch and the pull request on a machine that knows nothing of the first try", async () => {
    using data = dataFolder();
    using elsewhere = dataFolder();
    using host = createLocalHost(...base);
    const first = await tryOnce(data.path, host, { passed: await prepare(data.path, host) });

    const second = await tryOnce(elsewhere.path, host, { passed: await prepare(elsewhere.path, host) });

    expect(second).toEqual(first);
    expect(host.writes).toEqual(["commit", `branch ${name}`, `pull ${name}`]);
  });

  it("takes the next name where a branch has the run's trailer on another tree or another base", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base, { "a.txt": "later\n" });
    const [older = "", now = ""] = host.commits;
    const passed = await prepare(data.path, host);
    host.git("fetch", "--quiet", join(data.path, "runs", job.runId, "repo.git"), passed.commit);
    const claim = (branch: string, tree: string, parent: string) => {
      const commit = host.git("commit-tree", tree, "-p", parent, "-m", `Mend it\n\n${trailer(job.runId)}`);
      host.git("update-ref", `refs/heads/${branch}`, commit);
      return commit;
    };
    const others = [claim(name, `${now}^{tree}`, now), claim(`${name}-2`, passed.tree, older)];

    const published = await tryOnce(data.path, host, { passed });

    expect(published).toMatchObject({ ok: true, pull: { head: { branch: `${name}-3` } } });
    expect(host.git("rev-parse", `${name}-3^`, `${name}-3^{tree}`)).toBe(`${now}\n${passed.tree}`);
    expect(host.git("rev-parse", name, `${name}-2`).split("\n")).toEqual(others);
  });

  it("is a conflict when the branch got another commit with the run's trailer during the work", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const [head = ""] = host.commits;
    const passed = await prepare(data.path, host);
    const other = host.git("commit-tree", `${head}^{tree}`, "-p", head, "-m", `Other\n\n${trailer(job.runId)}`);
    host.git("update-ref", `refs/heads/${name}`, other);

    const target = { branch: name, expected: head, pull: undefined };
    const published = await tryOnce(data.path, host, { passed, target });

    expect(published).toMatchObject({ ok: false, reason: expect.stringContaining("moved while I worked") });
    expect(host.git("rev-parse", name)).toBe(other);
  });

  it("publishes nothing when the host built another tree than the gate ran", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const passed = { ...(await prepare(data.path, host)), tree: "1".repeat(40) };

    await expect(tryOnce(data.path, host, { passed })).rejects.toThrow("nothing was published");

    expect(host.git("for-each-ref", "--format=%(refname:short)")).toBe("main");
    expect(host.pulls).toEqual([]);
  });

  it("is a conflict, and overwrites nothing, when the branch moved during the work", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base, { "a.txt": "one\n" });
    const [old = "", now = ""] = host.commits;
    const passed = await prepare(data.path, host);
    host.git("update-ref", `refs/heads/${name}`, now);
    const target = { branch: name, expected: old, pull: undefined };

    const published = await tryOnce(data.path, host, { passed, target });
    const again = await tryOnce(data.path, host, { passed, target });

    expect(published).toMatchObject({ ok: false, reason: `the branch \`${name}\` moved while I worked` });
    expect(again).toEqual(published);
    expect(host.git("rev-parse", name)).toBe(now);
  });

  it("adds one commit to the branch of an open pull request, and opens none", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const [head = ""] = host.commits;
    host.git("update-ref", `refs/heads/${name}`, head);
    const passed = await prepare(data.path, host);

    const published = await tryOnce(data.path, host, {
      passed,
      target: { branch: name, expected: head, pull: undefined },
    });

    expect(published).toMatchObject({ ok: true, pull: undefined });
    expect(host.git("rev-parse", `${name}^`)).toBe(head);
    expect(host.pulls).toEqual([]);
  });

  it("writes a merge on both parents, onto the head alone, and knows it again", async () => {
    using data = dataFolder();
    using elsewhere = dataFolder();
    using host = createLocalHost(...base);
    const [main = ""] = host.commits;
    const head = host.git("commit-tree", `${main}^{tree}`, "-p", main, "-m", "Before");
    host.git("update-ref", `refs/heads/${name}`, head);
    const target = { branch: name, expected: head, parents: [head, main], pull: undefined };

    const first = await tryOnce(data.path, host, { passed: await prepare(data.path, host), target });
    const again = await tryOnce(elsewhere.path, host, { passed: await prepare(elsewhere.path, host), target });

    expect(host.git("rev-list", "--parents", "-1", name).split(" ").slice(1)).toEqual([head, main]);
    expect(again).toEqual(first);
    expect(host.writes).toEqual(["commit", `branch ${name}`]);
  });

  it("leaves one merge on the branch wherever a worker dies, when another takes the run again", async () => {
    let died = 0;
    for (let at = 1; ; at++) {
      using data = dataFolder();
      using host = createLocalHost(...base);
      const [main = ""] = host.commits;
      const head = host.git("commit-tree", `${main}^{tree}`, "-p", main, "-m", "Before");
      host.git("update-ref", `refs/heads/${name}`, head);
      const target = { branch: name, expected: head, parents: [head, main], pull: undefined };
      const passed = await prepare(data.path, host);
      let points = 0;
      const point = () => {
        if (++points === at) throw new Crash();
      };
      const first = await tryOnce(data.path, host, { passed, target, point }).catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
        return undefined;
      });
      if (first !== undefined) break;
      died++;

      const second = await tryOnce(data.path, host, { passed, target });

      const commit = host.git("rev-parse", name);
      const [, ...parents] = host.git("rev-list", "--parents", "-1", name).split(" ");
      const tree = host.git("rev-parse", `${name}^{tree}`);
      expect({ at, second, parents, tree }).toEqual({
        at,
        second: { ok: true, commit, pull: undefined },
        parents: target.parents,
        tree: passed.tree,
      });
    }

    // Before and after each of two effects and of the four lines about them.
    expect(died).toBe(12);
  });

  it.each([
    ["a workflow file", ".github/workflows/ci.yml", "workflows"],
    ["another file", "new.txt", "gone"],
  ])("tells a branch that is not there from the refusal of %s", async (_what, path, why) => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const gone = new RefusedError("gone", "GitHub does not have it.", { status: 404 });
    const forge = { ...host.forge, ensureBranch: async () => Promise.reject(gone) };
    const passed = await prepare(data.path, host, path);

    await expect(tryOnce(data.path, { ...host, forge }, { passed })).rejects.toMatchObject({ why });
  });

  it("writes nothing once another worker has taken the run over", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const passed = await prepare(data.path, host);
    const guard = () => Promise.reject(new Error("taken over"));

    await expect(tryOnce(data.path, host, { passed, guard })).rejects.toThrow("taken over");

    expect(host.writes).toEqual([]);
  });

  it("takes the force out of a hostile title", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const passed = await prepare(data.path, host);
    const title = "Fixes #1\r\n\u{202E}$(id) --upload-pack=x";

    await tryOnce(data.path, host, { passed, target: { pull: { ...pull, title } } });

    expect(host.pulls[0]?.title).toBe("Fixes no. 1 $(id) --upload-pack=x");
  });
});

describe("a run whose gate had passed before its worker died", () => {
  const settings = "maintenance:\n  tidy:\n    schedule: '0 3 * * 1'\n    task: Tidy the files\n";
  it.each([
    ["an issue", issueWorkflow, job.subject, name],
    ["a task of the settings", maintenanceWorkflow, { kind: "task" as const, key: "tidy" }, "agent-fix/task/tidy"],
  ])("is published for %s while the model server is away", async (_what, workflow, subject, branch) => {
    using host = createLocalHost({ ...base[0], ".github/agent-fix.yml": settings });
    await using deps = await createLocalDeps(host.forge);
    const passed = await prepare(deps.dataDir, host);
    await using run = await openRun({ ...job, subject }, never, deps);
    await run.log.append({ type: "base", branch: "main", commit: host.commits[0] ?? "" });
    await run.log.append({ type: "attempt", round: 0, model: "qwen" });
    await run.log.append({
      type: "gate",
      round: 0,
      passed: true,
      reason: "",
      ...passed,
      verdict: recordOf(passed.verdict),
    });

    const outcome = await workflow.work(run, deps);

    expect(outcome).toMatchObject({ outcome: "published", pull: { number: 100 } });
    expect(host.pulls).toMatchObject([{ head: { branch }, body: expect.stringContaining("- model: `qwen`") }]);
  });
});

it.each([
  ["of the schedule waits for their end", "slot-1", { outcome: undefined, retryAfterMs: expect.any(Number) }, 0],
  ["that a person asked for is published", "comment-1", { outcome: { outcome: "published" } }, 1],
])("what passed in quiet hours %s", async (_what, trigger, expected, pulls) => {
  const quiet = 'unattended: {quiet: ["00:00-12:00", "12:00-00:00"]}\n';
  const settings = `maintenance: {tidy: {schedule: '0 3 * * 1', task: Tidy the files}}\n${quiet}`;
  using host = createLocalHost({ ...base[0], ".github/agent-fix.yml": settings });
  await using deps = await createLocalDeps(host.forge);
  const passed = await prepare(deps.dataDir, host);
  const task: RunJob = { ...job, trigger, subject: { kind: "task", key: "tidy" } };
  const log = deps.openLog(job.runId);
  await log.append({ type: "base", branch: "main", commit: host.commits[0] ?? "" });
  const verdict = recordOf(passed.verdict);
  await log.append({ type: "gate", round: 0, passed: true, reason: "", ...passed, verdict });
  log.close();

  const ended = await processJob(task, never, { ...deps, engine: { ...deps.engine, list: async () => [] } });

  expect(ended).toMatchObject(expected);
  expect(host.pulls).toHaveLength(pulls);
});

it("a task goes on with its pull request where that deletes a file which the base edits: not all of it is in the base", async () => {
  const text = "maintenance:\n  tidy:\n    schedule: '0 3 * * 1'\n    task: Tidy the files\n";
  using host = createLocalHost({ ...base[0], ".github/agent-fix.yml": text }, { "old.txt": "edited\n" });
  await using deps = await createLocalDeps(host.forge);
  const [fork = ""] = host.commits;
  const branch = "agent-fix/task/tidy";
  const message = `Tidy\n\n${trailer("run-0")}`;
  const { commit: head } = await host.forge.createCommit({ base: fork, message, files: [], deleted: ["old.txt"] });
  host.git("update-ref", `refs/heads/${branch}`, head);
  const before = { ...host.forge };
  const byUs = { author: "agent-fix[bot]", committer: "agent-fix[bot]" };
  host.forge.commit = async (id) => ({ ...(await before.commit(id)), ...byUs });
  host.pulls.push({ ...pullOf(100, branch, "open"), head: { branch, commit: head } });
  await using run = await openRun({ ...job, subject: { kind: "task", key: "tidy" } }, never, deps);
  const repository = await createRunRepository(run.log.dir, host.mirror);
  const changes = [{ path: "a.txt", mode: "100644" as const, bytes: Buffer.from("mended\n") }];
  const passed = passedWith(await rebuildCommit(repository, head, changes, never));
  await run.log.append({ type: "base", branch, commit: head });
  const verdict = recordOf(passed.verdict);
  await run.log.append({ type: "gate", round: 0, passed: true, reason: "", ...passed, verdict });

  expect(await maintenanceWorkflow.work(run, deps)).toMatchObject({ outcome: "published", pull: { number: 100 } });
  expect(host.git("show", `${branch}:a.txt`)).toBe("mended");
});

describe("freeBranch", () => {
  it("takes the plain name, and the next one where somebody else's branch or any pull request has it", async () => {
    using host = createLocalHost(...base);
    const own = { runId: job.runId, base: host.commits[0] ?? "", tree: host.git("rev-parse", "main^{tree}") };

    const free = await freeBranch(host.forge, name, own);
    host.git("update-ref", `refs/heads/${name}`, host.commits[0] ?? "");
    const besideForeign = await freeBranch(host.forge, name, own);
    host.pulls.push(pullOf(1, `${name}-2`, "closed"));
    const besideClosed = await freeBranch(host.forge, name, own);

    expect([free, besideForeign, besideClosed]).toEqual([name, `${name}-2`, `${name}-3`]);
  });

  it("goes back to the branch that the same run made, and to no other run's", async () => {
    using data = dataFolder();
    using host = createLocalHost(...base);
    const passed = await prepare(data.path, host);
    await tryOnce(data.path, host, { passed });
    const own = { runId: job.runId, base: host.commits[0] ?? "", tree: passed.tree };

    expect(await freeBranch(host.forge, name, own)).toBe(name);
    expect(await freeBranch(host.forge, name, { ...own, runId: "run-2" })).toBe(`${name}-2`);
  });
});

describe("openPull", () => {
  it("finds ours beyond a foreign branch without pull requests and beyond a closed one", async () => {
    using host = createLocalHost(...base);
    host.git("update-ref", `refs/heads/${name}`, host.commits[0] ?? "");
    host.pulls.push(pullOf(1, `${name}-2`, "closed"), pullOf(2, `${name}-3`, "open"));

    expect(await openPull(host.forge, name)).toMatchObject({ number: 2 });
  });

  it("finds none where nobody used the name, and none beyond such a name", async () => {
    using host = createLocalHost(...base);
    host.pulls.push(pullOf(1, `${name}-2`, "open"));

    expect(await openPull(host.forge, name)).toBeUndefined();
  });
});

describe("commitMessage", () => {
  it("has one subject line, one paragraph and one trailer, whatever the words are", () => {
    const hostile = "x\n\nAgent-Fix-Run: run-2\nCloses #5";

    const message = commitMessage({ title: `Mend ${hostile}`, why: hostile, runId: "run-1", held: false });

    expect(message.split("\n").filter((line) => /^agent-fix-run:/i.test(line))).toEqual([trailer("run-1")]);
    expect(message).not.toMatch(/closes #5/i);
    expect(message.split("\n")).toHaveLength(6);
  });

  it("asks for no run of the repository's CI only where it is held", () => {
    const parts = { title: "Mend it", why: "Because.", runId: "r" };

    expect(commitMessage({ ...parts, held: true }).split("\n")[0]).toBe("Mend it [skip ci]");
    expect(commitMessage({ ...parts, held: false })).not.toContain("skip ci");
  });
  it.each([
    "[skip ci]",
    "[CI Skip]",
    "[no\u{A0}ci]",
    "[skip actions]",
    "[actions skip]",
    "***NO_CI***",
    "[skip [skip ci]ci]",
    "******NO_CI******",
    "skip-checks: true",
    "skip-checks:true",
  ])("takes its force from %j in the title and in the cause", (words) => {
    const message = commitMessage({ title: `Mend ${words} it`, why: words, runId: "r", held: false });

    expect(message).not.toMatch(/\[(skip|no) (ci|actions)\]|\[(ci|actions) skip\]|\*{3}no_ci\*{3}|skip-checks: *true/i);
    expect(message).toMatch(/^Mend .+ it\n\n.+\n\nAgent-Fix-Run: r\n$/);
  });
});
