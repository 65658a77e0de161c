import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { RunEvent, Stamped } from "../../../src/runlog.ts";
import { isNotRun, measureFacts, measureScript, notImproved, numberIn } from "../../../worker/maintenance/measure.ts";

it.each([
  ["14\n", 14],
  ["  14  \n\n", 14],
  ["found:\n3\n7.5\n", 7.5],
  ["12\nand that is all\n", 12],
  ["-2", -2],
  ["0\n", 0],
])("the last line that is a number counts: %j", (text, expected) => {
  expect(numberIn(text)).toBe(expected);
});

it.each(["", "none\n", "14 files\n", "1,400\n", "1e5\n", "NaN\n", "0x10\n", `${"9".repeat(40)}\n`])(
  "there is no number in %j",
  (text) => {
    expect(numberIn(text)).toBeUndefined();
  },
);

/** How the script ends in this machine's shell, with or without bash, and what it prints. */
async function shell(command: string, { prepare = "", path = process.env["PATH"] ?? "" } = {}) {
  const args = ["-c", measureScript, "agent-fix", prepare, command];
  const env = { PATH: path };
  const run = promisify(execFile)("/bin/sh", args, { env });
  return run.then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  );
}

describe("a measure in a shell", () => {
  it.each([
    ["missing-tool | wc -l", 127, "0\n"],
    ["missing-tool | grep x | wc -l", 127, "0\n"],
    ["cd / && missing-tool | wc -l", 127, "0\n"],
    ["/etc/passwd | wc -l", 126, "0\n"],
    ["printf 'a\\nb\\n' | wc -l", 0, "2\n"],
    ["(echo found; exit 1) | wc -l", 0, "1\n"],
    ["echo a | grep -c z", 1, "0\n"],
    ["(missing-tool || echo a) | wc -l", 0, "1\n"],
  ])("%s ends with %i", async (command, code, stdout) => {
    expect(await shell(command)).toEqual({ code, stdout });
  });

  it("runs what comes before it in the same shell, and ends where that fails", async () => {
    expect(await shell('echo "$found"', { prepare: "found=4" })).toEqual({ code: 0, stdout: "4\n" });
    expect(await shell("echo 4", { prepare: "false" })).toEqual({ code: 1, stdout: "" });
  });

  it("runs also where there is no bash", async () => {
    const path = mkdtempSync(join(tmpdir(), "agent-fix-no-bash-"));
    symlinkSync("/usr/bin/wc", join(path, "wc"));
    try {
      expect(await shell("echo 4 | wc -l", { path })).toEqual({ code: 0, stdout: "1\n" });
      expect(await shell("missing-tool", { path })).toEqual({ code: 127, stdout: "" });
    } finally {
      rmSync(path, { recursive: true });
    }
  });
});

it.each([
  [127, "sh: 1: knip: not found\n0\n", true],
  [126, "0\n", true],
  [0, "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo\n0\n", true],
  [0, "npm ERR! code ENOTFOUND\n0\n", true],
  [0, 'npm error npx canceled due to missing packages and no YES option: ["knip@6.0.0"]\n0\n', true],
  [0, "npm error could not determine executable to run\n0\n", true],
  [0, "npm warn deprecated\n0\n", false],
  [1, "npm error code 1\n3\n", false],
  [1, "npm ERR! code ELIFECYCLE\n3\n", false],
  [1, "0\n", false],
])("after exit code %i and %j a command was not run: %s", (code, output, expected) => {
  expect(isNotRun(code, output)).toBe(expected);
});

function measured(before: number, after: number): Stamped[] {
  const events: RunEvent[] = [
    { type: "measured", leg: "base", run: "npx knip | wc -l", value: before },
    { type: "measured", leg: "head", run: "npx knip | wc -l", value: after },
  ];
  return events.map((event, n) => ({ n, at: "", ...event }));
}

it("a pull request says what was measured before and after, once both are known", () => {
  expect(measureFacts(measured(14, 9))).toEqual(["`npx knip | wc -l`: 14 → 9"]);
  expect(measureFacts(measured(14, 9).slice(0, 1))).toEqual([]);
  expect(measureFacts([])).toEqual([]);
});

it("a pull request that has nothing left to measure says what else that may mean", () => {
  expect(measureFacts(measured(14, 0))).toEqual([
    expect.stringContaining("14 → 0. A count is 0 also where its tool broke"),
  ]);
});

it("less is better: the same or more ends the run quietly", () => {
  expect(notImproved(measured(14, 13))).toBeUndefined();
  expect(notImproved(measured(14, 14))).toMatchObject({ outcome: "no-change", cause: "the measure did not improve" });
  expect(notImproved(measured(14, 15))).toMatchObject({ outcome: "no-change" });
});
