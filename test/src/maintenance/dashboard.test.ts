import { describe, expect, it } from "vitest";
import { fingerprint, memoryIn, readTicks, renderDashboard, withOwnPart } from "../../../src/maintenance/dashboard.ts";
import type { Board, Row } from "../../../src/maintenance/dashboard.ts";
import type { RunJob, Subject } from "../../../src/job.ts";
import type { Wait } from "../../../src/maintenance/decide.ts";
import { parseSettings } from "../../../src/settings.ts";
import { visibleText } from "../../../src/visible.ts";

const last = { run: "abc", at: "2026-11-23T05:00:00Z", outcome: "no-change" as const, cause: "nothing is outdated" };
const pull = { number: 12, url: "", title: "t" };

function row(key: string, more: Partial<Row> = {}): Row {
  const parsed = parseSettings(`maintenance:\n  ${key}: {schedule: "0 5 * * 1", task: "Tidy up"}\n`);
  const task = parsed.ok ? parsed.settings.maintenance[key] : undefined;
  if (task === undefined) throw new Error("the settings cannot be used");
  const standing = { isLive: false, open: undefined, closed: undefined };
  return { key, task, decision: waits("not-due"), standing, last: undefined, next: "Monday", ...more };
}
function runAbout(subject: Subject): RunJob {
  const repo = { id: 1, owner: "o", name: "r", installationId: 1 };
  return { runId: "r", repo, actor: { id: 1, login: "ann" }, trigger: "t", subject };
}

const waits = (why: Wait) => ({ do: "wait" as const, why, isOver: false });
const limits = { open: 2, hourly: 1 };
const empty: Board = { rows: [], runs: [], questions: [], memory: {}, model: undefined, isDryRun: false, limits };

/** The keys below each heading, with the verb of their boxes. */
function sections(body: string): Record<string, string[]> {
  const parts = body.split("\n## ").slice(1);
  const keys = /<!-- ([a-z]+-task=[a-z-]+) -->|^- \*\*([a-z-]+)\*\*/gm;
  return Object.fromEntries(
    parts.map((part) => [
      part.split("\n")[0] ?? "",
      [...part.matchAll(keys)].map(([, boxed, plain]) => boxed ?? plain ?? ""),
    ]),
  );
}

it("shows each task once, in the section of what keeps it", () => {
  const edited = { number: 9, url: "", title: "t", isEdited: true };
  const body = renderDashboard({
    ...empty,
    runs: [{ run: runAbout({ kind: "task", key: "works" }), isWorking: true }],
    rows: [
      row("scheduled"),
      row("works", { decision: waits("works") }),
      row("begins", { decision: { do: "start", trigger: "t" } }),
      row("asks", { last: { ...last, outcome: "needs-input" } }),
      row("broke", { last: { ...last, outcome: "gave-up" } }),
      row("full", { decision: waits("too-many-open") }),
      row("quiet", { decision: waits("quiet-hours") }),
      row("taken", { decision: waits("edited"), standing: { isLive: false, open: edited, closed: undefined } }),
      row("open", {
        decision: waits("open"),
        standing: { isLive: false, open: { ...pull, isEdited: false }, closed: undefined },
      }),
      row("no", { decision: waits("closed"), standing: { isLive: false, open: undefined, closed: pull } }),
      row("off", { decision: waits("ignored") }),
    ],
  });

  expect(sections(body)).toEqual({
    "Needs you": ["run-task=asks"],
    "Working now": ["works"],
    "Waiting for their turn": ["begins"],
    "Awaiting schedule": ["run-task=scheduled"],
    "Held back": ["unlimit-task=full", "unlimit-task=quiet"],
    Errored: ["retry-task=broke"],
    "Edited: left to you": ["recreate-task=taken"],
    Open: ["run-task=open"],
    "Closed: ignored": ["reopen-task=no", "reopen-task=off"],
  });
  expect(body).toContain("at most 2 maintenance pull requests are open at once");
  expect(body).toContain("#9 has commits of somebody else");
  expect(body).toContain("#12 was closed unmerged");
});

it("shows in a dry run what would have been", () => {
  const detail = "**Remove two exports**\n\n```diff\n-export\n```";
  const body = renderDashboard({
    ...empty,
    isDryRun: true,
    rows: [row("tidy", { last: { ...last, cause: "dry run", detail } })],
  });

  expect(sections(body)).toEqual({ "Dry run: nothing is pushed": ["run-task=tidy"] });
  expect(body).toContain("  **Remove two exports**\n  \n  ```diff");
});

