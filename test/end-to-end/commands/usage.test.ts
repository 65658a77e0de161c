import { afterAll, beforeAll, describe, it } from "vitest";
import { createFolder, refusal, runCommand } from "../support/command.ts";
import type { Folder } from "../support/command.ts";

let folder: Folder;
beforeAll(() => {
  folder = createFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe.concurrent("usage", () => {
  const commands = ["up", "web", "worker", "resolve", "doctor", "demo", "runs", "runs show"];

  it.for(commands)("%s --help says how it is used", async (command, { expect }) => {
    const ended = await runCommand([...command.split(" "), "--help"]);

    expect(ended).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining(`Usage: agent-fix ${command}`),
    });
  });

  it("the help of agent-fix names every command", async ({ expect }) => {
    const ended = await runCommand(["--help"]);

    const named = [...ended.stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(named).toEqual(["up", "web", "worker", "resolve", "doctor", "demo", "runs", "help"]);
  });

  it.for<[args: string[], says: string]>([
    [["frobnicate"], "unknown command 'frobnicate'"],
    [["up", "--frob"], "unknown option '--frob'"],
    [["web", "extra"], "extra"],
    [["runs", "show"], "missing required argument 'id'"],
    [["resolve", "--repo"], "--repo <dir>"],
    [["demo", "--story", "nope"], "issue, review, maintenance"],
    [["demo", "--case", "nope"], "minimist"],
    [["demo", "--story", "review", "--case", "minimist"], "--case"],
  ])("%j is wrong usage", async ([args, says], { expect }) => {
    expect(await runCommand(args)).toMatchObject(refusal(says));
  });

  it.for<[variable: string, value: string, says: string[]]>([
    ["PORT", "99999", ["PORT", "99999", "0 to 65535"]],
    ["PRIVATE_KEY", "garbage", ["PRIVATE_KEY", ".pem"]],
    ["PRIVATE_KEY_PATH", "/nonexistent.pem", ["PRIVATE_KEY_PATH", "/nonexistent.pem", ".pem file"]],
    ["MODEL_BASE_URL", "nonsense", ["MODEL_BASE_URL", "nonsense", "http://localhost:8000/v1"]],
    ["REDIS_URL", "localhost", ["REDIS_URL", "localhost", "redis://HOST:PORT"]],
    ["GHE_HOST", "https://x.example", ["GHE_HOST", "https://x.example", "without protocol"]],
    ["WORKER_CONCURRENCY", "0", ["WORKER_CONCURRENCY", "0", "at least 1"]],
  ])("%s=%s is named with what to do", async ([variable, value, says], { expect }) => {
    const ended = await runCommand(["up"], { env: { [variable]: value, DATA_DIR: folder.path } });

    expect(ended).toMatchObject(refusal(...says));
  });
});
