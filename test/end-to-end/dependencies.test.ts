import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Change } from "../../sandbox/changes.ts";
import type { Engine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import type { Layered } from "../../sandbox/workspace.ts";
import type { Sources } from "../../sandbox/objects.ts";
import { lastEvent, openRunLog } from "../../src/runlog.ts";
import type { RunLog } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import type { ModelClient, Reply } from "../../worker/agent/model.ts";
import { createMirrors, createRunRepository, readCommit } from "../../worker/checkout.ts";
import { installChanged } from "../../worker/dependencies.ts";
import { prepareEnvironment } from "../../worker/environment.ts";
import { rebuildCommit } from "../../worker/rebuild.ts";
import type { Tools } from "../../worker/run.ts";
import { solve } from "../../worker/solve.ts";
import { git, image, shell, specOf, testEngine, testRepository } from "../sandbox/support.ts";
import type { TestRepository } from "../sandbox/support.ts";
import { startRegistry } from "../support/registry.ts";
import type { TestRegistry } from "../support/registry.ts";
import { expectNothingLeft } from "./support/local.ts";
import { createRedact } from "../../src/redact.ts";

const never = new AbortController().signal;
const setup = ["npm ci --no-audit --no-fund"];
const marker = "require('fs').writeFileSync('/workspace/home/ran','')";

let engine: Engine;
let registry: TestRegistry;
let elsewhere: TestRegistry;
let repository: TestRepository;
let log: RunLog;
beforeEach(async () => {
  engine = testEngine();
  registry = await startRegistry([
    { name: "left", version: "1.0.0", files: { "index.js": "module.exports = 1\n" } },
    { name: "left", version: "1.1.0", files: { "index.js": "module.exports = 2\n" } },
    { name: "scripted", version: "1.0.0", scripts: { postinstall: `node -e "${marker}"` }, files: { "index.js": "" } },
  ]);
  elsewhere = await startRegistry([{ name: "left", version: "1.1.0" }]);
  repository = testRepository({
    ".npmrc": `registry=${registry.url}/\n`,
    ".gitignore": "node_modules\n",
    "package.json": manifest({ left: "1.0.0" }),
    "package-lock.json": lock({ left: "1.0.0" }),
    ".github/agent-fix.yml": `setup: ['${setup[0]}']\nchecks: ['node test.js']\n`,
    "test.js": "process.exit(require('left') === 1 || require('fs').existsSync('extra.txt') ? 0 : 1)\n",
    "gone.txt": "bye\n",
  });
  log = openRunLog(repository.folder, "run-1");
});
afterEach(async () => {
  log.close();
  await registry[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
  repository[Symbol.dispose]();
  await expectNothingLeft(engine);
});

function manifest(dependencies: Record<string, string>, scripts: Record<string, string> = {}): string {
  return JSON.stringify({ name: "it", version: "1.0.0", scripts, dependencies });
}

function lock(dependencies: Record<string, string>, at: TestRegistry = registry): string {
  const own = { name: "it", version: "1.0.0", dependencies };
  const entries = Object.entries(dependencies).map(([name, version]) => [
    `node_modules/${name}`,
    at.locked(name, version),
  ]);
  const packages = { "": own, ...Object.fromEntries(entries) };
  return JSON.stringify({ name: "it", version: "1.0.0", lockfileVersion: 3, requires: true, packages });
}

function edits(files: Record<string, string>): Change[] {
  return Object.entries(files).map(([path, text]) => ({ path, mode: "100644", bytes: Buffer.from(text) }));
}

function toolsWith(model: Partial<ModelClient> = {}): Tools {
  const { folder } = repository;
  const unused = () => Promise.reject(new Error("no model is asked here"));
  return {
    engine,
    kept: createKeptTrees(engine, join(folder, "kept")),
    model: { reply: unused, describe: async () => ({ name: "none", contextTokens: 100_000 }), ...model },
    mirrors: createMirrors(folder),
    dataDir: folder,
    gitEnv: {},
    redact: createRedact([]),
    image,
    egress: { trustedHosts: ["localhost"] },
  };
}

interface InstalledTree {
  tree: Layered;
  base: Layered;
  sources: Sources;
  scripted: string[];
}

/** What installing a change ends in; `look` sees the tree that it made. */
async function install(
  files: Record<string, string>,
  look: (installed: InstalledTree) => Promise<void> = async () => {},
) {
  const { folder, mirror, commits } = repository;
  const [base = ""] = commits;
  const tools = toolsWith();
  const settings = { ...defaultSettings, setup, checks: ["node test.js"] };
  const at = { files: await readCommit(mirror, base), sources: { mirror }, setupAt: base, isDefault: true, base };
  const result = await prepareEnvironment({ runId: "run-1", log, signal: never, settings, ...at }, tools);
  if (!result.ok) throw new Error(JSON.stringify(result.outcome));
  await using prepared = result.prepared;
  mkdirSync(join(folder, "run"), { recursive: true });
  const path = await createRunRepository(join(folder, "run"), mirror);
  const changes = edits(files);
  const { commit } = await rebuildCommit(path, base, changes, never);
  const changeSources = { mirror, extraObjects: [`${path}/objects`] };
  const installed = await installChanged(
    { ...prepared.setup, commit, changes, changeSources, tree: prepared.tree },
    tools,
  );
  if (installed.kind !== "installed") return installed;
  const { tree, scripted } = installed.dependencies;
  try {
    await look({ tree, base: prepared.tree, sources: changeSources, scripted });
  } finally {
    await installed.dependencies.dispose();
  }
  return { kind: installed.kind };
}

async function seenOn(tree: Layered, sources: Sources, command: string): Promise<string> {
  await using workspace = await copyWorkspace(engine, tree, { run: "run-1", sources });
  await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
  return await shell(sandbox, command);
}

const version = "node -p 'require(\"left/package.json\").version'; ls $HOME/ran 2>/dev/null || echo none";

describe("a change of dependencies", () => {
  it("is installed from the base's registry for its own leg alone, and its packages are told", async () => {
    const files = { "package.json": manifest({ left: "1.1.0" }), "package-lock.json": lock({ left: "1.1.0" }) };

    const ended = await install(files, async ({ tree, base, sources }) => {
      expect(await seenOn(tree, sources, version)).toBe("1.1.0\nnone\n");
      expect(await seenOn(base, sources, version)).toBe("1.0.0\nnone\n");
    });

    expect(ended).toEqual({ kind: "installed" });
    expect(lastEvent(log.events, "dependencies")?.packages).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: "left", from: ["1.0.0"], to: ["1.1.0"], script: false }),
      ]),
    );
    expect((await engine.listKept()).filter(({ kept }) => kept === "setup")).toHaveLength(1);
  });

  it("reaches no registry that it names itself", async () => {
    const ended = await install({
      ".npmrc": `registry=${elsewhere.url}/\n`,
      "package.json": manifest({ left: "1.1.0" }),
      "package-lock.json": lock({ left: "1.1.0" }, elsewhere),
    });

    expect(ended).toMatchObject({ kind: "rejected", output: expect.stringContaining(elsewhere.host) });
    expect(elsewhere.requests).toEqual([]);
    expect(lastEvent(log.events, "network")).toMatchObject({ command: setup[0], refused: [elsewhere.host] });
  });

  it("runs no install script, of its packages or its own, whatever its settings say", async () => {
    const dependencies = { left: "1.0.0", scripted: "1.0.0" };
    const script = `node -e "${marker}"`;

    const ended = await install(
      {
        ".npmrc": `registry=${registry.url}/\nignore-scripts=false\n`,
        "package.json": manifest(dependencies, { preinstall: script, postinstall: script, prepare: script }),
        "package-lock.json": lock(dependencies),
      },
      async ({ tree, sources, scripted }) => {
        expect(await seenOn(tree, sources, version)).toBe("1.0.0\nnone\n");
        expect(scripted).toEqual(["scripted"]);
      },
    );

    expect(ended).toEqual({ kind: "installed" });
  });
});

