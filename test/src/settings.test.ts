import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { defaultSettings, parseSettings, settingsJsonSchema } from "../../src/settings.ts";

/** Every key. */
const contract = `
image: node:24-bookworm
setup: []
prepare: []
checks: ["npm test", {name: lint, run: npx oxlint, required: true, paths: [src], report: build/junit.xml}]
base: main
plan: false
limits: {minutes: 120, steps: 300, tokens: 40000000}
network: {setup: [auto], agent: []}
review: {trigger: any, resolve: true}
checksWatch: {fix: true, attempts: 3}
ci: hold
protect: []
keepBranch: false
maintenance:
  weekly: {use: dependencies, schedule: "0 5 * * 1", timezone: Europe/Berlin}
  lint: {task: "Remove unused exports", schedule: "0 4 * * 3", update: [], measure: "npx knip | wc -l", paths: []}
unattended:
  dryRun: false
  open: 2
  hourly: 1
  quiet: ["22:00-06:00"]
  timezone: UTC
`;

function problemsOf(file: string): string[] {
  const parsed = parseSettings(file);
  return parsed.ok ? [] : parsed.problems;
}

describe("the settings", () => {
  it("have the contract's defaults where the file is empty", () => {
    const parsed = parseSettings("");

    expect(parsed).toEqual({ ok: true, settings: defaultSettings });
    expect(defaultSettings).toMatchObject({
      prepare: [],
      plan: false,
      limits: { minutes: 120, steps: 300, tokens: 40_000_000 },
      network: { setup: ["auto"], agent: [] },
      review: { trigger: "any", resolve: true },
      checksWatch: { fix: true, attempts: 3 },
      keepBranch: false,
      maintenance: {},
      unattended: { dryRun: false, open: 2, hourly: 1, quiet: [], timezone: "UTC" },
    });
  });

  it("take a task of each kind", () => {
    const parsed = parseSettings(
      [
        "maintenance:",
        '  weekly: {use: dependencies, schedule: "0 5 * * 1", timezone: Europe/Berlin}',
        '  flaky: {use: flaky-tests, schedule: "0 2 * * *"}',
        '  lint: {task: "Remove unused exports", schedule: "0 4 * * wed", measure: "npx knip | wc -l", paths: ["src/**"]}',
        '  lock: {update: [npm update], schedule: "0 4 1 */3 *"}',
        "unattended: {dryRun: true, open: 1, hourly: 3, quiet: ['22:00-06:00'], timezone: America/New_York}",
      ].join("\n"),
    );

    expect(parsed).toMatchObject({
      ok: true,
      settings: {
        maintenance: {
          weekly: { use: "dependencies", timezone: "Europe/Berlin", update: [] },
          lint: { task: "Remove unused exports", timezone: "UTC" },
        },
        unattended: { quiet: ["22:00-06:00"] },
      },
    });
  });
});

describe("an unknown key", () => {
  it.each([
    ["at the top", "image: node:24\nchekcs: [npm test]\n", "line 2: unknown key `chekcs`, did you mean `checks`?"],
    ["of a group, by its own line", "limts:\n  minutes: 5\n", "line 1: unknown key `limts`, did you mean `limits`?"],
    ["in a group", "limits:\n  minuts: 5\n", "line 2: unknown key `limits.minuts`, did you mean `minutes`?"],
    [
      "in a task",
      "maintenance:\n  lint:\n    task: x\n    schedule: 0 5 * * 1\n    mesure: wc\n",
      "line 5: unknown key `maintenance.lint.mesure`, did you mean `measure`?",
    ],
    [
      "in a check",
      "checks:\n  - npm test\n  - {name: unit, run: make, path: [a]}\n",
      "line 3: unknown key `checks.1.path`, did you mean `paths`?",
    ],
    [
      "in unattended",
      "unattended: {dryrun: true}\n",
      "line 1: unknown key `unattended.dryrun`, did you mean `dryRun`?",
    ],
    ["outside its group", "minutes: 5\n", "line 1: unknown key `minutes`, did you mean `limits.minutes`?"],
    ["like no other", "review: {xyz: 1}\n", "line 1: unknown key `review.xyz`. Known here: `trigger`, `resolve`."],
    [
      "behind an alias",
      "x: &x {minuts: 5}\nlimits: *x\n",
      "line 1: unknown key `limits.minuts`, did you mean `minutes`?",
    ],
  ])("%s is named with its line and the nearest known one", (_where, file, problem) => {
    expect(problemsOf(file)).toContain(problem);
  });
});

