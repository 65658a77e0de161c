import { describe, expect, it } from "vitest";
import type { RunEvent, Stamped } from "../../src/runlog.ts";
import { renderProgress } from "../../worker/progress.ts";
import { checkOf, job, submission } from "./support.ts";

const began = Date.UTC(2026, 0, 5, 9, 41, 30);
const claimed: RunEvent = { type: "claimed", epoch: 1, job };
const environment: RunEvent = {
  type: "environment",
  image: "node:24",
  digest: "sha256:1",
  setup: ["npm ci"],
  checks: ["npm test", "npm run lint"],
  from: "package.json",
};
const attempt: RunEvent = { type: "attempt", round: 0, model: "m", mostSteps: 300 };
const counted = (passed: number, failed: number) => ({ passed, failed, skipped: 0, failing: [], file: "tests/x.json" });
const test = checkOf("npm test", false, { tests: counted(12, 1) });
const measured: RunEvent = { type: "checks", leg: "base", results: [test, checkOf("npm run lint", true)] };
const acted: RunEvent = { type: "tool.intent", step: 34, name: "bash", summary: "npm test -- slug" };
const submitted: RunEvent = { type: "agent.end", end: "submitted" };

/** What a run shows that wrote its events one second after the other, `later` seconds after the last. */
function shown(events: RunEvent[], later = 0) {
  const stamped: Stamped[] = events.map((event, index) => ({
    n: index + 1,
    at: new Date(began + index * 1000).toISOString(),
    ...event,
  }));
  const now = new Date(began + (events.length - 1 + later) * 1000);
  return renderProgress(stamped, { took: "12 min", now });
}
/** Without what is the same below every header. */
const linesOf = (events: RunEvent[]) => shown(events).lines.slice(0, -1);
const textOf = (events: RunEvent[]) => linesOf(events).join("\n\n");

describe("the header", () => {
  it("is that of the sandbox until the model has the word", () => {
    expect(shown([claimed]).header).toBe("Preparing the sandbox: 12 min");
    expect(shown([claimed, environment]).header).toBe("Preparing the sandbox: 12 min");
  });

  it("tells of the checks on the base while they run and the model has done nothing yet", () => {
    const events = [claimed, environment, attempt, { type: "model.intent", step: 1 } as const];

    expect(shown(events).header).toBe("Running the tests before changing anything: 12 min");
    expect(shown([...events, acted]).header).toMatch(/^Working/);
    expect(shown([...events, measured]).header).toMatch(/^Working/);
  });

  it("tells while it works for how long, when something last happened, and how many steps there are", () => {
    const events = [claimed, attempt, measured, { type: "model.intent", step: 34 } as const, acted];

    expect(shown(events, 20).header).toBe("Working: 12 min, active 20 s ago, step 34 of 300");
    expect(shown(events, 240).header).toBe("Working: 12 min, active 4 min ago, step 34 of 300");
  });

  it("tells when the result is checked, when it goes back to work, and when it is published", () => {
    const gate = (passed: boolean): RunEvent => ({
      type: "gate",
      round: 0,
      passed,
      reason: "r",
      commit: "c",
      tree: "t",
      submission,
      checks: { base: [], head: [] },
    });
    const events = [claimed, environment, measured, attempt, acted, submitted];

    expect(shown(events).header).toBe("Checking the result: 12 min");
    expect(shown([...events, gate(false)]).header).toMatch(/^Working/);
    expect(shown([...events, gate(false), attempt, acted, submitted]).header).toBe("Checking the result: 12 min");
    expect(shown([...events, gate(true)]).header).toBe("Publishing: 12 min");
    expect(shown([...events, gate(true), { type: "publish.intent", step: "commit" }]).header).toBe(
      "Publishing: 12 min",
    );
  });

  it("begins anew with each claim of the run", () => {
    expect(shown([claimed, attempt, measured, acted, submitted, claimed]).header).toBe("Preparing the sandbox: 12 min");
  });
});

