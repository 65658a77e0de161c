import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { holdRun, isHeld, lastEvent, listRuns, openRunLog, readRun, runsDir } from "../../src/runlog.ts";

const root = mkdtempSync(join(tmpdir(), "agent-fix-runlog-"));
afterAll(() => rmSync(root, { recursive: true }));

const snapshot = { type: "snapshot", hash: "h", title: "Ünïcode 🔥", body: "two\nlines" } as const;

function newDataDir(): string {
  return mkdtempSync(join(root, "data-"));
}

describe("openRunLog", () => {
  it("numbers and stamps what is appended, and has it on disk before it says so", async () => {
    const dataDir = newDataDir();
    const log = openRunLog(dataDir, "run-1");

    await log.append(snapshot);
    await log.append({ type: "attempt", round: 1, model: "m" });

    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(readRun(dataDir, "run-1")).toEqual([
      { n: 1, at, ...snapshot },
      { n: 2, at, type: "attempt", round: 1, model: "m" },
    ]);
    expect(log.events).toEqual(readRun(dataDir, "run-1"));
    expect(readFileSync(join(log.dir, "log.jsonl"), "utf8").split("\n")).toHaveLength(3);
    log.close();
  });

  it.each(["", '{"n":3', '{"n":3,"at":"x","type":"attempt","round":3}', "\u{1F525}"])(
    "goes on after a crash, without the last line %j that was not ended",
    async (torn) => {
      const dataDir = newDataDir();
      const before = openRunLog(dataDir, "run-1");
      await before.append(snapshot);
      before.close();
      const half = Buffer.from(torn);
      appendFileSync(join(before.dir, "log.jsonl"), half.subarray(0, Math.max(0, half.length - 1)));

      const after = openRunLog(dataDir, "run-1");
      expect(after.events).toEqual([expect.objectContaining(snapshot)]);
      await after.append({ type: "attempt", round: 1, model: "m" });
      after.close();

      expect(readRun(dataDir, "run-1")).toMatchObject([
        { n: 1, ...snapshot },
        { n: 2, type: "attempt", round: 1, model: "m" },
      ]);
    },
  );

  it("is for its owner's eyes only", () => {
    const dataDir = newDataDir();
    const log = openRunLog(dataDir, "run-1");
    log.close();

    const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

    expect([modeOf(runsDir(dataDir)), modeOf(log.dir), modeOf(join(log.dir, "log.jsonl"))]).toEqual([
      "700",
      "700",
      "600",
    ]);
  });

  it.each(["..", ".", "", "../elsewhere", "a/b", "/tmp/x", "a\0b", "a b"])("refuses %j as an id", (id) => {
    const dataDir = newDataDir();

    expect(() => openRunLog(dataDir, id)).toThrow("is not the id of a run");
    expect(existsSync(runsDir(dataDir)) ? readdirSync(runsDir(dataDir)) : []).toEqual([]);
    expect(readRun(dataDir, id)).toBeUndefined();
  });
});

describe("readRun", () => {
  it("reads a run that is being written, without touching it", async () => {
    const dataDir = newDataDir();
    const log = openRunLog(dataDir, "run-1");
    await log.append(snapshot);
    const file = join(log.dir, "log.jsonl");
    appendFileSync(file, '{"n":2,"at"');
    const size = statSync(file).size;

    expect(readRun(dataDir, "run-1")).toMatchObject([snapshot]);
    expect(statSync(file).size).toBe(size);
    log.close();
  });

  it("does not know a run that never was", () => {
    expect(readRun(newDataDir(), "run-1")).toBeUndefined();
  });
});

it("listRuns names the runs of this machine", () => {
  const dataDir = newDataDir();
  expect(listRuns(dataDir)).toEqual([]);

  for (const id of ["run-1", "run-2"]) openRunLog(dataDir, id).close();

  expect(listRuns(dataDir).toSorted()).toEqual(["run-1", "run-2"]);
});

it("lastEvent finds the newest of its type", async () => {
  const log = openRunLog(newDataDir(), "run-1");
  await log.append({ type: "attempt", round: 1, model: "m" });
  await log.append({ type: "attempt", round: 2, model: "m" });
  await log.append({ type: "released" });
  log.close();

  expect(lastEvent(log.events, "attempt")?.round).toBe(2);
  expect(lastEvent(log.events, "finished")).toBeUndefined();
});

it("goes on before a line that the disk damaged, and keeps what was there for a person", async () => {
  const dataDir = newDataDir();
  const log = openRunLog(dataDir, "hurt");
  await log.append(snapshot);
  log.close();
  appendFileSync(join(log.dir, "log.jsonl"), '{"n":2,\0\0\n{"n":3,"at":"x","type":"released"}\n');

  const again = openRunLog(dataDir, "hurt");
  await again.append({ type: "released" });
  again.close();

  expect(readRun(dataDir, "hurt")?.map(({ n, type }) => [n, type])).toEqual([
    [1, "snapshot"],
    [2, "released"],
  ]);
  expect(readFileSync(join(log.dir, "log.damaged"), "utf8")).toContain('"n":3');
});

describe("a run that no queue knows", () => {
  it("is held while its process lives and has not let go", () => {
    const dataDir = newDataDir();
    const log = openRunLog(dataDir, "own");
    log.close();

    const before = isHeld(dataDir, "own");
    const hold = holdRun(log.dir);
    const meanwhile = isHeld(dataDir, "own");
    hold[Symbol.dispose]();

    expect([before, meanwhile, isHeld(dataDir, "own")]).toEqual([false, true, false]);
  });

  it("is nobody's when the process that held it is gone", () => {
    const dataDir = newDataDir();
    const log = openRunLog(dataDir, "left");
    log.close();
    const { pid } = spawnSync("true");
    writeFileSync(join(log.dir, "pid"), String(pid));

    expect(isHeld(dataDir, "left")).toBe(false);
  });
});
