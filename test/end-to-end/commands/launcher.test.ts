import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFolder, launcher, nodes, runCommand, startCommand } from "../support/command.ts";
import type { Folder } from "../support/command.ts";

let folder: Folder;
beforeAll(() => {
  folder = createFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe("the launcher", () => {
  it.each(["system", "own"] as const)(
    "starts the command from any folder and through a symlink with %s Node",
    async (node) => {
      const bin = join(folder.path, `agent-fix-${node}`);
      symlinkSync(launcher, bin);

      const ended = await runCommand(["runs", "--json"], { node, bin, cwd: "/", env: { DATA_DIR: folder.path } });

      expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
    },
  );

  it.each(["SIGTERM", "SIGINT"] as const)("passes %s and the exit code on under the system's Node", async (signal) => {
    const env = { DATA_DIR: join(folder.path, signal), PORT: "0" };
    await using command = startCommand(["up"], { node: "system", env });
    await command.line(/No GitHub App yet/);

    command.signal(signal);

    expect(await command.ended).toMatchObject({ code: 0 });
    expect(await runCommand(["frobnicate"], { node: "system" })).toMatchObject({ code: 2 });
    expect(nodes.system).not.toBe(nodes.own);
  });
});