/** Answers with these tool calls, one a turn, and keeps what it was told. */
function scriptedModel(turns: { name: string; arguments: object }[]) {
  const told: string[] = [];
  let turn = 0;
  const usage = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };
  return {
    told,
    async reply({ messages }: Parameters<ModelClient["reply"]>[0]): Promise<Reply> {
      // What the checks say of the base is told as soon as it is known, and would come between any two turns.
      const isMeasured = () => log.events.some(({ type }) => type === "checks");
      if (turn === 0) await expect.poll(isMeasured, { timeout: 60_000 }).toBe(true);
      const since = messages.slice(messages.findLastIndex(({ role }) => role === "assistant") + 1);
      told.push(since.map(({ text }) => text).join("\n"));
      const { name = "", arguments: args = {} } = turns[turn++] ?? {};
      const call = { id: `call-${turn}`, name, arguments: JSON.stringify(args) };
      return { text: "", calls: [call], usage, truncated: false, waitedMs: 0, finish: "stop", recovered: 0 };
    },
  };
}

describe("a run on our own pull request", () => {
  it("has the dependencies that the pull request brought, before its first check and to its end", async () => {
    const tree = join(repository.folder, "tree");
    writeFileSync(join(tree, "package.json"), manifest({ left: "1.1.0" }));
    writeFileSync(join(tree, "package-lock.json"), lock({ left: "1.1.0" }));
    git(tree, "commit", "-qam", "update left");
    git(tree, "push", "-q", repository.mirror, "HEAD:refs/heads/agent-fix/issue-1");
    const head = git(tree, "rev-parse", "HEAD").trim();
    const submit = { name: "submit", arguments: { title: "Add it", cause: "It lacks.", change: "- extra" } };
    const add = { name: "bash", arguments: { command: "echo more >extra.txt; node -p 'require(\"left\")'" } };
    const model = scriptedModel([add, submit, submit]);
    const [trusted = ""] = repository.commits;
    const names = {
      runId: "run-1",
      kind: "review",
      branch: "agent-fix/issue-1",
      repo: "o/r",
      trusted,
      base: head,
    } as const;
    const messages = () => [{ role: "user" as const, text: "add the file" }];
    const task = { ...names, log, signal: never, mirror: repository.mirror, messages, progress: () => {} };

    const result = await solve(task, toolsWith(model));

    expect(result).toMatchObject({ ok: true });
    expect(model.told.some((text) => text.startsWith("2\n"))).toBe(true);
  });
});

