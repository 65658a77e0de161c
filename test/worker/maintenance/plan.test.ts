import { describe, expect, it } from "vitest";
import { planUpdates, withinPull } from "../../../worker/maintenance/plan.ts";
import type { Direct } from "../../../worker/maintenance/plan.ts";

const direct = (name: string, range: string, current = range.replace(/^[~^]/, "")): Direct => ({
  name,
  folder: "",
  range,
  current,
});

/** What the registry says of each; the last version is its latest. */
function found(packages: Direct[], versions: Record<string, (string | { version: string; deprecated: string })[]>) {
  return packages.map((direct) => {
    const list = versions[direct.name]?.map((one) => (typeof one === "string" ? { version: one } : one));
    const latest = list?.at(-1)?.version ?? "";
    return { direct, published: list && { latest, versions: list } };
  });
}

const plan = (...parts: Parameters<typeof found>) => planUpdates(found(...parts));

describe("planUpdates", () => {
  it("takes minor and patch versions together, and leaves the major one of the same package for its own turn", () => {
    const packages = [direct("a", "^1.2.0"), direct("b", "~2.0.1"), direct("c", "3.0.0")];

    const { minors, majors } = plan(packages, {
      a: ["1.2.0", "1.3.0", "2.0.0", "2.1.0"],
      b: ["2.0.1", "2.0.2", "2.4.0"],
      c: ["3.0.0", "4.0.0"],
    });

    expect(minors).toEqual([
      { name: "a", folder: "", from: "1.2.0", to: "1.3.0", prefix: "^" },
      { name: "b", folder: "", from: "2.0.1", to: "2.4.0", prefix: "~" },
    ]);
    expect(majors).toEqual([
      { name: "a", folder: "", from: "1.2.0", to: "2.1.0", prefix: "^" },
      { name: "c", folder: "", from: "3.0.0", to: "4.0.0", prefix: "" },
    ]);
  });

  it("compares versions as numbers, and finds nothing where the newest is there", () => {
    expect(plan([direct("a", "1.9.0")], { a: ["1.10.0", "1.9.0", "1.10.1"] }).minors).toMatchObject([{ to: "1.10.1" }]);
    expect(plan([direct("a", "1.10.1")], { a: ["1.10.1"] })).toEqual({
      minors: [],
      majors: [],
      deprecated: [],
      left: [],
    });
  });

  it.each([
    ["0.4.1", "0.4.9", "minor"],
    ["0.4.1", "0.5.0", "major"],
    ["0.0.3", "0.0.4", "major"],
    ["1.0.0", "1.0.1", "minor"],
  ])("takes the step from %s to %s for a %s one, by the first number that is not 0", (from, to, kind) => {
    const { minors, majors } = plan([direct("a", `^${from}`)], { a: [from, to] });

    expect([minors.length, majors.length]).toEqual(kind === "minor" ? [1, 0] : [0, 1]);
  });

  it("chooses no prerelease, nothing deprecated and nothing above what the registry calls the latest", () => {
    const versions = ["1.0.0", "1.1.0", { version: "1.2.0", deprecated: "broken" }, "1.3.0-beta.1", "9.0.0"];
    const of = found([direct("a", "^1.0.0")], { a: versions });
    const published = { latest: "1.2.0", versions: of[0]?.published?.versions ?? [] };

    const { minors, majors } = planUpdates(of.map((one) => ({ ...one, published })));

    expect(minors).toMatchObject([{ to: "1.1.0" }]);
    expect(majors).toEqual([]);
  });

  it("names what is deprecated and has nothing newer, and does not where an update leads away from it", () => {
    const deprecated = (version: string) => ({ version, deprecated: "use b" });

    const only = plan([direct("a", "^1.0.0")], { a: [deprecated("1.0.0")] });
    const left = plan([direct("a", "^1.0.0")], { a: [deprecated("1.0.0"), "1.0.1"] });

    expect(only.deprecated).toEqual([{ name: "a", version: "1.0.0", says: "use b" }]);
    expect(left.deprecated).toEqual([]);
    expect(left.minors).toHaveLength(1);
  });

  it.each(["1.x", "*", ">=1.0.0 <3", "^1.0", "latest"])("leaves the range %s to people, and says so", (range) => {
    const { minors, left } = plan([direct("a", range, "1.0.0")], { a: ["1.0.0", "1.1.0"] });

    expect(minors).toEqual([]);
    expect(left).toEqual([{ name: "a", why: expect.stringContaining(`\`${range}\``) }]);
  });

  it("leaves a prerelease to who chose it, and says so", () => {
    const { minors, left } = plan([direct("a", "2.0.0-beta.1")], { a: ["2.0.0-beta.1", "2.0.0"] });

    expect(minors).toEqual([]);
    expect(left).toEqual([{ name: "a", why: "`2.0.0-beta.1` is no released version" }]);
  });

  it("says of which package the registry told nothing, and still updates the others", () => {
    const { minors, left } = plan([direct("a", "^1.0.0"), direct("b", "^1.0.0")], { b: ["1.0.0", "1.1.0"] });

    expect(minors).toMatchObject([{ name: "b" }]);
    expect(left).toEqual([{ name: "a", why: "the registry told nothing of it" }]);
  });
});

describe("withinPull", () => {
  const before = [direct("a", "^1.0.0"), direct("b", "^1.0.0")];

  it("lets a pull request of minor updates take in further ones, and no major one", () => {
    const now = [direct("a", "^1.1.0"), direct("b", "^1.0.0")];
    const whole = plan(now, { a: ["1.1.0", "1.2.0", "2.0.0"], b: ["1.0.0", "1.5.0"] });

    const { minors, majors } = withinPull(whole, { before, now });

    expect(minors.map(({ name, to }) => `${name} ${to}`)).toEqual(["a 1.2.0", "b 1.5.0"]);
    expect(majors).toEqual([]);
  });

  it("keeps a pull request of one major update to that package", () => {
    const now = [direct("a", "^2.0.0"), direct("b", "^1.0.0")];
    const whole = plan(now, { a: ["2.0.0", "2.1.0", "3.0.0"], b: ["1.0.0", "1.5.0"] });

    const { minors, majors } = withinPull(whole, { before, now });

    expect(minors.map(({ name, to }) => `${name} ${to}`)).toEqual(["a 2.1.0"]);
    expect(majors).toEqual([]);
  });

  it("takes no pin for a step of another pin of the same package", () => {
    const pins = (...versions: string[]) => versions.map((one) => direct("numpy", `==${one}`, one));
    const [was, now] = [pins("1.21.0", "2.0.0"), pins("1.26.4", "2.2.0")];
    const registry = { numpy: ["1.26.5", "2.2.1"], b: ["1.0.0", "1.5.0"] };

    const minors = withinPull(plan([...now, direct("b", "==1.0.0", "1.0.0")], registry), { before: was, now });
    const major = withinPull(plan([...now, direct("b", "==1.0.0", "1.0.0")], registry), {
      before: pins("1.26.4", "1.27.0"),
      now,
    });

    expect(minors.minors.map(({ name }) => name)).toContain("b");
    expect(major.minors.map(({ name }) => name)).not.toContain("b");
  });
});
