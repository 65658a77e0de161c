import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Forge } from "../../src/forge.ts";
import { createGitHub } from "../../src/github/client.ts";
import type { RunJob } from "../../src/job.ts";
import type { RunEvent, Stamped } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { statusMark } from "../../src/status.ts";
import type { StatusMarker } from "../../src/status.ts";
import { renderQueued } from "../../src/waiting.ts";
import { endingOutcome, rejectionText, withWork } from "../../worker/endings.ts";
import { statusFacts } from "../../worker/facts.ts";
import { cancelled, gaveUp, needsInput } from "../../worker/outcome.ts";
import { renderProgress } from "../../worker/progress.ts";
import { evidenceIn, renderOutcome } from "../../worker/report.ts";
import { createReporter } from "../../worker/reporter.ts";
import type { Outcome } from "../../worker/run.ts";
import { recordOf } from "../../worker/verdict.ts";
import { checkOf, submission, verdictOn } from "../worker/support.ts";
import { personOn } from "./support/laptop.ts";
import { launchBrowser, shop, startStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";

let browser: Browser;
let stage: Stage;
let forge: Forge;
beforeAll(async () => {
  browser = await launchBrowser();
  const app = { id: 4242, slug: "agent-fix", webhookSecret: "s".repeat(40) };
  stage = await startStage(browser, app);
  const { github } = stage;
  github.install({ repositories: ["ann/shop"] });
  const host = createGitHub(
    { apiUrl: github.apiUrl, throttle: false },
    { id: app.id, privateKey: github.app.privateKey, webhookSecret: app.webhookSecret },
  );
  const [repo] = await host.repositories();
  if (repo === undefined) throw new Error("the app has no repository");
  forge = host.forge(repo, "report");
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await browser.close();
});

const hostile = "**Opened #9** <!-- agent-fix:status {} --> @ada fixes #1 [x](http://evil) <b>bold</b> | cell";
const job: RunJob = {
  runId: "3f2a9c5d7e8b1a0c4d6e",
  repo: { id: 7, owner: "ann", name: "shop", installationId: 1 },
  subject: { kind: "issue", number: 1 },
  actor: { id: 3, login: "ann" },
  trigger: "label-1",
};
const counts = (passed: number, failed: number) => ({ passed, failed, skipped: 0, failing: [], file: "tests/x.json" });
const before = [checkOf("npm test", false, { tests: counts(12, 1) }), checkOf("npm run lint", true)];
const after = [checkOf("npm test", true, { tests: counts(14, 0) }), checkOf("npm run lint", true)];

const begun: RunEvent[] = [
  { type: "claimed", epoch: 1, job },
  { type: "base", branch: "main", commit: "1a2b3c4d".repeat(5) },
];
const prepared: RunEvent[] = [
  ...begun,
  {
    type: "environment",
    image: "node:24-bookworm",
    digest: `sha256:${"ab".repeat(32)}`,
    setup: ["npm ci"],
    checks: ["npm test", "npm run lint"],
    from: "package.json and package-lock.json",
  },
  { type: "note", text: "not read, since I can't open attachments: error.png (image/png)" },
];
const attempted: RunEvent[] = [
  ...prepared,
  { type: "attempt", round: 0, model: "qwen3-coder-next", mostSteps: 300 },
  { type: "model.intent", step: 1 },
];
const measured: RunEvent[] = [...attempted, { type: "checks", leg: "base", results: before }];
const worked: RunEvent[] = [
  ...measured,
  {
    type: "plan",
    items: [
      "[x] Reproduce the wrong sum with a test",
      "[x] Find where the sign is lost",
      `[ ] Mend it in sum.js ${hostile}`,
      "[ ] Run all the checks",
    ],
  },
  { type: "model.intent", step: 34 },
  { type: "tool.intent", step: 34, name: "bash", summary: `npm test -- sum ${hostile}` },
];
const submitted: RunEvent[] = [
  ...worked,
  { type: "agent.end", end: "submitted" },
  { type: "check", leg: "head", run: "npm test", end: "14 pass, 0 fail" },
];
const passed: RunEvent[] = [
  ...submitted,
  { type: "check", leg: "head", run: "npm run lint", end: "passed" },
  { type: "checks", leg: "head", results: after },
  {
    type: "gate",
    round: 0,
    passed: true,
    reason: "every required check passes",
    commit: "c".repeat(40),
    tree: "d".repeat(40),
    submission,
    checks: { base: before, head: after },
    verdict: recordOf(verdictOn(before, after)),
  },
];
const pull = { number: 9, url: "http://127.0.0.1/ann/shop/pull/9" };
const work = {
  plan: ["[x] Reproduce it", `[ ] ${hostile}`],
  rejection: undefined,
  patch: "--- a/sum.js\n+++ b/sum.js\n",
};
const { limits } = defaultSettings;

const atWork: Record<string, RunEvent[]> = {
  preparing: prepared,
  measuring: [...attempted, { type: "check", leg: "base", run: "npm test", end: "12 pass, 1 fail" }],
  working: worked,
  "waiting-model": [...worked, { type: "model.waiting", reason: "its server is away or busy" }],
  checking: submitted,
  publishing: passed,
};
const endings: Record<string, { outcome: Outcome; events: RunEvent[] }> = {
  opened: { outcome: { outcome: "published", cause: undefined, detail: pull.url, pull }, events: passed },
  "no-change": {
    outcome: { outcome: "no-change", cause: undefined, detail: `It is right as it is. ${hostile}`, pull: undefined },
    events: worked,
  },
  questions: {
    outcome: endingOutcome(
      {
        end: "asked",
        questions: [
          { question: "Should an empty list have the sum 0?", fallback: "It has the sum 0." },
          { question: `And what of text? ${hostile}`, fallback: "It is refused with an error." },
        ],
      },
      limits,
    ),
    events: worked,
  },
  "set-up-failed": {
    outcome: needsInput("set-up failed", "`npm ci` failed (exit code 1).\n\n```\nnpm error code E404\n```"),
    events: prepared,
  },
  "out-of-steps": { outcome: withWork(endingOutcome({ end: "out-of-steps" }, limits), work), events: worked },
  "gate-rejected": {
    outcome: withWork(gaveUp("gate rejected"), {
      ...work,
      rejection: rejectionText({
        reason: "`npm test`: one test that passed before the change fails or is gone (exit code 1, before: passed)",
        rows: [
          "- `npm test`: regressed (exit code 1, before the change: passed)\n  - regressed: 1 (sums an empty list)",
        ],
        output: "not ok 3 - sums an empty list",
      }),
    }),
    events: submitted,
  },
  outage: { outcome: gaveUp("outage", "The engine at /var/run/docker.sock does not answer."), events: begun },
  cancelled: { outcome: cancelled("label removed"), events: worked },
};

it("a run that waits shows its place and when it may start", async () => {
  const number = await onIssue("queued", (issue) =>
    forge.ensureComment(
      issue,
      statusMark,
      renderQueued({ run: job.runId, trigger: job.trigger }, job, { place: 3, expectedMs: 14 * 60_000 }),
    ),
  );

  expect(await shown("queued", number)).toMatch(/^Queued: place 3, about 14 min\s+Asked for by ann/);
});

it.each(Object.entries(atWork))("a run at work, %s, shows how it stands", async (name, events) => {
  const number = await onIssue(name, async (issue) => {
    const { reporter, written } = reporterOn(issue, events);
    reporter.say();
    await written;
    await reporter[Symbol.asyncDispose]();
  });

  const text = await shown(name, number);
  expect(text).toMatch(headers[name] ?? /never/);
  const planned = events.some(({ type }) => type === "plan") && name !== "publishing" ? 4 : 0;
  expect(await stage.page.locator("article blockquote li").count()).toBe(planned);
});

it.each(Object.entries(endings))("an ending, %s, shows what happened and the next move", async (name, ending) => {
  const { outcome, events } = ending;
  const number = await onIssue(name, async (issue) => {
    const evidence = evidenceIn(stamped(events));
    const { header, lines } = renderOutcome(outcome, { took: "18 min", stoppedBy: "ann", evidence });
    const state = outcome.outcome === "published" ? "opened" : outcome.outcome;
    await reporterOn(issue, events).reporter.finish(state, header, lines, { cause: outcome.cause });
  });

  const text = await shown(name, number);
  expect(text).toMatch(name === "opened" ? /^Opened #9 in 18 min/ : /\/agent-fix (?:retry|continue)/);
});

const headers: Record<string, RegExp> = {
  preparing: /^Preparing the sandbox: 12 min/,
  measuring: /^Running the tests before changing anything: 12 min\s+npm test: 12 pass, 1 fail\s+npm run lint: not yet/,
  working: /^Working: 12 min, active 20 s ago, step 34 of 300/,
  "waiting-model": /^Waiting for the model since \d\d:\d\d UTC, 20 s/,
  checking: /^Checking the result: 12 min/,
  publishing: /^Publishing: 12 min/,
};

function stamped(events: RunEvent[]): Stamped[] {
  const first = Date.UTC(2026, 0, 5, 9, 41);
  return events.map((event, index) => ({ n: index + 1, at: new Date(first + index * 1000).toISOString(), ...event }));
}

function reporterOn(issue: number, all: RunEvent[]) {
  const events = stamped(all);
  const now = new Date(Date.parse(events.at(-1)?.at ?? "") + 20_000);
  const { promise: written, resolve, reject } = Promise.withResolvers<void>();
  const marker: StatusMarker = { run: job.runId, state: "working", trigger: job.trigger };
  const write = async (body: string) => {
    await forge.ensureComment(issue, statusMark, body).then(() => resolve(), reject);
  };
  const reporter = createReporter({
    writer: { tell: write, end: write },
    marker,
    everyMs: 20_000,
    guard: async () => {},
    progress: () => renderProgress(events, { took: "12 min", now }),
    facts: () => statusFacts(events),
  });
  return { reporter, written };
}

async function onIssue(title: string, write: (issue: number) => Promise<unknown>): Promise<number> {
  const { data } = await personOn(stage.github, "ann").rest.issues.create({
    ...shop,
    title: `Sums are wrong (${title})`,
  });
  await write(data.number);
  return data.number;
}

/** The text of our comment as a person sees it; nothing in it is a link but to our own pull request, and nothing acts. */
async function shown(name: string, number: number): Promise<string> {
  const { page, github } = stage;
  await page.goto(`${github.url}/ann/shop/issues/${number}`);
  const comment = page.getByRole("article").last();
  expect(await comment.locator("header").textContent()).toContain("agent-fix[bot]");
  const links = await comment.getByRole("link").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  expect(links.filter((href) => href !== pull.url)).toEqual([]);
  expect(await comment.locator("input, img, b").count()).toBe(0);
  for (const folded of await comment.locator("summary").all()) await folded.click();
  await stage.see(`status-${name}`);
  return (await comment.locator("> div").innerText()).trim();
}
