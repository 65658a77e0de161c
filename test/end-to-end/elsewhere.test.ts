import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "agent-fix-elsewhere-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a module where `folder` is a file system of its own, which nobody outside sees: as on another machine. */
function runElsewhere(module: string, ...args: string[]): string {
  const own = process.getuid?.() === 0 ? ["--mount"] : ["--mount", "--map-root-user"];
  const start = 'mount -t tmpfs tmpfs "$1" && chmod 755 "$1" && shift && exec "$@"';
  const node = [process.execPath, new URL(module, import.meta.url).pathname, ...args];
  return execFileSync("unshare", [...own, "sh", "-c", start, "sh", folder, ...node], {
    env: { ...process.env, TMPDIR: folder },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("an engine that sees no folder of this machine is sent the repository: a change is made, taken out and checked", () => {
  const told = runElsewhere("support/elsewhere.ts", `test-${randomBytes(6).toString("hex")}`);

  expect(JSON.parse(told)).toEqual({
    folders: "sent",
    trees: "overlay",
    doubled: "1\nkept\n8\n",
    changed: ["deleted double.js"],
    base: "exit code 1",
    head: "passed",
    left: [],
  });
});
