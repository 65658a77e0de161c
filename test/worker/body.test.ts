import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PackageChange } from "../../src/package-facts.ts";
import type { RunEvent, Stamped } from "../../src/runlog.ts";
import { renderPullBody } from "../../worker/body.ts";
import type { PullFacts } from "../../worker/body.ts";
import type { Bite, Verdict } from "../../worker/verdict.ts";
import { acting, foreign, nodesOf, parse } from "./foreign.ts";
import type { Node, Tree } from "./foreign.ts";
import { checkOf, job, passedWith, verdictOn } from "./support.ts";

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();
const usage = { promptTokens: 1000, completionTokens: 50, cachedTokens: 800 };
const events: Stamped[] = [
  { n: 1, at: at(0), type: "claimed", epoch: 1, job },
  { n: 2, at: at(1), type: "base", branch: "main", commit: "a".repeat(40) },
  {
    n: 3,
    at: at(2),
    type: "environment",
    image: "node:24",
    digest: `sha256:${"b".repeat(64)}`,
    setup: ["npm ci"],
    checks: ["npm test"],
    from: "npm",
  },
  { n: 4, at: at(3), type: "attempt", round: 0, model: "qwen" },
  { n: 5, at: at(3), type: "model.result", step: 1, calls: 1, text: "", usage, ms: 5 },
  { n: 6, at: at(4), type: "model.result", step: 2, calls: 1, text: "", usage, ms: 5 },
];

function bodyOf(more: Partial<PullFacts> = {}): string {
  const facts = {
    closes: 7,
    passed: passedWith(),
    events,
    base: "a".repeat(40),
    held: false,
    footer: "Asked for by ada in #7.",
    took: "4 min",
  };
  return renderPullBody({ ...facts, ...more });
}

/** What a reader sees before unfolding anything. */
function visible(body: string): string {
  return body.replaceAll(/<details>.*?<\/details>/gs, (block) => /<summary>.*?<\/summary>/.exec(block)?.[0] ?? "");
}

const inline = new Set(["text", "inlineCode", "strong", "break"]);

/** The blocks of a body, within each other. How many items a list has is left out. */
function shapeOf(body: string): unknown {
  const shape = (node: Node): unknown => {
    const inner = "children" in node ? node.children.filter(({ type }) => !inline.has(type)).map(shape) : [];
    return node.type === "list"
      ? [node.type, inner.flat(2).every((type) => type === "listItem" || type === "paragraph")]
      : [node.type, ...inner];
  };
  return shape(parse(body));
}

function htmlOf(tree: Tree): string[] {
  return nodesOf(tree).flatMap((node) => (node.type === "html" ? node.value.split("\n") : []));
}
const ownHtml = /^(<details><summary>[\w ]+<\/summary>|<\/details>)$/;

function hostileBody(text: string): string {
  return bodyOf({
    passed: everywhere(text, [text, text]),
    events: [...events, ...eventsWith(text, [packageOf(text), packageOf(text)])],
  });
}

/** A change about which everything that is not ours says `text`. */
function everywhere(text: string, runs: string[]) {
  const tests = { passed: 1, failed: 1, skipped: 0, failing: [text], file: "tests/a.json" };
  const head = runs.map((run, i) =>
    checkOf(run, true, { name: `${i}`, tail: text, tests, ...(i === 0 ? { byExitCode: text } : {}) }),
  );
  const base = head.map((check) => ({ ...check, end: "exit code 1" }));
  const named = { count: 9, names: [text, text] };
  const findings = (["fewer-assertions", "unmeasured"] as const).flatMap((kind) =>
    Array.from({ length: 10 * runs.length }, () => ({
      kind,
      path: text,
      detail: text,
      weight: "advise" as const,
    })).slice(0, 20),
  );
  const plain = verdictOn(base, head, { bite: { kind: "nothing", why: text }, findings });
  const rows = plain.rows.map((row) => ({ ...row, tests: { "known-red": named, flaky: named, "not-run": named } }));
  const verdict: Verdict = { ...plain, rows, reason: text };
  const submission = { title: text, cause: text, change: `word\n${text}` };
  return passedWith({ checks: { base, head }, verdict, submission });
}

function packageOf(text: string): PackageChange {
  return { path: text, name: text, from: [text, ""], to: [text], script: true };
}

function eventsWith(text: string, packages: PackageChange[]): Stamped[] {
  const digest = `sha256:${"b".repeat(64)}`;
  const all: RunEvent[] = [
    { type: "environment", image: text, digest, setup: [text], checks: [text], from: text },
    { type: "note", text },
    { type: "network", command: text, hosts: [text], refused: [text] },
    { type: "attempt", round: 0, model: text },
    { type: "dependencies", files: [text], packages, more: 3 },
  ];
  return all.map((event) => ({ n: 9, at: at(5), ...event }));
}

