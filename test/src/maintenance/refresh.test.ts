import { describe, expect, it } from "vitest";
import type { Check } from "../../../src/forge.ts";
import { handleIntake } from "../../../src/intake.ts";
import { newRun } from "../../../src/intake/start.ts";
import { keepChecks, readChecks } from "../../../src/maintenance/checks.ts";
import { keepQuestions } from "../../../src/maintenance/questions.ts";
import { refreshFor } from "../../../src/maintenance/refresh.ts";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "./support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1"}\n';
const ann = { id: 1, login: "ann" };

/** Notes the looks that are asked for. */
function noteLooks({ deps: { queues } }: Awaited<ReturnType<typeof startUpkeep>>) {
  const looks: string[] = [];
  queues.addIntake = async ({ kind }) => void looks.push(kind);
  return looks;
}

describe("a repository is looked after soon", () => {
  it("when a run begins or ends in it, where it has a dashboard", async () => {
    await using on = await startUpkeep(weekly);
    const { queues } = on.deps;
    const looks = noteLooks(on);
    const run = newRun(on.repo, { kind: "issue", number: 7 }, ann, "label-1");
    await refreshFor(queues, run);
    expect(looks).toEqual([]);
    await on.at("2026-11-21T12:00:00Z");

    await refreshFor(queues, run);
    await refreshFor(queues, run, "published");

    expect(looks).toEqual(["upkeep", "upkeep"]);
  });

  it("when an event starts a run", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");
    const { data: issue } = await on.ann.rest.issues.create({ ...shop, title: "It breaks", labels: ["agent-fix"] });
    const looks = noteLooks(on);

    await handleIntake({ kind: "label", delivery: "d", repo: on.repo, issue: issue.number }, on.deps);

    expect(await on.waiting()).toHaveLength(1);
    expect(looks).toEqual(["upkeep"]);
  });
});

it("an issue waits for an answer from the end of its run until the next one", async () => {
  await using on = await startUpkeep(weekly);
  await on.at("2026-11-21T12:00:00Z");
  const { queues } = on.deps;
  const ended = newRun(on.repo, { kind: "issue", number: 7 }, ann, "label-1");
  const shown = async () => (await on.dashboard())?.body.match(/#7.*/)?.[0];

  await refreshFor(queues, ended, "needs-input");
  await on.at("2026-11-21T12:05:00Z");
  expect(await shown()).toBe("#7 waits for an answer");
  await queues.addRun(newRun(on.repo, { kind: "issue", number: 7 }, ann, "comment-1"));
  await on.at("2026-11-21T12:10:00Z");
  expect(await shown()).toBe("#7");
  await on.work();
  await keepQuestions(on.redis, on.repo, []);
  await on.at("2026-11-21T12:15:00Z");

  expect(await shown()).toBeUndefined();
});

it("what checks say is kept for the commit that they were on, and is news once", async () => {
  await using on = await startUpkeep(weekly);
  const pull = { number: 3, head: { branch: "agent-fix/task/tidy", commit: "a" } };
  const states = ["passed", "passed", "failed", "pending", "action-required", "neutral"] as const;
  const checks = states.map((state): Check => {
    return { name: state, app: "ci", state, since: undefined, url: undefined, run: undefined };
  });

  expect(await keepChecks(on.redis, on.repo, pull, checks)).toBe(true);
  expect(await keepChecks(on.redis, on.repo, pull, checks)).toBe(false);

  expect(await readChecks(on.redis, on.repo, pull)).toEqual({ passed: 2, failed: 1, pending: 2 });
  expect(await readChecks(on.redis, on.repo, { ...pull, head: { ...pull.head, commit: "b" } })).toBeUndefined();
});
