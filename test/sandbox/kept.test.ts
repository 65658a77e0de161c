import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { createKeptTrees, type KeptTrees } from "../../sandbox/kept.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { shell, specOf, testEngine, testRepository, type TestRepository } from "./support.ts";

let engine: Engine;
let repository: TestRepository;
let dir: string;
beforeEach(() => {
  engine = testEngine();
  repository = testRepository({ "a.txt": "one\n" }, { "a.txt": "two\n" });
  dir = join(repository.folder, "kept");
});
afterEach(async () => {
  for (const { volume } of await engine.listKept()) await engine.removeVolume(volume);
  repository[Symbol.dispose]();
});

/** With room for nothing: whatever may go, goes. */
const none = { maxBytes: 0, maxSetupBytes: 2 ** 30 };
const sources = () => ({ mirror: repository.mirror });
const names = async () => (await engine.listKept()).map(({ volume }) => volume);

/** Makes every note look as if it was last used two hours ago. */
function age(): void {
  const then = new Date(Date.now() - 2 * 3600_000);
  for (const name of readdirSync(dir)) utimesSync(join(dir, name), then, then);
}

async function baseOf(kept: KeptTrees, index: number) {
  return kept.base("repo", sources(), repository.commits[index] ?? "");
}

test("a base is made once, however many ask for it at a time and whichever process asks again", async () => {
  const [one, two] = [createKeptTrees(engine, dir), createKeptTrees(engine, dir)];

  const [first, second] = await Promise.all([baseOf(one, 0), baseOf(one, 0)]);
  const later = await baseOf(two, 0);

  expect(second).toBe(first);
  expect(later.layers).toEqual(first.layers);
  expect(await names()).toHaveLength(1);
});

test("the nearest base is the commit's own, else the one that was used last, and none of another repository", async () => {
  const kept = createKeptTrees(engine, dir);
  const [one = "", two = ""] = repository.commits;
  await baseOf(kept, 0);

  expect((await kept.nearestBase("repo", two))?.commit).toBe(one);
  expect(await kept.nearestBase("other", two)).toBeUndefined();
  await baseOf(kept, 1);
  expect((await kept.nearestBase("repo", two))?.commit).toBe(two);
  age();
  await baseOf(kept, 0);
  expect((await kept.nearestBase("repo", "3".repeat(40)))?.commit).toBe(one);
});

test("what was not used for long goes first, and nothing that was used within the hour", async () => {
  const kept = createKeptTrees(engine, dir, none);
  const old = await baseOf(kept, 0);
  age();
  const fresh = await baseOf(kept, 1);

  const removed = await kept.evict();

  expect(removed).toEqual(old.layers.map(({ name }) => name));
  expect(await names()).toEqual(fresh.layers.map(({ name }) => name));
});

test("what a run stands on stays, however old it is", async () => {
  const kept = createKeptTrees(engine, dir, none);
  const base = await baseOf(kept, 0);
  await using workspace = await copyWorkspace(engine, base, { run: "r", sources: sources() });
  age();

  expect(await kept.evict()).toEqual([]);
  await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
  expect(await shell(sandbox, "cat a.txt")).toBe("one\n");
});

test("a volume that somebody removed, or a note that is damaged, is made anew", async () => {
  const kept = createKeptTrees(engine, dir);
  const first = await baseOf(kept, 0);
  await engine.removeVolume(first.layers[0]?.name ?? "");
  const second = await baseOf(kept, 0);
  for (const name of readdirSync(dir)) writeFileSync(join(dir, name), "{ damaged");
  const third = await baseOf(kept, 0);

  expect(new Set([first, second, third].map(({ layers }) => layers[0]?.name)).size).toBe(3);
});

test("clearing leaves nothing", async () => {
  const kept = createKeptTrees(engine, dir);
  await baseOf(kept, 0);

  await kept.clear();

  expect(await names()).toEqual([]);
  expect(await kept.nearestBase("repo", repository.commits[0] ?? "")).toBeUndefined();
});
