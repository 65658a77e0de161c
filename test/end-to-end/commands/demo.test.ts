import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFolder, engineOf, processesWith, runCommand, startCommand } from "../support/command.ts";
import type { Folder } from "../support/command.ts";

let folder: Folder;
beforeAll(() => {
  folder = createFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe("demo", () => {
  it("ends with exit code 0, and prints nothing but JSON, the outcome last", async () => {
    const ended = await runCommand(["demo", "--json"], { env: { TMPDIR: own("demo") } });

    const events = jsonLines(ended.stdout);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(events.at(-1)).toMatchObject({
      event: "end",
      outcome: "published",
      pull_request: expect.stringMatching(/^http:.*\/pull\/2$/),
      duration_seconds: expect.any(Number),
    });
    expect(readdirSync(join(folder.path, "demo"))).toEqual([]);
  });

  it("shows first settings, a task that is due and its pull request, and the dashboard", async () => {
    const ended = await runCommand(["demo", "--story", "maintenance"], { env: { TMPDIR: own("maintenance") } });

    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toMatch(
      /Configure agent-fix ---[^]*`npm test` \| passed[^]*agent-fix dashboard ---[^]*\*\*unused\*\*[^]*Remove the unused export oldSlugify ---[^]*published in/,
    );
  });

  it("stays up with --keep and says in JSON where to look; SIGTERM takes it down", async () => {
    await using demo = startCommand(["demo", "--json", "--keep"], { env: { TMPDIR: own("kept") } });
    const end = JSON.parse(await demo.line(/"event":"end"/)) as { pull_request: string };

    const page = await fetch(end.pull_request);
    demo.signal("SIGTERM");
    const ended = await demo.ended;

    expect(page.status).toBe(200);
    expect(ended).toMatchObject({ code: 0 });
    expect(jsonLines(ended.stdout).filter(({ event }) => event === "keep")).toEqual([
      { event: "keep", page: end.pull_request },
    ]);
    expect(readdirSync(join(folder.path, "kept"))).toEqual([]);
  });

  it.each([
    ["SIGTERM", /"event":"attempt"/],
    ["SIGINT", /"event":"environment"/],
  ] as const)("leaves no server, container or folder when %s ends it midway", async (signal, midway) => {
    const path = own(signal);
    await using demo = startCommand(["demo", "--json"], { env: { TMPDIR: path } });
    await demo.line(midway);
    const [data = ""] = readdirSync(path);
    const engine = await engineOf(join(path, data));
    const started = processesWith(data);
    expect(started).toContainEqual(expect.stringContaining("redis-server"));
    // The embedded GitHub asks one of git's processes for each repository.
    expect(started.every((one) => /redis-server|git --git-dir .* cat-file/.test(one))).toBe(true);

    demo.signal(signal);

    const ended = await demo.ended;
    expect(ended.code).toBe(1);
    expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ event: "end", outcome: "cancelled", pull_request: null });
    expect(readdirSync(path)).toEqual([]);
    expect(processesWith(data)).toEqual([]);
    expect(await engine.list()).toEqual([]);
  });

  function own(name: string): string {
    const path = join(folder.path, name);
    mkdirSync(path);
    return path;
  }
});

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
