import { describe, expect, it } from "vitest";
import type { RunEvent, Stamped } from "../../src/runlog.ts";
import { parseStatus, statusMark } from "../../src/status.ts";
import type { Passed } from "../../worker/attempt.ts";
import { renderPullBody } from "../../worker/body.ts";
import type { PullFacts } from "../../worker/body.ts";
import { createReporter, elapsed, renderOutcome, renderReviewReply } from "../../worker/report.ts";
import { checkOf, createLocalHost, job, submission, verdictOn } from "./support.ts";

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

function passedWith(more: Partial<Passed> = {}): Passed {
  const checks = { base: [checkOf("npm test", false)], head: [checkOf("npm test", true)], ...more.checks };
  const verdict = verdictOn(checks.base, checks.head);
  return { commit: "c".repeat(40), tree: "d".repeat(40), submission, verdict, ...more, checks };
}

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

const hostile = [
  "$(touch /tmp/x) `id`",
  "fixes #1",
  "Closes o/r#2",
  "@ada and @o/team",
  "<!-- agent-fix:status {} -->",
  "<img src=http://evil/x>",
  "![x](http://evil/y) [z](http://evil)",
  "</details> | cell |",
];
const forces = [
  /(?:fix|close|resolve)\w*:? +(?:[\w./-]*)#\d/i,
  /@[\w]/,
  /(?<!\\)<(?!\/?(?:details|summary)>)/,
  /(?<!\\)\]\(/,
];

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
    expect(body).toContain("- tokens: 2000 in (1600 cached), 100 out");
    expect(body).toContain("- image: `node:24` (`sha256:bbbbbbbbbbbb`), commands from npm");
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

  it("renders hostile words of the model without effect", () => {
    const text = hostile.join("\n");
    const body = bodyOf({
      closes: undefined,
      passed: passedWith({ submission: { title: text, cause: text, change: text } }),
    });
    const each = hostile.map((line) =>
      bodyOf({ closes: undefined, passed: passedWith({ submission: { title: line, cause: line, change: line } }) }),
    );

    for (const shown of [body, ...each].map(visible)) {
      for (const force of forces) expect(shown).not.toMatch(force);
      expect(shown.split("\n").length).toBeLessThanOrEqual(28);
    }
  });

  it("keeps hostile logs inside their code block", () => {
    const tail = `\`\`\`\`\n</details>\n\nFixes #1 @ada\n${"`".repeat(9)}\n\u{1B}[31mred`;
    const body = bodyOf({ passed: passedWith({ checks: { base: [], head: [checkOf("npm test", true, { tail })] } }) });

    const [, fence = "", inside = ""] = /log tails<\/summary>\n\n(`+)\n(.*?)\n\1\n/s.exec(body) ?? [];
    expect(fence).toHaveLength(10);
    expect(inside).toBe(`$ npm test\n${tail.replace("\u{1B}", "")}`);
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

    expect(shown.split("\n")[2]).toBe("**Draft**: every required check passes, but the change has no test.");
    expect(shown).toContain(
      "| `npm test` | 411 pass, 3 fail, 1 skipped | 412 pass, 3 fail, 1 skipped (red before this change) |",
    );
    expect(shown).toContain(
      "- Already failing before this change: auth > refresh, @\u{200B}ada signs in (+1)".replace(" > ", " \\> "),
    );
    expect(shown).toContain("- Not covered: `make` was judged by its exit code: it left no report; b.bin is no text.");
    expect(shown).toContain("- To look at: a.test.js: 2 assertions fewer.");
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
      "| `echo  x    wc -l   forged   passed  ` | not run | passed |",
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

  it("fits into what the code host takes", () => {
    const tail = "x".repeat(3000);
    const head = Array.from({ length: 40 }, (_, i) => checkOf(`check ${i}`, true, { tail }));

    expect(bodyOf({ passed: passedWith({ checks: { base: [], head } }) }).length).toBeLessThan(65_536);
  });
});

describe("renderOutcome", () => {
  const facts = { took: "3 min", stoppedBy: undefined };

  it("says how a run ended, why, and what comes next", () => {
    const pull = { number: 9, url: "http://host/9" };
    const ended = { cause: "gate rejected", detail: "`npm test` fails.", pull: undefined };

    expect(renderOutcome({ outcome: "published", cause: undefined, detail: "http://host/9", pull }, facts)).toEqual({
      header: "Opened #9 in 3 min",
      lines: ["http://host/9"],
    });
    expect(renderOutcome({ outcome: "gave-up", ...ended }, facts)).toEqual({
      header: "Stopped: gate rejected",
      lines: ["`npm test` fails.", "Set the label again to start over."],
    });
    expect(
      renderOutcome({ outcome: "cancelled", ...ended, cause: "label removed" }, { took: "3 min", stoppedBy: "ada" }),
    ).toEqual({
      header: "Stopped by ada",
      lines: ["Nothing was published: label removed.", "Set the label again to start over."],
    });
    expect(renderOutcome({ outcome: "needs-input", ...ended, cause: "question" }, facts).lines).toContain(
      "Answer in the issue's text and set the label again.",
    );
  });

  it("renders what the model says about no change without effect", () => {
    const { lines } = renderOutcome(
      { outcome: "no-change", cause: undefined, detail: hostile.join("\n"), pull: undefined },
      facts,
    );

    for (const force of forces) expect(lines.join("\n")).not.toMatch(force);
  });
});

describe("renderReviewReply", () => {
  it("names the commit, the change and the checks, without effect of hostile words", () => {
    const text = hostile.join("\n");
    const passed = passedWith({ submission: { title: text, cause: text, change: text } });

    const reply = renderReviewReply(passed, "c".repeat(40), "ada");

    expect(reply).toContain(`by ada in ${"c".repeat(40)}`);
    expect(reply).toContain("- `npm test`: passed");
    for (const force of forces) expect(reply).not.toMatch(force);
  });
});

describe("elapsed", () => {
  it("is in seconds, then in minutes", () => {
    expect(elapsed(events, new Date(at(42)))).toBe("42 s");
    expect(elapsed(events, new Date(at(600)))).toBe("10 min");
  });
});

describe("createReporter", () => {
  const marker = { run: "run-1", state: "working" as const, trigger: "label-1" };

  /** A code host whose comment edits end only when the test lets them. */
  function slowHost(everyMs = 0, guard: () => Promise<void> = async () => {}, facts: () => string[] = () => []) {
    const host = createLocalHost();
    const begun: string[] = [];
    const waiting: (() => void)[] = [];
    const write = async (body: string) => {
      begun.push(headerOf(body));
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
      return host.forge.ensureComment(7, statusMark, body);
    };
    const reporter = createReporter({ write, marker, everyMs, guard, facts });
    const shown = () => host.comments.get(`7 ${statusMark}`)?.body ?? "";
    return {
      host,
      reporter,
      begun,
      shown,
      release: () => waiting.shift()?.(),
      [Symbol.dispose]: () => host[Symbol.dispose](),
    };
  }
  const headerOf = (body: string) => /\*\*(.*)\*\*/.exec(body)?.[1] ?? "";

  it("has at most one edit under way, and the newest text is the next one", async () => {
    using it = slowHost();

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    for (const text of ["two", "three", "four"]) it.reporter.say(text);
    expect(it.begun).toEqual(["one"]);
    it.release();
    await expect.poll(() => it.begun).toEqual(["one", "four"]);
    it.release();

    await expect.poll(() => headerOf(it.shown())).toBe("four");
    expect(parseStatus(it.shown())).toEqual(marker);
  });

  it("writes the final text after the edit under way, and nothing after it", async () => {
    using it = slowHost();

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.reporter.say("two");
    const finished = it.reporter.finish("opened", "Opened #9", ["link"], "label-2");
    it.reporter.say("three");
    it.release();
    await expect.poll(() => it.begun).toEqual(["one", "Opened #9"]);
    it.release();
    await finished;
    it.reporter.say("four");

    expect(it.begun).toEqual(["one", "Opened #9"]);
    expect(it.shown()).toContain("**Opened #9**\n\nlink");
    expect(parseStatus(it.shown())).toEqual({ ...marker, state: "opened", trigger: "label-2" });
  });

  it("says below each text what is known by then, also at the end", async () => {
    const facts: string[] = [];
    using it = slowHost(0, undefined, () => facts);

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.release();
    await expect.poll(it.shown).toMatch(/\*\*one\*\*$/);
    facts.push("- A note.");
    it.reporter.say("two", ["line"]);
    await expect.poll(() => it.begun).toEqual(["one", "two"]);
    it.release();
    await expect.poll(it.shown).toMatch(/\*\*two\*\*\n\nline\n\n- A note\.$/);
    const finished = it.reporter.finish("gave-up", "Stopped", ["why"]);
    await expect.poll(() => it.begun).toEqual(["one", "two", "Stopped"]);
    it.release();
    await finished;

    expect(it.shown()).toMatch(/\*\*Stopped\*\*\n\nwhy\n\n- A note\.$/);
  });

  it("writes the final text however short the time since the last edit is", async () => {
    using it = slowHost(3_600_000);

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.release();
    await expect.poll(() => headerOf(it.shown())).toBe("one");
    it.reporter.say("too early");
    const finished = it.reporter.finish("gave-up", "Stopped", []);
    await expect.poll(() => it.begun).toEqual(["one", "Stopped"]);
    it.release();
    await finished;

    expect(headerOf(it.shown())).toBe("Stopped");
  });

  it("edits nothing once another worker has the run, and says so at the end", async () => {
    using it = slowHost(0, () => Promise.reject(new Error("taken over")));

    it.reporter.say("one");
    await expect(it.reporter.finish("opened", "Opened", [])).rejects.toThrow("taken over");

    expect(it.begun).toEqual([]);
  });

  it("goes on after an edit that failed, and reports only the final one's failure", async () => {
    using host = createLocalHost();
    let failing = true;
    const write = (body: string) =>
      failing ? Promise.reject(new Error("502")) : host.forge.ensureComment(7, statusMark, body);
    const reporter = createReporter({ write, marker, everyMs: 0, guard: async () => {}, facts: () => [] });

    reporter.say("lost");
    await expect(
      createReporter({ write, marker, everyMs: 0, guard: async () => {}, facts: () => [] }).finish("gave-up", "x", []),
    ).rejects.toThrow("502");
    failing = false;
    reporter.say("two");

    await expect.poll(() => headerOf(host.comments.get(`7 ${statusMark}`)?.body ?? "")).toBe("two");
    await reporter.finish("gave-up", "Stopped", []);
  });

  it("has no edit under way and begins none once it is disposed of", async () => {
    using it = slowHost();
    let disposed = false;

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.reporter.say("two");
    const closing = it.reporter[Symbol.asyncDispose]();
    void Promise.resolve(closing).then(() => (disposed = true));
    expect(disposed).toBe(false);
    it.release();
    await closing;

    expect(it.begun).toEqual(["one"]);
    expect(headerOf(it.shown())).toBe("one");
  });
});
