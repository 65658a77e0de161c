import { describe, expect, it } from "vitest";
import { parseSettings } from "../../src/settings.ts";
import { readCommit } from "../../worker/checkout.ts";
import { renderFirstBody, renderFirstSettings } from "../../worker/first-settings.ts";
import { canUpdate } from "../../worker/maintenance/dependencies.ts";
import type { Survey } from "../../worker/survey.ts";
import { needsInput } from "../../worker/outcome.ts";
import { testRepository } from "../sandbox/support.ts";
import { checkOf } from "./support.ts";

const environment: Survey["environment"] = {
  image: undefined,
  env: {},
  setup: ["npm ci"],
  prepare: [],
  checks: [{ name: "npm test", run: "npm test", required: true }],
  from: "npm",
  notes: ["The image of devcontainer.json is not used."],
};
const baseline = { results: [{ ...checkOf("npm test", true), ms: 2100, tail: "ok 1 - adds" }], flaky: [] };
const found: Survey = { environment, isUpdatable: true, measured: { ok: true, baseline } };
const bare = { ...environment, setup: [], checks: [], from: "nothing" };
const commit = "c".repeat(40);
const manifest = '{"dependencies":{"a":"^1.0.0"}}';
const lock = '{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0"}}}';

describe("the first settings", () => {
  it("hold the task for dependencies where they can be updated, and what was detected as comments", () => {
    const text = renderFirstSettings(found);

    expect(text).toContain("# setup:\n#   - npm ci\n# checks:\n#   - npm test\n");
    expect(parseSettings(text)).toMatchObject({
      ok: true,
      settings: { maintenance: { dependencies: { use: "dependencies", schedule: "0 5 * * 1" } } },
    });
  });

  it.each([
    ["npm's lock file", { "package.json": manifest, "package-lock.json": lock }, true],
    ["npm's shrinkwrap", { "package.json": manifest, "npm-shrinkwrap.json": lock }, true],
    ["pinned requirements", { "requirements.txt": "six==1.16.0\n" }, true],
    [
      "pinned requirements beside a manifest without a lock file",
      { "package.json": "{}", "dev-requirements.txt": "six==1.16.0\n" },
      true,
    ],
    ["requirements that pin nothing", { "requirements.txt": "six>=1.16\n" }, false],
    ["npm without dependencies", { "package.json": "{}", "package-lock.json": "{}" }, false],
    ["pnpm's lock file", { "package.json": manifest, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n" }, false],
    ["nothing", { "README.md": "" }, false],
  ])("offer that task only where it can update something: %s", async (_what, files, isOffered) => {
    using repository = testRepository(files);
    const isUpdatable = await canUpdate(await readCommit(repository.mirror, repository.commits[0] ?? ""));

    const parsed = parseSettings(renderFirstSettings({ environment, isUpdatable }));
    const body = renderFirstBody({ ...found, isUpdatable }, commit);

    expect(parsed.ok && Object.keys(parsed.settings.maintenance)).toEqual(isOffered ? ["dependencies"] : []);
    expect(body.includes("The task `dependencies` is due")).toBe(isOffered);
  });

  it("change nothing by themselves where nothing was detected, and say what is to be filled in", () => {
    const text = renderFirstSettings({ environment: bare, isUpdatable: false });

    expect(text).toContain("#   - <the command that runs your tests>");
    expect(parseSettings(text)).toMatchObject({ ok: true, settings: { maintenance: {} } });
    const offered = text.slice(text.indexOf("# maintenance:")).replaceAll(/^# /gm, "");
    expect(parseSettings(offered)).toMatchObject({ ok: true, settings: { maintenance: { dependencies: {} } } });
  });
});

describe("the pull request with them", () => {
  it("says what was found, what the checks say, and what merging and closing mean", () => {
    const body = renderFirstBody(found, commit);

    expect(body).toMatch(/Merge it to enable[^]*Close it unmerged to keep it off/);
    expect(body).toContain("| Languages and package managers | JavaScript (npm) |");
    expect(body).toContain("| Checks | `npm test` |");
    expect(body).toContain("| `npm test` | passed | 3 s |");
    expect(body).toContain("ok 1 - adds");
    expect(body).toContain("due at `0 5 * * 1`");
  });

  it("says why the checks could not be run", () => {
    const body = renderFirstBody(
      { environment: bare, isUpdatable: false, measured: { ok: false, outcome: needsInput("no checks") } },
      commit,
    );

    expect(body).toContain("They could not be run: I found no command that tests this repository");
    expect(body).toContain("Nothing is on a schedule until");
  });

  it("stays within what the code host takes, and lets nothing in a log act", () => {
    const tail = `${"x".repeat(100_000)}\n\`\`\`\n@ann closes #1`;
    const results = [{ ...checkOf("npm test", false), tail }];

    const body = renderFirstBody({ ...found, measured: { ok: true, baseline: { results, flaky: [] } } }, commit);

    expect(body.length).toBeLessThan(60_000);
    expect(body).toMatch(/````[^]*@ann closes #1[^]*````/);
  });
});
