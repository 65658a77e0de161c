import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mirrorPath } from "../../worker/checkout.ts";
import { createLedger, failingAgain, trimLedgers } from "../../worker/ledger.ts";
import type { Ledger, Sighting } from "../../worker/ledger.ts";
import type { TestResult } from "../../worker/reports/results.ts";
import { checkOf, dataFolder } from "./support.ts";

const day = 24 * 3600_000;
const start = Date.parse("2026-03-01T02:00:00.000Z");
const sighting: Sighting = { saw: "flaky", run: "run-1", leg: "base", commit: "c".repeat(40) };
const asked: Sighting = { ...sighting, saw: "asked" };
const one = { check: "npm test", test: { name: "adds", file: "a.test.js" } };
const elsewhere = { check: "npm test", test: { name: "adds", file: "b.test.js" } };
const whole = { check: "make check" };

let data: ReturnType<typeof dataFolder>;
let path: string;
let ledger: Ledger;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: start });
  data = dataFolder();
  path = join(data.path, "flaky", "7.jsonl");
  ledger = createLedger(data.path, mirrorPath(data.path, "7"));
});
afterEach(() => {
  data[Symbol.dispose]();
  vi.useRealTimers();
});

describe("a ledger", () => {
  it("tells how often each test was seen and when last, the most frequent first", async () => {
    await ledger.note(sighting, [one]);
    vi.setSystemTime(start + day);
    await ledger.note({ ...sighting, leg: "head" }, [whole, elsewhere]);
    await ledger.note(sighting, [whole]);

    const second = new Date(start + day).toISOString();
    expect(await ledger.seen("run-2")).toEqual([
      { ...whole, times: 2, last: second },
      { ...elsewhere, times: 1, last: second },
      { ...one, times: 1, last: new Date(start).toISOString() },
    ]);
  });

  it("is the repository's own, a line for each sighting", async () => {
    await ledger.note(sighting, [one, whole]);

    expect(await createLedger(data.path, mirrorPath(data.path, "8")).seen("run-2")).toEqual([]);
    const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { at: new Date(start).toISOString(), ...sighting, ...one },
      { at: new Date(start).toISOString(), ...sighting, ...whole },
    ]);
  });

  it("writes nothing where nothing was seen", async () => {
    await ledger.note(sighting, []);

    expect(existsSync(path)).toBe(false);
    expect(await ledger.seen("run-2")).toEqual([]);
  });

  it("forgets what is older than 30 days", async () => {
    await ledger.note(sighting, [one]);
    vi.setSystemTime(start + 30 * day);
    const before = await ledger.seen("run-2");
    vi.setSystemTime(start + 30 * day + 1);

    expect([before.length, await ledger.seen("run-2")]).toEqual([1, []]);
  });

  it("leaves out what was to be mended and was not seen since, but for the run that was to do it", async () => {
    await ledger.note(sighting, [one, whole]);
    await ledger.note(asked, [one]);
    const [own, other] = [await ledger.seen("run-1"), await ledger.seen("run-2")];
    await ledger.note(sighting, [one]);

    expect(own).toMatchObject([{ ...one, times: 1 }, whole]);
    expect(other).toMatchObject([{ ...whole, times: 1 }]);
    expect(await ledger.seen("run-2")).toMatchObject([
      { ...one, times: 2 },
      { ...whole, times: 1 },
    ]);
  });

  it.each(['{"at":"2026-03-01T02:00:00', "nonsense", '{"at":"yesterday","saw":"flaky","check":"x"}', "[]", "null"])(
    "skips the damaged line %s, which takes no other with it",
    async (damage) => {
      await ledger.note(sighting, [one]);
      appendFileSync(path, `\n${damage}`);
      await ledger.note(sighting, [one]);

      expect(await ledger.seen("run-2")).toMatchObject([{ ...one, times: 2 }]);
    },
  );

  it("has what several workers write at once", async () => {
    const workers = Array.from({ length: 8 }, () => createLedger(data.path, mirrorPath(data.path, "7")));

    await Promise.all(
      workers.flatMap((worker) => Array.from({ length: 20 }, () => worker.note(sighting, [one, whole]))),
    );

    expect(await ledger.seen("run-2")).toMatchObject([{ times: 160 }, { times: 160 }]);
  });

  it("takes in no more than 200 tests of one leg", async () => {
    await ledger.note(
      sighting,
      Array.from({ length: 5000 }, (_, i) => ({ check: `${i}` })),
    );

    expect(await ledger.seen("run-2")).toHaveLength(200);
  });
});

describe("trimming the ledgers", () => {
  it("removes what is old or damaged, and a ledger of which nothing is left", async () => {
    const other = createLedger(data.path, mirrorPath(data.path, "8"));
    await other.note(sighting, [whole]);
    await ledger.note(sighting, [one]);
    vi.setSystemTime(start + 20 * day);
    appendFileSync(path, "\n{torn");
    await ledger.note(sighting, [whole]);
    vi.setSystemTime(start + 31 * day);

    await trimLedgers(data.path);

    expect(readdirSync(join(data.path, "flaky"))).toEqual(["7.jsonl"]);
    const [line = "", ...more] = readFileSync(path, "utf8").split("\n").filter(Boolean);
    expect(JSON.parse(line)).toEqual({ at: new Date(start + 20 * day).toISOString(), ...sighting, ...whole });
    expect(more).toEqual([]);
  });

  it("leaves the newest 4000 lines, to which more can be added", async () => {
    const lines = Array.from({ length: 5000 }, (_, i) =>
      JSON.stringify({ at: new Date(start).toISOString(), ...sighting, check: i < 1000 ? "old" : "young" }),
    );
    mkdirSync(join(data.path, "flaky"));
    writeFileSync(path, lines.map((line) => `\n${line}`).join(""));

    await trimLedgers(data.path);
    await ledger.note(sighting, [one]);

    const left = readFileSync(path, "utf8").split("\n").filter(Boolean);
    expect([left.length, left.filter((line) => line.includes('"old"')).length]).toEqual([4001, 0]);
  });

  it("has nothing to do where none is", async () => {
    await trimLedgers(data.path);

    expect(readdirSync(data.path)).toEqual([]);
  });
});

describe("failingAgain", () => {
  const result = (status: TestResult["status"]): TestResult => ({ ...one.test, status });

  it("has the known tests and checks that fail, and no others", () => {
    const ran = [
      {
        check: checkOf("npm test", false),
        tests: [result("failed"), { ...elsewhere.test, status: "failed" as const }],
      },
      { check: checkOf("make check", false), tests: undefined },
      { check: checkOf("make lint", false), tests: undefined },
    ];

    expect(failingAgain([one, whole], ran)).toEqual([one, whole]);
  });

  it("has none that pass, or did not run", () => {
    const ran = [
      { check: checkOf("npm test", true), tests: [result("passed")] },
      { check: checkOf("make check", false, { notRun: true }), tests: undefined },
    ];

    expect(failingAgain([one, whole], ran)).toEqual([]);
    expect(failingAgain([one, whole], [{ check: checkOf("make check", true), tests: undefined }])).toEqual([]);
  });
});
