import type { Check, Forge, Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { lastEvent } from "../../src/runlog.ts";
import { recallStatus } from "../../src/status-comment.ts";
import { isInfrastructure } from "../../src/watch.ts";
import type { Passed } from "../attempt.ts";
import { caughtUpIn, deliverRound } from "../catch-up.ts";
import { deliveredOrKept } from "../deliver.ts";
import type { Delivery } from "../deliver.ts";
import { obstacleTo } from "../obstacle.ts";
import { cancelled } from "../outcome.ts";
import { checksMessages } from "../prompts/messages.ts";
import type { FailingCheck } from "../prompts/messages.ts";
import { readBranchPatch } from "../rebuild.ts";
import { elapsed, renderOutcome, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource, solveOn } from "../source.ts";
import { takenOver } from "../taken-over.ts";

/** What the repository's own checks hold against our pull request becomes at most one more commit on it. */
export const checksWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log } = run;
  const { pull: number, key } = checksSubject(run);
  const forge = deps.host.forge(job.repo, "report");
  const pull = await forge.pull(number);
  const over = await takenOver(run, deps, pull);
  if (over !== undefined) return over;
  if (lastEvent(log.events, "watched") === undefined) {
    const before = (await recallStatus({ redis: deps.redis, forge, number }))?.watch;
    await log.append({ type: "watched", watch: { attempts: (before?.attempts ?? 0) + 1, handled: key }, before });
  }
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const base = source.passed?.base ?? pull.head.commit;
  const { slug } = await deps.host.app();
  const failing = await failingChecks(forge, pull, slug);
  const body = failing.map(({ name }) => name).join("\n");
  await log.append({ type: "snapshot", hash: snapshotHash({ title: pull.title, body }), title: pull.title, body });
  if (failing.length === 0 && source.passed === undefined) return cancelled("no check fails any more");

  await using reporter = reporterFor(run, deps, number);
  const diff = await readBranchPatch(source.mirror, pull.base, base);
  const result = await solveOn(run, deps, source, {
    kind: "checks",
    base,
    branch: pull.head.branch,
    progress: reporter.say,
    messages: (context) => checksMessages({ ...context, title: pull.title, diff, failing }),
  });
  return result.ok ? await push(run, deps, result.passed, { source, base, to: pull }) : result.outcome;
}

async function push(run: Run, deps: WorkerDeps, passed: Passed, delivery: Delivery & { to: Pull }): Promise<Outcome> {
  const obstacle = await obstacleTo(run, deps, delivery);
  if (obstacle !== undefined) return obstacle;
  const delivered = await deliverRound(run, deps, passed, delivery);
  const outcome = await deliveredOrKept(run, delivery.source, delivered);
  const detail = [`In ${delivered.ok ? delivered.commit : ""}.`, ...caughtUpIn(run.log.events)].join(" ");
  return delivered.ok ? { ...outcome, detail } : outcome;
}

/** The head's checks by others that fail, and neither on the base nor for their machine, with what they say of lines. */
async function failingChecks(forge: Forge, { base, head }: Pull, slug: string): Promise<FailingCheck[]> {
  const onto = await forge.branchHead(base);
  const [checks, before] = await Promise.all([
    forge.checksOn(head.commit),
    onto === undefined ? [] : forge.checksOn(onto),
  ]);
  const red = before.filter(({ state }) => state === "failed").map(({ name }) => name);
  const own = checks.filter(({ state, name, app }) => state === "failed" && app !== slug && !red.includes(name));
  return (await Promise.all(own.map((check) => withWords(forge, check)))).flat();
}

async function withWords(forge: Forge, check: Check): Promise<FailingCheck[]> {
  const found = check.run === undefined ? [] : await forge.annotations(check.run);
  if (isInfrastructure(found)) return [];
  const says = found.map(({ path, line, title, message }) =>
    [`${path}:${line}`, title, message].filter(Boolean).join(": "),
  );
  return [{ ...check, says }];
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const took = elapsed(run.log.events);
  const { header, lines } = renderOutcome(outcome, { took, stoppedBy: run.stopped()?.by });
  const reporter = reporterFor(run, deps, checksSubject(run).pull);
  if (outcome.outcome === "published") await reporter.finish("opened", `Failing checks mended in ${took}`, lines);
  else await reporter.finish(outcome.outcome, header, lines, { cause: outcome.cause });
}

function checksSubject(run: Run) {
  if (run.job.subject.kind !== "checks") throw new Error(`run ${run.job.runId} is not about checks`);
  return run.job.subject;
}