describe("a value that is not taken", () => {
  it.each([
    ["plan: yes", "line 1: `plan` is the text `yes`; it takes `true` or `false`."],
    [
      "limits: {steps: many}",
      "line 1: `limits.steps` is the text `many`; it takes a whole number from 1 to 5000, such as `steps: 300`.",
    ],
    [
      "limits: {minutes: 2000}",
      "line 1: `limits.minutes` is `2000`; it takes a whole number from 1 to 1440, such as `minutes: 120`.",
    ],
    ["unattended: {open: -1}", "line 1: `unattended.open` is `-1`; it takes a whole number from 0, such as `open: 2`."],
    ["setup:", 'line 1: `setup` is empty; it takes a list, such as `setup: ["npm ci"]`.'],
    ["review: any", "line 1: `review` is the text `any`; it takes a group of keys: `trigger`, `resolve`."],
    ["ci: holt", "line 1: `ci` is the text `holt`; it takes `hold` or `run`. Did you mean `hold`?"],
    [
      "network: {agent: {}}",
      'line 1: `network.agent` is a group of keys; it takes a list, such as `agent: ["packages.example.com"]`.',
    ],
    ["- image", "line 1: the file is a list; it takes a group of keys: "],
    ["base: ''", 'line 1: `base` is empty; it takes a text, such as `base: "main"`.'],
    [
      "checks: [5]",
      'line 1: `checks.0` is `5`; it takes a text, or a group of keys: `name`, `run`, `required`, `paths`, `report`, such as `"npm test"`.',
    ],
    ["checks: [{name: unit}]", 'line 1: `checks.0` lacks `run`. Write for example `run: "npm test"`.'],
    [
      "checks: [{name: unit, run: make, paths: packages/a}]",
      'line 1: `checks.0.paths` is the text `packages/a`; it takes a list, such as `paths: ["packages/a"]`.',
    ],
    [
      "checks: [{name: unit, run: make, paths: ['']}]",
      "line 1: `checks.0.paths.0` is empty; it takes a glob or a folder below the repository's root, such as packages/a.",
    ],
    [
      "unattended: {quiet: [22-6]}",
      'line 1: `unattended.quiet.0` is the text `22-6`; it takes hours from and to, such as "22:00-06:00".',
    ],
    [
      "maintenance: {Lint_All: {task: x, schedule: 0 5 * * 1}}",
      "line 1: `maintenance.Lint_All`: the name takes up to 40 lower-case letters, digits and dashes.",
    ],
  ])("is told with what is taken: %s", (file, problem) => {
    expect(problemsOf(file).join("\n")).toContain(problem);
  });

  it.each(["/etc/passwd", "../up.xml", "a/../../b", ".", "build/", "a//b", ""])("is the report %j", (report) => {
    expect(problemsOf(`checks:\n  - {name: unit, run: make, report: ${JSON.stringify(report)}}\n`)).toHaveLength(1);
  });

  it("is no report below the root", () => {
    expect(parseSettings("checks: [{name: unit, run: make, report: .build/junit-a..xml}]").ok).toBe(true);
  });

  it("is shown without what it would do in Markdown", () => {
    expect(problemsOf('ci: "`</code> @org/team fixes #1"')).toEqual([
      "line 1: `ci` is the text `</code> @org/team fixes no. 1`; it takes `hold` or `run`.",
    ]);
  });

  it("comes in the order of the file", () => {
    const lines = problemsOf("ci: no\nfoo: 1\nplan: 5\nlimits: {steps: 0}\n").map((problem) => problem.split(":")[0]);

    expect(lines).toEqual(["line 1", "line 2", "line 3", "line 4"]);
  });
});