describe("renderPullBody", () => {
  it("says in about 25 lines what was wrong, what changed and how it was checked, and folds the rest", () => {
    const long = checkOf("npm test", true, { tail: "ok\n".repeat(500) });
    const body = bodyOf({ passed: passedWith({ checks: { base: [checkOf("npm test", false)], head: [long] } }) });

    const shown = visible(body);
    expect(shown.split("\n").length).toBeLessThanOrEqual(28);
    expect(shown.split("\n")[0]).toBe("Fixes #7");
    expect(shown).toContain("**What was wrong**: It was broken.");
    expect(shown).toContain("**What changed**:\n\n- Mended it");
    expect(shown).toContain(
      "| | base `aaaaaaa` | this change |\n|---|---|---|\n| tests of this change (1) | 1 fail | 1 pass |\n| `npm test` | exit code 1 | passed |",
    );
    expect(shown).not.toContain("ok\nok");
    expect(body).toContain("<details><summary>Commands and log tails</summary>\n\n```\n$ npm test\nok\nok\n");
    expect(body).toContain("- model: `qwen`\n- run: `run-1`");
    expect(body).toContain("- time: 4 min, 2 steps\n- tokens: 2000 in (1600 cached, 80 %), 100 out");
    expect(body).toContain("- image: `node:24` (`sha256:bbbbbbbbbbbb`), commands from npm");
  });

  it("names the checks that there was no time for, also where the table has no room for them", () => {
    const ran = Array.from({ length: 25 }, (_, number) => checkOf(`check ${number}`, true));
    const late = checkOf("test the others", false, { notRun: true, end: "not run" });
    const verdict = verdictOn([...ran, late], [...ran, late]);

    expect(visible(bodyOf({ passed: passedWith({ verdict }) }))).toContain(
      "- Not run, since they are about other paths and the time for those was over: `test the others`",
    );
  });

  it("shows changed dependencies and refused hosts before unfolding anything, and the notes of the run after it", () => {
    const change = { path: "package-lock.json", name: "esbuild", from: [], to: ["0.21.5"], script: true };
    const more: RunEvent[] = [
      { type: "note", text: "`runArgs` is not used." },
      { type: "network", command: "npm ci", hosts: ["registry.example"], refused: ["telemetry.example"] },
      { type: "dependencies", files: ["package-lock.json"], packages: [change], more: 0 },
    ];
    const body = bodyOf({ events: [...events, ...more.map((event) => ({ n: 9, at: at(5), ...event }))] });

    expect(visible(body)).toContain("| `esbuild` (its install script did not run) | new | `0.21.5` |");
    expect(visible(body)).toContain("refused `telemetry.example` (asked by `npm ci`).");
    expect(visible(body)).not.toContain("runArgs");
    expect(body).toContain("- refused: `telemetry.example` (asked by `npm ci`)\n- `runArgs` is not used.");
    expect(bodyOf()).not.toMatch(/Dependencies|refused/);
  });

  it("keeps hostile logs inside their code block", () => {
    const tail = `\`\`\`\`\n</details>\n\nFixes #1 @ada\n${"`".repeat(9)}\n\u{1B}[31mred`;
    const body = bodyOf({ passed: passedWith({ checks: { base: [], head: [checkOf("npm test", true, { tail })] } }) });

    const [, fence = "", inside = ""] = /log tails<\/summary>\n\n(`+)\n(.*?)\n\1\n/s.exec(body) ?? [];
    expect(fence).toHaveLength(10);
    // What a squash makes of the body is a commit message, where no fence counts.
    expect(inside).toBe(`$ npm test\n${tail.replace("\u{1B}", "").replace("#1", "no. 1")}`);
  });

  it("says what is a draft and why, what failed before, what was not covered, and what to look at", () => {
    const tests = { passed: 412, failed: 3, skipped: 1, failing: [], file: "tests/a.json" };
    const checks = {
      base: [checkOf("npm test", false, { tests: { ...tests, passed: 411 } }), checkOf("make", true)],
      head: [checkOf("npm test", false, { tests }), checkOf("make", true, { byExitCode: "it left no report" })],
    };
    const [one, other] = verdictOn(checks.base, checks.head).rows;
    const known = { count: 3, names: ["auth > refresh", "@ada signs in"] };
    const verdict = verdictOn(checks.base, checks.head, {
      decision: "draft",
      reason: "every required check passes, but the change has no test",
      bite: { kind: "no-test" },
      rows: [one, other].flatMap((row) => (row === undefined ? [] : [{ ...row, word: "known-red" as const }])),
      findings: [
        { kind: "fewer-assertions", path: "a.test.js", detail: "2 assertions fewer", weight: "advise" },
        { kind: "unmeasured", path: "b.bin", detail: "is no text", weight: "advise" },
      ],
    });
    if (verdict.rows[0] !== undefined) verdict.rows[0].tests = { "known-red": known };

    const shown = visible(bodyOf({ passed: passedWith({ checks, verdict }) }));

    expect(shown.split("\n")[2]).toBe("**Draft**: this change has no test that fails without it.");
    expect(shown).toContain(
      "| `npm test` | 411 pass, 3 fail, 1 skipped | 412 pass, 3 fail, 1 skipped (red before this change) |",
    );
    expect(shown).toContain(
      "- Already failing before this change: auth > refresh, @\u{200B}ada signs in (+1)".replace(" > ", " \\> "),
    );
    expect(shown).toContain(
      "- Not covered: `make` was judged by its exit code: it left no report; `b.bin`: is no text.",
    );
    expect(shown).toContain("- To look at: `a.test.js`: 2 assertions fewer");
    expect(shown.indexOf("How it was checked")).toBeLessThan(shown.indexOf("What was wrong"));
  });

  it("keeps a table row one row, whatever the command's name is", () => {
    const check = checkOf("echo `x` | wc -l\n| forged | passed |", true);
    const body = bodyOf({ passed: passedWith({ checks: { base: [], head: [check] } }) });

    expect(
      visible(body)
        .split("\n")
        .filter((line) => line.startsWith("| ")),
    ).toEqual([
      "| | base `aaaaaaa` | this change |",
      "| tests of this change (1) | 1 fail | 1 pass |",
      "| `echo x wc -l forged passed` | not run | passed |",
    ]);
  });

  it("names what is optional, what was red before, and that the repository's own workflows have not run", () => {
    const slow = { required: false };
    const checks = { base: [checkOf("slow", false, slow)], head: [checkOf("slow", false, slow)] };

    const body = bodyOf({ passed: passedWith({ checks }), held: true, closes: undefined });

    expect(body).toContain("| `slow` (optional) | exit code 1 | exit code 1 (red before this change) |");
    expect(body).toContain("[skip ci]");
    expect(body).not.toContain("Fixes");
    expect(bodyOf()).not.toContain("[skip ci]");
  });

  it.each<[Bite, string]>([
    [{ kind: "green-on-base", tests: ["adds"] }, "the new tests pass with and without this change."],
    [{ kind: "no-test" }, "this change has no test that fails without it."],
    [
      { kind: "not-measured", why: "no check ran its tests" },
      "whether a test fails without this change is not known: no check ran its tests.",
    ],
  ])("says before all else why %j makes a draft", (bite, why) => {
    const verdict = verdictOn([], [], { decision: "draft", bite });

    expect(visible(bodyOf({ passed: passedWith({ verdict }) })).split("\n")[2]).toBe(`**Draft**: ${why}`);
  });

  it("counts all tests that fail without the change, also those that it does not name", () => {
    const verdict = verdictOn([], [], { bite: { kind: "bites", failing: ["one"], of: 40, fails: 31 } });

    expect(bodyOf({ passed: passedWith({ verdict }) })).toContain("| tests of this change (40) | 31 fail | 40 pass |");
  });

  it.each(["x", "*", "`", "fix #1 "])(
    "fits into what the code host takes with all its parts in their places, however much there is of %j",
    (text) => {
      const long = text.repeat(3000);
      const checks = Array.from({ length: 60 }, (_, i) => `check ${i} ${long}`);
      const passed = {
        ...everywhere(long, checks),
        submission: { title: long, cause: "*".repeat(9000), change: Array(9).fill("*".repeat(9000)).join("\n") },
      };
      const packages = Array.from({ length: 400 }, (_, i) => ({ ...packageOf("y".repeat(190)), name: `${i}${long}` }));
      const body = bodyOf({ passed, events: [...events, ...eventsWith(long, packages)] });

      expect(body.length).toBeLessThan(60_000);
      expect(body).not.toContain("did not fit");
      expect(htmlOf(parse(body))).toHaveLength(6);
      expect(body).toMatch(/\n\n<\/details>\n\nAsked for by ada in #7\.$/);
      expect(body).toContain("- and 16 more");
    },
  );

  it("stays what it is, and does nothing of its own, whatever the model, the tests and the repository wrote", () => {
    const harmless = shapeOf(hostileBody("word"));
    fc.assert(
      fc.property(foreign, (text) => {
        const body = hostileBody(text);
        const tree = parse(body);
        expect(shapeOf(body)).toEqual(harmless);
        expect(htmlOf(tree).filter((html) => !ownHtml.test(html))).toEqual([]);
        expect(acting(tree, { ours: /^(Fixes #7|Asked for by ada in #7\.)$/ })).toEqual([]);
        expect(body.replace("Fixes #7", "")).not.toMatch(
          /\b(close[sd]?|fix(es|ed)?|resolve[sd]?)(\s*:\s*|\s+)([\w.-]+\/[\w.-]+)?(#|GH-|https?:\/\/\S+\/)\d/i,
        );
        expect(body.length).toBeLessThan(65_536);
        expect(body.isWellFormed()).toBe(true);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
