import { describe, expect, it } from "vitest";
import { defaultSettings, parseSettings, settingsJsonSchema } from "../../src/settings.ts";

describe("parseSettings", () => {
  it("fills in the contract's defaults for an empty file", () => {
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
    });
  });

  it("names line, key and the nearest known key", () => {
    const parsed = parseSettings("image: node:24\nlimits:\n  minuts: 5\nchekcs: [npm test]\n");

    expect(parsed).toEqual({
      ok: false,
      problems: [
        "line 3: unknown key `limits.minuts`, did you mean `minutes`?",
        "line 4: unknown key `chekcs`, did you mean `checks`?",
      ],
    });
  });

  it.each(["/etc/passwd", "../up.xml", "a/../../b", ".", "build/", "a//b", ""])("takes no report at %j", (report) => {
    const parsed = parseSettings(`checks:\n  - {name: unit, run: make, report: ${JSON.stringify(report)}}\n`);

    expect(parsed.ok).toBe(false);
  });

  it("takes a report below the root", () => {
    expect(parseSettings("checks: [{name: unit, run: make, report: .build/junit-a..xml}]").ok).toBe(true);
  });

  it.each([
    ["paths: packages/a", "line 2: `checks.0.paths`: Invalid input: expected array, received string"],
    ["paths: ['']", "line 2: `checks.0.paths.0`: a glob or a folder below the repository's root, such as packages/a"],
    ["path: [a]", "line 2: unknown key `checks.0.path`, did you mean `paths`?"],
  ])("names what is wrong in a check: %s", (part, problem) => {
    expect(parseSettings(`checks:\n  - {name: unit, run: make, ${part}}\n`)).toEqual({
      ok: false,
      problems: [problem],
    });
  });

  it("names the line of a value of the wrong kind", () => {
    const parsed = parseSettings("plan: false\nlimits:\n  steps: many\n");

    expect(parsed.ok).toBe(false);
    expect(parsed.ok ? [] : parsed.problems).toEqual([expect.stringMatching(/^line 3: `limits\.steps`: .*number/)]);
  });

  it.each([
    ["a: [", "Flow sequence"],
    ["- 1\n- 2\n", "the file"],
    ["a: &x [*x, *x]\n", "line 1"],
  ])("answers %j with a problem, never a throw", (text, word) => {
    const parsed = parseSettings(text);

    expect(parsed.ok ? "" : parsed.problems.join()).toContain(word);
  });

  it("publishes a JSON Schema in which nothing is required", () => {
    expect(settingsJsonSchema()).toMatchObject({ type: "object", additionalProperties: false });
    expect(settingsJsonSchema()).not.toHaveProperty("required");
  });
});