describe("what no run could carry out is found beforehand", () => {
  it.each(["lint-2", "a-0"])("a task's key %s, whose first branch would be a later one of another task", (key) => {
    const result = parseSettings(`maintenance:\n  ${key}: {use: dependencies, schedule: 0 5 * * 1}\n`);

    expect(result).toMatchObject({
      ok: false,
      problems: [expect.stringMatching(/^line 2: .*letter behind its last dash/)],
    });
  });

  const fields = "Write five fields (minute, hour, day of the month, month, day of the week), such as `0 5 * * 1`.";
  it.each([
    ["0 5 * *", `it has 4 of 5 fields. ${fields}`],
    ["@weekly", `it has 1 of 5 fields. ${fields}`],
    ["0 5 * * 8", "it can't be read (`"],
    ["H 5 * * *", "it can't be read (`"],
    ["? 5 * * *", "`?` stands for no certain time. Write `*`."],
    ["0 0 31 2 *", "there is no such day. Take another."],
  ])("the schedule %j", (schedule, why) => {
    expect(problemsOf(`maintenance:\n  lint:\n    task: x\n    schedule: ${JSON.stringify(schedule)}\n`)).toEqual([
      expect.stringContaining(`line 4: \`maintenance.lint.schedule\` is the text \`${schedule}\`: ${why}`),
    ]);
  });

  it.each([
    ["Europe/Berln", "Did you mean `Europe/Berlin`?"],
    ["the moon", "Take a name such as `Europe/Berlin` or `UTC`."],
  ])("the time zone %s, of a task and of the quiet hours", (zone, remedy) => {
    const task = `{task: x, schedule: 0 5 * * 1, timezone: ${zone}}`;

    expect(problemsOf(`maintenance: {lint: ${task}}\nunattended: {timezone: ${zone}}\n`)).toEqual([
      `line 1: \`maintenance.lint.timezone\` is the text \`${zone}\`: it is no time zone. ${remedy}`,
      `line 2: \`unattended.timezone\` is the text \`${zone}\`: it is no time zone. ${remedy}`,
    ]);
  });

  it("a task that says nothing to do, or two things", () => {
    expect(
      problemsOf(
        "maintenance:\n  none: {schedule: 0 5 * * 1}\n  both: {use: dependencies, task: x, schedule: 0 5 * * 1}\n",
      ),
    ).toEqual([
      expect.stringMatching(/^line 2: `maintenance\.none`: it says nothing to do\. Add `task: /),
      "line 3: `maintenance.both`: it has both `use` and `task`. Keep the one that is meant.",
    ]);
  });

  it("a check's name that is there twice", () => {
    expect(problemsOf("checks:\n  - npm test\n  - {name: npm test, run: npm run unit}\n")).toEqual([
      "line 3: `checks.1`: there is a check of that name above it (`checks.0`). Give it a `name` of its own.",
    ]);
  });
});

describe("a file that is no YAML", () => {
  it.each([
    ["plan: true\na: [", "line 2: it is no YAML: Flow sequence"],
    ["plan: true\nlimits:\n\tminutes: 5\n", "line 3: a tab indents it. Use spaces."],
    ["plan: true\n\nplan: false\n", "line 3: the key is there twice. Keep one."],
    ["plan: true\nprotect: [*.lock]\n", "line 2: `*.lock` stands for nothing above it. A text goes into quotes."],
    ["plan: true\n---\nplan: false\n", "line 2: a second document begins. Take the `---` out."],
    ["x: &x [*x, *x]\n", "line 1: unknown key `x`"],
    [
      "x: &x [1,1,1,1,1,1,1,1,1]\ny: &y [*x,*x,*x,*x,*x]\nz: [*y,*y,*y,*y,*y]\n",
      "line 1: its aliases (`*name`) stand for too much.",
    ],
  ])("is answered with the line and the remedy, never a throw: %j", (file, problem) => {
    expect(problemsOf(file).join("\n")).toContain(problem);
  });
});

describe("a file that is made to hold its reader up", () => {
  const repeat = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n));
  const daily = "schedule: 0 5 * * 1, task: x";

  it("is not read where it is too large, and that says how large and what is the most", () => {
    const comment = "# 0123456789012345678901234567890123456789012345678901234567890\n";

    expect(parseSettings(comment.repeat(1000)).ok).toBe(true);
    expect(problemsOf(`plan: yes\n${comment.repeat(1200)}`)).toEqual([
      "line 1: the file has 76 kB, and at most 64 kB are read. Take out what it does not need.",
    ]);
    expect(problemsOf(`# ${"ä".repeat(33_000)}`)).toHaveLength(1);
  });

  it("has its first problems explained, and the others counted", () => {
    const problems = problemsOf(repeat(3000, (n) => `k${n}: 1`).join("\n"));

    expect(problems).toHaveLength(21);
    expect(problems[0]).toContain("line 1: unknown key `k0`");
    expect(problems.at(-1)).toBe("and 2980 more");
  });

  it.each([
    ["a wrong time zone", "schedule: 0 5 * * 1, timezone: Europe/Moon"],
    ["a day that never comes", "schedule: 0 0 30 2 *"],
  ])("has its tasks counted before each is asked for %s", (_what, wrong) => {
    const tasks = repeat(900, (n) => `  k${n}x: {task: x, ${wrong}}`);

    expect(problemsOf(`maintenance:\n${tasks.join("\n")}`)).toEqual(["line 1: `maintenance`: at most 50 tasks"]);
  });

  it.each([
    ["every key of one line is another", `x: {${repeat(13_000, (n) => n.toString(36)).join(",")}}`, "unknown key `x`"],
    ["a key has a key has a key", `${"? ".repeat(1500)}a`, "a key is a list or a group. Write a text."],
    ["a time zone fills it", `unattended: {timezone: ${"a".repeat(60_000)}}`, "it is no time zone"],
    ["a word fills it", `ci: ${"a".repeat(60_000)}`, "it takes `hold` or `run`"],
    ["a key fills it", `? ${"a".repeat(60_000)}\n: 1`, "unknown key"],
    ["a task's key fills it", `maintenance:\n  ? ${"1".repeat(60_000)}\n  : {${daily}}`, "up to 40 lower-case letters"],
    ["every check has another name", `checks:\n${repeat(8000, (n) => `- ${n}a`).join("\n")}\n- 0a`, "Give it a `name`"],
    [
      "a pattern is longer than a path",
      `protect: ["${"*a".repeat(200)}"]`,
      "`protect.0` has more than 200 characters.",
    ],
    [
      "more patterns are there than anybody means",
      `protect: [${repeat(200, (n) => `a${n}`).join(",")}]`,
      "`protect` has more than 100 entries.",
    ],
    ["lists are in lists", `setup: ${"[".repeat(1000)}${"]".repeat(1000)}`, "nested deeper than any setting"],
    [
      "lists are in so many lists that no stack holds them",
      `setup: ${"[".repeat(30_000)}`,
      "nested deeper than any setting",
    ],
    ["groups are in groups", "{a: ".repeat(12_000), "nested deeper than any setting"],
  ])("is answered all the same where %s", (_how, file, problem) => {
    expect(problemsOf(file).join("\n")).toContain(problem);
  });
});

describe("the JSON Schema", () => {
  const published = JSON.parse(readFileSync(new URL("../../agent-fix.schema.json", import.meta.url), "utf8")) as object;
  const isValid = new Ajv().compile(published);
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const shown = /## Repository settings[\s\S]*?```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";

  it("is published as the code has it: `npm run schema`", () => {
    expect(published).toEqual(JSON.parse(JSON.stringify(settingsJsonSchema())));
    expect(published).toMatchObject({ $id: "urn:agent-fix:settings", type: "object", additionalProperties: false });
    expect(published).not.toHaveProperty("required");
  });

  it.each([
    ["the README", shown],
    ["the contract", contract],
  ])("and the settings themselves take the example of %s", (_where, example) => {
    expect(parseSettings(example)).toMatchObject({ ok: true, settings: { limits: { steps: 300 } } });
    expect({ valid: isValid(parse(example)), errors: isValid.errors }).toEqual({ valid: true, errors: null });
  });

  it.each([
    "chekcs: [npm test]",
    "plan: yes",
    "checks: [{name: unit}]",
    "maintenance: {lint: {schedule: 0 5 * * 1}}",
    "maintenance: {lint: {use: dependencies, task: x, schedule: 0 5 * * 1}}",
    "unattended: {quiet: [late]}",
  ])("refuses what the settings refuse: %s", (file) => {
    expect([parseSettings(file).ok, isValid(parse(file))]).toEqual([false, false]);
  });

  it("describes every group and task to an editor", () => {
    const described = JSON.stringify(published);

    for (const text of ["Maintenance pull requests open at once", "What to do, in words", "matched as `protect` is"])
      expect(described).toContain(text);
  });
});