describe("an agent that changes dependencies", () => {
  const submit = { name: "submit", arguments: { title: "Update left", cause: "It is old.", change: "- newer left" } };
  const bash = (command: string) => ({ name: "bash", arguments: { command } });
  const write = (files: Record<string, string>) =>
    bash(
      Object.entries(files)
        .map(([path, text]) => `cat >${path} <<'END'\n${text}\nEND`)
        .join("\n"),
    );

  async function solving(turns: { name: string; arguments: object }[]) {
    const { mirror, commits } = repository;
    const [base = ""] = commits;
    const model = scriptedModel(turns);
    const names = { runId: "run-1", kind: "issue", branch: "main", repo: "o/r", trusted: base, base } as const;
    const messages = () => [{ role: "user" as const, text: "update left" }];
    const task = { ...names, log, signal: never, mirror, messages, progress: () => {} };
    const result = await solve(task, toolsWith(model));
    return { result, told: model.told };
  }

  it("goes on in a container that has them when a check fails, and its earlier change is still part of the result", async () => {
    const files = { "package.json": manifest({ left: "1.1.0" }), "package-lock.json": lock({ left: "1.1.0" }) };

    const { result, told } = await solving([
      write(files),
      bash("rm gone.txt"),
      submit,
      submit,
      bash("node -p 'require(\"left\")'; git status --porcelain; echo more >extra.txt"),
      submit,
      submit,
      // Asked for a test.
      submit,
      submit,
    ]);

    expect(result).toMatchObject({ ok: true });
    const rejected = told.find((text) => text.includes("it did not pass")) ?? "";
    expect(rejected).toContain("new container");
    const seen = told[told.indexOf(rejected) + 1] ?? "";
    expect(seen).toContain("2\n D gone.txt\n M package-lock.json\n M package.json\n");
    const path = join(log.dir, "repo.git");
    const commit = result.ok ? result.passed.commit : "";
    const built = await readCommit(path, commit);
    expect(built.top.toSorted()).toEqual([
      ".github/",
      ".gitignore",
      ".npmrc",
      "extra.txt",
      "package-lock.json",
      "package.json",
      "test.js",
    ]);
  });
});
