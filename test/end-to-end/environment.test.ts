import Docker from "dockerode";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { readChanges } from "../../sandbox/changes.ts";
import { OutageError } from "../../src/errors.ts";
import { createRedact } from "../../src/redact.ts";
import { lastEvent, openRunLog } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { createMirrors, readCommit } from "../../worker/checkout.ts";
import { prepareEnvironment } from "../../worker/environment.ts";
import type { Tools } from "../../worker/run.ts";
import { solve } from "../../worker/solve.ts";
import type { SolveTask } from "../../worker/solve.ts";
import { git, image, shell, specOf, testEngine, testRepository } from "../sandbox/support.ts";
import type { TestRepository } from "../sandbox/support.ts";
import { expectNothingLeft } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

const never = new AbortController().signal;
const manifest = (postinstall: string) =>
  JSON.stringify({ name: "it", version: "1.0.0", scripts: { postinstall, test: "true" } });

/** The test's engine, which tells that the containers of one role went away. */
function losing(role: string): Engine {
  return {
    ...engine,
    async runOnce(spec, signal) {
      const { output, durationMs, stdout, stdoutTruncated, ...end } = await engine.runOnce(spec, signal);
      const rest = { output, durationMs, stdout, stdoutTruncated };
      return spec.labels.role === role ? { ...rest, end: "sandbox-lost" } : { ...rest, ...end };
    },
  };
}

/** All but the engine; no model is asked here. */
function toolsFor(folder: string, using: Engine): Tools {
  const unused = () => Promise.reject(new Error("no model is asked here"));
  return {
    engine: using,
    kept: createKeptTrees(using, join(folder, "kept")),
    model: { reply: unused, describe: async () => ({ name: "none", contextTokens: 1000 }) },
    mirrors: createMirrors(join(folder, "data")),
    dataDir: folder,
    gitEnv: {},
    redact: createRedact([]),
    image,
    egress: { trustedHosts: [] },
  };
}

/** Set-up on the first commit of a repository, and the work on its last one. */
async function prepare(
  repository: TestRepository,
  { setup, using = engine, signal = never }: { setup: string[]; using?: Engine; signal?: AbortSignal },
) {
  const { commits, folder, mirror } = repository;
  const [setupAt = ""] = commits;
  const log = openRunLog(folder, "run-1");
  const task = {
    runId: "run-1",
    log,
    signal,
    settings: { ...defaultSettings, setup, checks: ["true"] },
    files: await readCommit(mirror, setupAt),
    sources: { mirror },
    setupAt,
    isDefault: true,
    base: commits.at(-1) ?? "",
  };
  try {
    return await prepareEnvironment(task, toolsFor(folder, using));
  } finally {
    log.close();
  }
}

async function solveAt(
  { folder, mirror }: TestRepository,
  at: Pick<SolveTask, "trusted" | "base" | "messages">,
  using: Engine,
) {
  const log = openRunLog(folder, "run-1");
  const names = { runId: "run-1", kind: "review", branch: "agent-fix/issue-1", repo: "o/r" } as const;
  const tools = toolsFor(folder, using);
  // The checks of the base run beside the agent, whose first step waits for them here.
  const reply = async () => {
    await expect.poll(() => lastEvent(log.events, "checks"), { timeout: 60_000 }).toBeDefined();
    throw new Error("far enough");
  };
  const task = { ...names, ...at, log, signal: never, mirror, progress: () => {} };
  try {
    return await solve(task, { ...tools, model: { ...tools.model, reply } });
  } finally {
    log.close();
  }
}

