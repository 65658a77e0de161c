import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";
import { crashCode } from "../../../src/cli/crash.ts";

const url = (file: string) => JSON.stringify(new URL(`../../../src/${file}`, import.meta.url).href);
const begun = `
  import { endOnCrash } from ${url("cli/crash.ts")};
  import { createLog } from ${url("log.ts")};
  const log = createLog("info", (line) => line.replaceAll("geheim", "[secret]"));
`;

/** Runs a program with the log, and gives back how it ended. */
function run(program: string, redirect = ""): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const command = ["-c", `exec "$0" --input-type=module -e "$1" ${redirect}`, process.execPath, `${begun}\n${program}`];
  return new Promise((resolve) => {
    execFile("sh", command, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
}

describe("what nothing caught", () => {
  it.each([
    ["an error in an event", 'setTimeout(() => { throw new Error("geheim in an event"); }, 1);'],
    ["a promise that nobody holds", 'Promise.reject(new Error("geheim in an event"));'],
    ["something that is no error", 'setTimeout(() => { throw "geheim in an event"; }, 1);'],
  ])("ends the process with one line of the log, without a secret: %s", async (_what, program) => {
    const { code, stderr } = await run(`endOnCrash(log); setInterval(() => {}, 1000); ${program}`);

    expect(code).toBe(crashCode);
    expect(stderr).not.toContain("geheim");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(stderr)).toMatchObject({ level: 60, error: expect.stringContaining("[secret] in an event") });
  });
});

it("a log that can't be written hurts nobody who has something to tell", async () => {
  const ended = await run('log.warn("one"); log.warn("two"); console.log("goes on");', "2>/dev/full");

  expect(ended).toMatchObject({ code: 0, stdout: "goes on\n" });
});
