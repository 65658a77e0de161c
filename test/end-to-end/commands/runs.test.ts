import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runsDir } from "../../../src/runlog.ts";
import { refusal, runCommand, startSite } from "../support/command.ts";
import type { Site } from "../support/command.ts";
import { brokenProject } from "../support/laptop.ts";

describe("runs", () => {
  let site: Site;
  let dataDir: string;
  beforeAll(async () => {
    site = await startSite();
    ({ dataDir } = site);
  });
  afterAll(() => site[Symbol.asyncDispose]());
  const runs = (args: string[], env = site.env) => runCommand(["runs", ...args], { env });

  it("says that there is none in an empty DATA_DIR, also in one that is missing", async () => {
    const missing = join(dataDir, "missing");

    expect(await runs([])).toMatchObject({ code: 0, stdout: `No runs in ${dataDir}.\n` });
    expect(await runs(["--json"])).toMatchObject({ code: 0, stdout: "" });
    expect(await runs([], { DATA_DIR: missing })).toMatchObject({ code: 0, stdout: `No runs in ${missing}.\n` });
  });

  it.each(["ab12", "../runs", ""])("show %j is refused where there is no such run", async (id) => {
    expect(await runs(["show", id])).toMatchObject(refusal(JSON.stringify(id), "`agent-fix runs` lists them"));
  });

  it("lists a run and shows its events, for people and as JSON", async () => {
    await site.github.addRepository({ owner: "ann", name: "shown", files: brokenProject });
    const { data: issue } = await site
      .as("ann")
      .rest.issues.create({ owner: "ann", repo: "shown", title: "The answer is wrong" });
    const env = { ...site.env, GITHUB_TOKEN: site.github.addUser("ann") };
    await runCommand(["resolve", issue.html_url], { env });
    const [id = ""] = readdirSync(runsDir(dataDir));

    const [list, listJson, show, showJson] = await Promise.all([
      runs([]),
      runs(["--json"]),
      runs(["show", id]),
      runs(["show", id, "--json"]),
    ]);

    expect(list.stdout).toMatch(new RegExp(`^\\S+Z {2}${id} {2}ann/shown #1 {2}published\\n$`));
    expect(JSON.parse(listJson.stdout)).toMatchObject({ id, subject: "ann/shown #1", outcome: "published" });
    expect(show.stdout).toMatch(/^\S+Z {2}gate +passed: /m);
    const events = showJson.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["claimed", "gate", "finished"]));
    const lines = show.stdout.trim().split("\n");
    expect(lines).toHaveLength(events.length + 1);
    expect(lines.at(-1)).toBe(`What the last verdict rests on: ${join(runsDir(dataDir), id, "evidence.json")}`);
  });
});
