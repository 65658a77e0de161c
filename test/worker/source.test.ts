import { expect, it } from "vitest";
import type { RunEvent } from "../../src/runlog.ts";
import { openRun } from "../../worker/run.ts";
import { openSource } from "../../worker/source.ts";
import { createLocalDeps, createLocalHost, job, never, passedWith } from "./support.ts";
import { recordOf } from "../../worker/verdict.ts";

/** Where a run goes on whose log ends with this. */
async function goneOn(gate: (base: string) => RunEvent[]) {
  using host = createLocalHost({ "a.txt": "a\n" });
  await using deps = await createLocalDeps(host.forge);
  await using run = await openRun(job, never, deps);
  const base = host.commits[0] ?? "";
  for (const event of gate(base)) await run.log.append(event);
  const opened = await openSource(run, host.forge, deps);
  if (!opened.ok) throw new Error(opened.outcome.detail);
  return opened.source.passed;
}

const { verdict, ...passed } = passedWith();
const gate = { type: "gate" as const, round: 0, passed: true, reason: "every required check passes", ...passed };
const started = (base: string) => ({ type: "base" as const, branch: "main", commit: base });

it("goes on at publishing where the gate passed before, with the same verdict", async () => {
  const found = await goneOn((base) => [started(base), { ...gate, verdict: recordOf(verdict) }]);

  expect(found?.change).toMatchObject({ commit: passed.commit, tree: passed.tree, verdict });
});

it("works anew where an older version passed the gate, whose log has no verdict", async () => {
  expect(await goneOn((base) => [started(base), gate as RunEvent])).toBeUndefined();
});
