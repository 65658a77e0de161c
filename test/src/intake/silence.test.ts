import { expect, it } from "vitest";
import { handleIntake } from "../../../src/intake.ts";
import { renderStatus, statusMark } from "../../../src/status.ts";
import type { StatusMarker } from "../../../src/status.ts";
import { sweep } from "../../../src/sweep.ts";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "../maintenance/support.ts";

const until = "2026-11-23T05:00:00.000Z";

/** An issue with our label, whose run has asked something; and a sweep at a time. */
async function asked(more: Partial<StatusMarker> = { until }) {
  const on = await startUpkeep("checks: [make]\n");
  const { data: issue } = await on.ann.rest.issues.create({ ...shop, title: "Here", labels: ["agent-fix"] });
  const { number } = issue;
  const event = await on.forge.labelEvent(number, "agent-fix");
  const ended = { run: "r1", trigger: `label-${event?.id}`, state: "needs-input" as const, cause: "question", ...more };
  await on.forge.ensureComment(number, statusMark, renderStatus(ended, "Needs input: question", ["Which one?"]));
  const { queues } = on.deps;
  const addIntake: typeof queues.addIntake = async (job) => {
    if (job.kind === "label") await handleIntake(job, on.deps);
  };
  const sweepAt = (time: string) => sweep({ ...on.deps, now: () => new Date(time), queues: { ...queues, addIntake } });
  return { on, number, sweepAt };
}

it("questions that nobody answered in time are answered by what the run said it would do, once", async () => {
  const { on, number, sweepAt } = await asked();
  await using _on = on;
  await sweepAt("2026-11-23T04:59:00Z");
  expect(await on.waiting()).toEqual([]);

  await sweepAt("2026-11-23T05:01:00Z");
  await sweepAt("2026-11-23T05:06:00Z");

  const [run, ...others] = await on.waiting();
  expect(others).toEqual([]);
  expect(run).toMatchObject({ subject: { number }, actor: { login: "ann" }, follows: { run: "r1", how: "default" } });
  expect(await on.deps.inbox.read(run?.runId ?? "")).toContainEqual(
    expect.objectContaining({ kind: "earlier", said: expect.stringContaining("Which one?"), answer: "" }),
  );
});

it("questions of a run that went on without an answer wait for one", async () => {
  const { on, sweepAt } = await asked({});
  await using _on = on;

  await sweepAt("2027-01-01T00:00:00Z");

  expect(await on.waiting()).toEqual([]);
});