describe("prepareEnvironment", () => {
  it("leaves nothing behind when it is stopped during set-up", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const stop = new AbortController();

    const preparing = prepare(repository, { setup: ["sleep 600"], signal: stop.signal }).catch(String);
    const runs = async () => {
      const id = (await engine.list()).find(({ role }) => role === "setup")?.id;
      return id !== undefined && (await new Docker().getContainer(id).inspect()).State.Running;
    };
    await expect.poll(runs, { timeout: 60_000 }).toBe(true);
    stop.abort(new Error("stopped by a person"));

    expect(await preparing).toContain("stopped by a person");
    expect(await engine.list()).toEqual([]);
  });

  it("takes a set-up whose container went away for an outage, and leaves nothing behind", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    await expect(prepare(repository, { setup: ["true"], using: losing("setup") })).rejects.toThrow(OutageError);

    expect(await engine.list()).toEqual([]);
  });

  it("is an outcome when a command of the set-up fails, and leaves nothing behind", async () => {
    using repository = testRepository({ "a.txt": "one\n" });

    const result = await prepare(repository, { setup: ["echo no such thing; exit 3"] });

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "needs-input", cause: "set-up failed" } });
    expect(await engine.list()).toEqual([]);
  });

  it("lets no manifest, registry or script of a pull request reach set-up, and still works on its commit", async () => {
    using repository = testRepository(
      {
        ".gitignore": "seen\n",
        "package.json": manifest("echo base >>seen; npm config get registry | grep -c agents >>seen || true"),
        "a.txt": "one\n",
      },
      {
        "package.json": manifest("echo head >>seen"),
        ".npmrc": "registry=https://agents.example.com/\n",
        "a.txt": "two\n",
        "left.txt": "the head's\n",
      },
    );
    const asked: string[] = [];
    const watching: Engine = {
      ...engine,
      async runOnce(spec, signal) {
        const result = await engine.runOnce(spec, signal);
        if (spec.labels.role === "registries") asked.push(result.stdout.toString());
        return result;
      },
    };
    const setup = ["npm install --no-audit --no-fund --no-update-notifier", "echo x >left.txt; echo y >other.txt"];

    const result = await prepare(repository, { setup, using: watching });
    if (!result.ok) throw new Error(JSON.stringify(result.outcome));
    await using prepared = result.prepared;
    const sources = { mirror: repository.mirror };
    const at = { run: "run-1", sources, commit: repository.commits[1] ?? "" };
    await using workspace = await copyWorkspace(engine, prepared.tree, at);
    await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));

    const seen = await shell(sandbox, "cat seen a.txt left.txt other.txt .npmrc; git rev-parse HEAD");
    const parts = [
      "base",
      "0",
      "two",
      "the head's",
      "y",
      "registry=https://agents.example.com/",
      repository.commits[1],
    ];
    expect(seen.trimEnd().split("\n")).toEqual(parts);
    expect(asked).toEqual([expect.not.stringContaining("agents.example.com")]);
    const bounds = { maxFiles: 10, maxBytes: 1000 };
    expect(await readChanges(engine, workspace, bounds)).toEqual({ kind: "changes", changes: [] });
  });
});

describe("solve", () => {
  it("takes a lost container of `prepare` for an outage, before the agent works", async () => {
    using repository = testRepository({ ".github/agent-fix.yml": "setup: []\nprepare: ['true']\nchecks: ['true']\n" });
    const [base = ""] = repository.commits;

    const solving = solveAt(repository, { trusted: base, base, messages: () => [] }, losing("prepare"));

    await expect(solving).rejects.toThrow(OutageError);
  });

  it.each([
    { what: "the default branch", settings: "", expected: "main's\n" },
    { what: "the branch that the settings name", settings: "base: develop\n", expected: "develop's\n" },
  ])("sets up on $what and checks the pull request's head", async ({ settings, expected }) => {
    const yaml = `${settings}setup: [cat a.txt]\nchecks: [cat a.txt]\n`;
    using repository = testRepository(
      { ".github/agent-fix.yml": yaml, "a.txt": "main's\n" },
      { "a.txt": "develop's\n" },
      { ".github/agent-fix.yml": "setup: [echo no]\n", "a.txt": "the head's\n" },
    );
    const { mirror } = repository;
    const [trusted = "", develop = "", base = ""] = repository.commits;
    git(mirror, "update-ref", "refs/heads/main", trusted);
    git(mirror, "update-ref", "refs/heads/develop", develop);
    const messages = () => [{ role: "user" as const, text: "Work." }];

    await expect(solveAt(repository, { trusted, base, messages }, engine)).rejects.toThrow("far enough");

    const log = openRunLog(repository.folder, "run-1");
    log.close();
    expect(lastEvent(log.events, "setup")?.output).toBe(`$ cat a.txt\n${expected}`);
    expect(lastEvent(log.events, "checks")?.results).toMatchObject([{ passed: true, tail: "the head's\n" }]);
  });
});
