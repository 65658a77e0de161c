import { expect, it } from "vitest";
import { handleIntake } from "../../../src/intake.ts";
import { renderStatus, statusMark } from "../../../src/status.ts";
import { sweep } from "../../../src/sweep.ts";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "../maintenance/support.ts";

/** An issue with our label, whose run has ended since its checks cannot run on the base. */
async function broken() {
  const on = await startUpkeep("checks: [make]\n");
  const { data: issue } = await on.ann.rest.issues.create({ ...shop, title: "Here", labels: ["agent-fix"] });
  const { number } = issue;
  const event = await on.forge.labelEvent(number, "agent-fix");
  const head = (await on.forge.branchHead("main")) ?? "";
  const ended = { run: "r1", trigger: `label-${event?.id}`, state: "needs-input" as const, cause: "base broken", head };
  await on.forge.ensureComment(number, statusMark, renderStatus(ended, "Needs input: base broken"));
  const { queues } = on.deps;
  const addIntake: typeof queues.addIntake = async (job) => {
    if (job.kind === "label") await handleIntake(job, on.deps);
  };
  return { on, number, sweep: () => sweep({ ...on.deps, queues: { ...queues, addIntake } }) };
}

it("an issue whose base was broken is begun anew when the base moves, once, by whoever set the label", async () => {
  const { on, number, ...at } = await broken();
  await using _on = on;
  await at.sweep();
  expect(await on.waiting()).toEqual([]);

  await on.github.push("ann/shop", { Makefile: "all:\n" }, { branch: "main", message: "Mend", author: "ann" });
  await at.sweep();
  await at.sweep();

  expect(await on.waiting()).toMatchObject([
    { subject: { kind: "issue", number }, actor: { login: "ann" }, follows: { run: "r1", how: "retry" } },
  ]);
});

it("an issue that was asked for again meanwhile is not begun a second time", async () => {
  const { on, number, ...at } = await broken();
  await using _on = on;
  const done = { run: "r2", trigger: "comment-9", state: "opened" as const };
  await on.forge.ensureComment(
    number,
    statusMark,
    renderStatus({ ...done, trigger: `label-${(await on.forge.labelEvent(number, "agent-fix"))?.id}` }, "Opened"),
  );

  await on.github.push("ann/shop", { Makefile: "all:\n" }, { branch: "main", message: "Mend", author: "ann" });
  await at.sweep();

  expect(await on.waiting()).toEqual([]);
});