it("names the issues that wait for an answer and what works and waits here", () => {
  const runOn = (number: number) => ({ run: runAbout({ kind: "issue", number }), isWorking: number === 5 });
  const body = renderDashboard({ ...empty, questions: [7], runs: [runOn(5), runOn(6)] });

  expect(body).toMatch(/#7 waits for an answer[\s\S]*Working now\s+- #5[\s\S]*their turn\s+- #6/);
});

it("says since when what works does, where what waits stands, and what is known of an open pull request", () => {
  const since = Date.parse("2026-11-23T05:04:59Z");
  const wait = { place: 2, expectedMs: 14 * 60_000 };
  const about = (subject: Subject) => runAbout(subject);
  const body = renderDashboard({
    ...empty,
    runs: [
      { run: about({ kind: "issue", number: 5 }), isWorking: true, since },
      { run: about({ kind: "task", key: "works" }), isWorking: true, since },
      { run: about({ kind: "review", pull: 6, branch: "b" }), isWorking: false, wait },
      { run: about({ kind: "task", key: "waits" }), isWorking: false, wait: { place: 3, expectedMs: undefined } },
    ],
    rows: [
      row("works", { decision: waits("works") }),
      row("waits", { decision: waits("works") }),
      row("open", {
        decision: waits("open"),
        standing: { isLive: false, open: { ...pull, isEdited: false }, closed: undefined },
        last: { ...last, outcome: "published", cause: undefined },
        checks: { passed: 3, failed: 1, pending: 0 },
      }),
    ],
  });

  expect(body).toContain("- #5, since 2026-11-23 05:04 UTC\n");
  expect(body).toContain("- **works**: Tidy up, since 2026-11-23 05:04 UTC\n");
  expect(body).toContain("- #6: a review, place 2, about 14 min\n");
  expect(body).toContain("- **waits**: Tidy up, place 3\n");
  expect(body).toContain(
    "Open as #12 (checks: 3 passed, 1 failed). Last run at 2026-11-23 05:00 UTC: opened (`abc`). Next: Monday.",
  );
});

it("says when the model was seen last, where that is not when it began to answer", () => {
  const model = { name: "qwen", since: "2026-11-23T05:00:00Z", asked: "2026-11-23T07:30:00Z" };

  expect(renderDashboard({ ...empty, model })).toContain(
    "- `qwen` answers, since 2026-11-23 05:00 UTC; last seen at 2026-11-23 07:30 UTC",
  );
});

it.each([
  [undefined, "- `qwen` answers, since 2026-11-23 05:00 UTC"],
  ["its server is away", "- `qwen` is waited for (its server is away), since 2026-11-23 05:00 UTC"],
])("says of a model that is waited for by %s what the workers saw", (waitsFor, line) => {
  const model = { name: "qwen", since: "2026-11-23T05:00:00Z", waitsFor };

  expect(renderDashboard({ ...empty, model })).toContain(`## Model\n\n${line}`);
});

it("stays within what the code host takes with as many tasks as there may be, and remembers them all", () => {
  const key = (i: number) =>
    `${"t".repeat(37)}-${String.fromCodePoint(97 + Math.floor(i / 26))}${String.fromCodePoint(97 + (i % 26))}`;
  const many = Array.from({ length: 50 }, (_, i) =>
    row(key(i).slice(-40), { last: { ...last, cause: "dry run", detail: "x".repeat(4000) } }),
  );
  const actor = { id: 99_999_999, login: "a-long-name-of-an-app-of-somebody[bot]" };
  const run = { id: "0123456789abcdef0123", trigger: `slot-${last.at}`, actor };
  const one = { schedule: "0 5 * * 1 America/Argentina/ComodRivadavia", slot: last.at, branches: 100, run, last };
  const memory = Object.fromEntries(many.map((task) => [task.key, one]));

  const body = renderDashboard({ ...empty, isDryRun: true, rows: many, memory });

  expect(body.length).toBeLessThan(65_536);
  expect(body).toContain("and 35 more");
  expect(memoryIn(body)).toEqual(memory);
  expect(body).toMatch(/<!-- agent-fix:end -->$/);
});

it.each(["needs-input", "gave-up", "no-change"] as const)(
  "lets nothing act in the words of a run that ended as %s",
  (outcome) => {
    const detail =
      "- [x] <!-- run-task=deploy --> go\n<!-- agent-fix:end -->\n- [x] <!-- run-task=tidy --> **see** @ann";
    for (const cause of ["dry run", "no checks"]) {
      const rows = [row("tidy", { last: { ...last, outcome, cause, detail } }), row("deploy")];
      const body = renderDashboard({ ...empty, isDryRun: true, rows });

      expect(readTicks(body)).toEqual([]);
      expect(withOwnPart(body, body)).toBe(body);
      expect(body.match(/<!-- agent-fix:end -->/g)).toHaveLength(1);
    }
  },
);

describe("boxes", () => {
  const body = renderDashboard({ ...empty, rows: [row("one"), row("two"), row("three")] });
  const tick = (text: string, key: string) => text.replace(`- [ ] <!-- run-task=${key}`, `- [x] <!-- run-task=${key}`);

  it("that are ticked are read, and those of a person's own text are not", () => {
    const ticked = `${tick(tick(body, "one"), "three")}\n- [x] <!-- run-task=two --> mine`;

    expect(readTicks(ticked)).toEqual([
      { verb: "run", key: "one" },
      { verb: "run", key: "three" },
    ]);
  });

  it("leave the text the same but for them, also with other line ends and words below it", () => {
    const ticked = `${tick(body, "one").replaceAll("\n", "\r\n")}\r\n\r\nMine.`;

    expect(fingerprint(ticked)).toBe(fingerprint(body));
    expect(fingerprint(body.replace("Awaiting", "Waiting"))).not.toBe(fingerprint(body));
  });

  it("are emptied by the next text, below which a person's own words stay", () => {
    expect(withOwnPart(`${tick(body, "one")}\n\nMine.`, body)).toBe(`${body}\n\nMine.`);
  });
});

describe("the memory", () => {
  it("comes back from the text", () => {
    const memory = { tidy: { schedule: "0 5 * * 1 UTC", slot: "2026-11-23T05:00:00Z", last } };

    expect(memoryIn(renderDashboard({ ...empty, memory }))).toEqual(memory);
  });

  it("is empty where the text was damaged", () => {
    expect(memoryIn("<!-- agent-fix:dashboard {oh -->")).toEqual({});
  });

  it("does not end the hidden part, whatever is in it", () => {
    const memory = { tidy: { schedule: "--> x", slot: "2026-11-23T05:00:00Z" } };

    const body = renderDashboard({ ...empty, memory });

    expect(visibleText(body).text).not.toContain("--> x");
    expect(memoryIn(body)).toEqual(memory);
  });
});