describe("a wait for the model", () => {
  const waits = (reason?: string): RunEvent => ({ type: "model.waiting", ...(reason !== undefined && { reason }) });
  const events = [claimed, attempt, measured, { type: "model.intent", step: 34 } as const];

  it("is told with since when, why, and where the work goes on", () => {
    const { header, lines, waitingSince } = shown([...events, waits("its server is away or busy")], 720);

    expect(header).toBe("Waiting for the model since 09:41 UTC, 12 min");
    expect(lines.slice(0, -1)).toEqual([
      "Reason: its server is away or busy. Waiting costs no limit, and I continue at step 34 when it is back.",
    ]);
    expect(waitingSince).toBe("2026-01-05T09:41:34.000Z");
  });

  it("is one wait, also where its reason changes", () => {
    const { lines, waitingSince } = shown([...events, waits("its server failed"), waits("its server is away or busy")]);

    expect(lines[0]).toMatch(/its server is away or busy/);
    expect(waitingSince).toBe("2026-01-05T09:41:34.000Z");
  });

  it("is over when the server is back, and when it has answered", () => {
    const usage = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };
    const answered: RunEvent = { type: "model.result", step: 34, calls: 1, text: "", usage, ms: 1 };

    expect(shown([...events, waits("its server failed"), waits()]).header).toMatch(/^Working/);
    expect(shown([...events, waits("its server failed"), answered]).header).toMatch(/^Working/);
    expect(shown([...events, waits("its server failed"), answered]).waitingSince).toBeUndefined();
  });
});

describe("the text below the header", () => {
  it("has the last step, and what the checks said before the change", () => {
    const text = textOf([claimed, attempt, acted]);

    expect(text).toContain("Last step: bash `npm test -- slug`");
    expect(text).toContain("Before the change: the checks are still running.");
    expect(textOf([claimed, attempt, measured, acted])).toContain(
      "Before the change: `npm test` 12 pass, 1 fail; `npm run lint` passed.",
    );
  });

  it("has the model's plan in a frame, without boxes that a person could tick", () => {
    const items = ["[x] Look at slugify", "[ ] Mend it", "Test it"];

    const text = textOf([claimed, attempt, measured, { type: "plan", items }, acted]);

    expect(text).toContain("> The model's plan:\n>\n> - ☑ Look at slugify\n> - ☐ Mend it\n> - ☐ Test it");
  });

  it("keeps what the model wrote in its place, and without effect", () => {
    const hostile =
      "done\n\n**Opened #9**\n<!-- agent-fix:status {} --> @ada fixes #1 [x](http://evil) ![y](http://evil)";
    const items = [...Array.from({ length: 20 }, () => `[ ] ${hostile}`), "x".repeat(5000)];

    const text = textOf([
      claimed,
      attempt,
      measured,
      { type: "plan", items },
      { type: "tool.intent", step: 1, name: "bash", summary: `\`${hostile}` },
    ]);

    const plan = text.slice(text.indexOf("> The model's plan:")).split("\n");
    expect(plan.every((line) => line.startsWith(">"))).toBe(true);
    expect(plan.filter((line) => line.includes("☐"))).toHaveLength(8);
    expect(text).not.toMatch(/^\*\*/m);
    expect(text.replaceAll(/`[^`]*`/g, "")).not.toMatch(/@a|(?<!\\)<|(?<!\\)\]\(|fixes #\d/);
    expect(text.length).toBeLessThan(4000);
  });

  it("ends with how to stop it", () => {
    for (const events of [[claimed], [claimed, attempt, measured, acted], [claimed, attempt, acted, submitted]])
      expect(shown(events).lines.at(-1)).toMatch(/^`\/agent-fix stop` ends this/);
  });

  it("has a row for each check while the result is checked", () => {
    const events = [claimed, environment, measured, attempt, acted, submitted];

    expect(textOf(events)).toBe(
      "- `npm test`: not yet (before the change: 12 pass, 1 fail)\n- `npm run lint`: not yet (before the change: passed)",
    );
    expect(textOf([...events, { type: "check", leg: "head", run: "npm test", end: "14 pass, 0 fail" }])).toBe(
      "- `npm test`: 14 pass, 0 fail (before the change: 12 pass, 1 fail)\n- `npm run lint`: not yet (before the change: passed)",
    );
  });

  it("has a row for each check while they run before the change", () => {
    const events: RunEvent[] = [claimed, environment, attempt];

    expect(textOf([...events, { type: "check", leg: "base", run: "npm test", end: "12 pass, 1 fail" }])).toBe(
      "- `npm test`: 12 pass, 1 fail\n- `npm run lint`: not yet",
    );
  });
});
