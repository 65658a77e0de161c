import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import type { KeptLimits } from "../../sandbox/kept.ts";
import type { Trees } from "../../sandbox/trees.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { readChanges } from "../../sandbox/changes.ts";
import { openRunLog } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { createMirrors, readCommit } from "../../worker/checkout.ts";
import { prepareEnvironment } from "../../worker/environment.ts";
import { image, shell, specOf, testEngine, testRepository } from "../sandbox/support.ts";
import type { TestRepository } from "../sandbox/support.ts";
import { expectNothingLeft } from "./support/local.ts";
import { createRedact } from "../../src/redact.ts";

const never = new AbortController().signal;
let engine: Engine;
let repository: TestRepository;
let runs = 0;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  repository[Symbol.dispose]();
  await expectNothingLeft(engine);
});

interface Wanted {
  setup: string[];
  commit: string | undefined;
  /** Where the work is at another commit than the one for set-up. */
  base?: string | undefined;
  isDefault?: boolean;
  limits?: KeptLimits;
}

/** A run's set-up at a commit; then what a sandbox on that tree sees when it runs `look`. */
async function seenAfterSetup(
  { setup, commit = "", base = commit, isDefault = true, limits }: Wanted,
  look: string,
): Promise<string> {
  const { folder, mirror } = repository;
  const runId = `run-${runs++}`;
  const log = openRunLog(folder, runId);
  const unused = () => Promise.reject(new Error("no model is asked here"));
  const tools = {
    engine,
    kept: createKeptTrees(engine, join(folder, "kept"), limits),
    model: { reply: unused, describe: unused },
    mirrors: createMirrors(folder),
    dataDir: folder,
    gitEnv: {},
    redact: createRedact([]),
    image,
    egress: { trustedHosts: [] },
  };
  const settings = { ...defaultSettings, setup, checks: ["true"] };
  const files = await readCommit(mirror, commit);
  const at = { files, sources: { mirror }, setupAt: commit, isDefault, base };
  try {
    const result = await prepareEnvironment({ runId, log, signal: never, settings, ...at }, tools);
    if (!result.ok) throw new Error(JSON.stringify(result.outcome));
    await using prepared = result.prepared;
    const owner = { run: runId, sources: { mirror }, commit: base };
    await using workspace = await copyWorkspace(engine, prepared.tree, owner);
    await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
    const clean = { kind: "changes", changes: [] };
    expect(await readChanges(engine, workspace, { maxFiles: 10, maxBytes: 1000 })).toEqual(clean);
    return await shell(sandbox, look);
  } finally {
    log.close();
  }
}

const install = "mkdir -p node_modules && cat /proc/sys/kernel/random/uuid >node_modules/stamp && echo s >>$HOME/cache";
const stamp = "cat node_modules/stamp";

describe("a kept set-up", () => {
  it("serves the next commit with the same lock files: sources are that commit's, nothing else is left of the first", async () => {
    repository = testRepository(
      { "package-lock.json": "1", "src.txt": "one\n", "old.txt": "old\n" },
      { "src.txt": "two\n", "old.txt": undefined },
    );
    const [one, two] = repository.commits;
    const setup = [install, "echo spoiled >src.txt; rm -r old.txt"];

    const before = await seenAfterSetup({ setup, commit: one }, `${stamp}; cat src.txt; ls`);
    const after = await seenAfterSetup({ setup, commit: two }, `${stamp}; cat src.txt; ls`);

    const id = before.split("\n")[0] ?? "";
    expect(before).toBe(`${id}\none\nnode_modules\nold.txt\npackage-lock.json\nsrc.txt\n`);
    expect(after).toBe(`${id}\ntwo\nnode_modules\npackage-lock.json\nsrc.txt\n`);
  });

  it.each<Trees>(["overlay", "copy"])("shows no build output of another commit (%s)", async (trees) => {
    engine = testEngine({ trees });
    repository = testRepository(
      { "package-lock.json": "1", "src.txt": "one\n", ".gitignore": "dist\nnode_modules\n" },
      { "src.txt": "two\n" },
    );
    const [one, two] = repository.commits;
    const setup = [install, "mkdir -p dist; tr a-z A-Z <src.txt >dist/out.txt"];

    const look = `${stamp}; cat dist/out.txt`;
    const first = (await seenAfterSetup({ setup, commit: one }, look)).split("\n");
    const again = (await seenAfterSetup({ setup, commit: one }, look)).split("\n");
    const next = (await seenAfterSetup({ setup, commit: two }, look)).split("\n");

    expect([first[1], again[1], next[1]]).toEqual(["ONE", "ONE", "TWO"]);
    expect(again[0]).toBe(first[0]);
    expect(next[0]).not.toBe(first[0]);
  });

  it("hides no file that another commit tracks among what set-up adds", async () => {
    repository = testRepository({ "package-lock.json": "1" }, { "node_modules/stamp": "tracked\n" });
    const { mirror, folder, commits } = repository;
    const [one, two = ""] = commits;
    await seenAfterSetup({ setup: [install], commit: one }, stamp);
    await createKeptTrees(engine, join(folder, "kept")).base(mirror, { mirror }, two);

    const ofWork = await seenAfterSetup({ setup: [install], commit: one, base: two }, stamp);
    const ofDefault = await seenAfterSetup({ setup: [install], commit: two }, stamp);

    expect([ofWork, ofDefault]).toEqual(["tracked\n", "tracked\n"]);
  });

  it("is made again when a lock file or the commands change, or somebody removed it", async () => {
    repository = testRepository({ "package-lock.json": "1" }, { "package-lock.json": "2" });
    const [one, two] = repository.commits;
    const stampOf = (more: Partial<Wanted>) => seenAfterSetup({ setup: [install], commit: one, ...more }, stamp);

    const first = await stampOf({});
    const otherLock = await stampOf({ commit: two });
    const otherCommands = await stampOf({ setup: [install, "true"] });
    const kept = (await engine.listKept()).filter((one) => one.kept === "setup");
    for (const { volume } of kept) await engine.removeVolume(volume);
    const removed = await stampOf({});

    expect(kept).toHaveLength(3);
    expect(new Set([first, otherLock, otherCommands, removed]).size).toBe(4);
  });

  it("is never written from another branch than the default one, nor when it is too large, and is removed then", async () => {
    repository = testRepository({ "package-lock.json": "1" });
    const [commit] = repository.commits;
    const limits = { maxBytes: 2 ** 30, maxSetupBytes: 1000 };

    await seenAfterSetup({ setup: [install], commit, isDefault: false }, stamp);
    await seenAfterSetup({ setup: [install], commit, limits }, stamp);

    expect((await engine.listKept()).map(({ kept }) => kept)).toEqual(["base"]);
  });

  it("survives that its notes are lost: what they named goes as nobody's, later", async () => {
    repository = testRepository({ "package-lock.json": "1" });
    const [commit] = repository.commits;
    await seenAfterSetup({ setup: [install], commit }, stamp);
    rmSync(join(repository.folder, "kept"), { recursive: true });

    expect(await createKeptTrees(engine, join(repository.folder, "kept")).evict()).toEqual([]);
    expect(await engine.listKept()).toHaveLength(2);
  });
});
