import type { Check, Forge, Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { lastEvent } from "../../src/runlog.ts";
import { readStatus } from "../../src/status-comment.ts";
import { deliverFor, deliveredOutcome } from "../deliver.ts";
import { cancelled } from "../outcome.ts";
import { checksMessages } from "../prompts/messages.ts";
import type { FailingCheck } from "../prompts/messages.ts";
import { readBranchPatch } from "../rebuild.ts";
import { elapsed, renderOutcome, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { solve } from "../solve.ts";
import { openSource } from "../source.ts";

/** What the repository's own checks hold against our pull request becomes at most one more commit on it. */
export const checksWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log, signal } = run;
  const { pull: number, key } = checksSubject(run);
  const forge = deps.host.forge(job.repo, "report");
  const [pull, status] = await Promise.all([forge.pull(number), readStatus(forge, number)]);
  if (pull.state !== "open") return cancelled("the pull request is closed");
  if (lastEvent(log.events, "watched") === undefined) {
    const attempts = (status?.watch?.attempts ?? 0) + 1;
    await log.append({ type: "watched", watch: { attempts, handled: key }, rounds: status?.rounds });
  }
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const base = source.passed?.base ?? pull.head.commit;
  const failing = await failingChecks(forge, pull);
  const body = failing.map(({ name }) => name).join("\n");
  await log.append({ type: "snapshot", hash: snapshotHash({ title: pull.title, body }), title: pull.title, body });
  if (failing.length === 0 && source.passed === undefined) return cancelled("no check fails any more");

  await using reporter = reporterFor(run, deps, number);
  const diff = await readBranchPatch(source.mirror, pull.base, base);
  const result =
    source.passed !== undefined
      ? { ok: true as const, passed: source.passed.change }
      : await solve(
          {
            runId: job.runId,
            kind: "checks",
            log,
            signal,
            mirror: source.mirror,
            trusted: source.trusted,
            base,
            branch: pull.head.branch,
            progress: reporter.say,
            inbox: () => run.inboxMessages(),
            repo: `${job.repo.owner}/${job.repo.name}`,
            messages: (context) => checksMessages({ ...context, title: pull.title, diff, failing }),
          },
          deps,
        );
  if (!result.ok) return result.outcome;
  const delivered = await deliverFor(run, deps, result.passed, { source, base, to: pull });
  const outcome = deliveredOutcome(delivered);
  return delivered.ok ? { ...outcome, detail: `In ${delivered.commit}.` } : outcome;
}

/** The head's checks that fail, and do not on the base, with what they say of lines. */
async function failingChecks(forge: Forge, { base, head }: Pull): Promise<FailingCheck[]> {
  const onto = await forge.branchHead(base);
  const [checks, before] = await Promise.all([
    forge.checksOn(head.commit),
    onto === undefined ? [] : forge.checksOn(onto),
  ]);
  const red = before.filter(({ state }) => state === "failed").map(({ name }) => name);
  const own = checks.filter(({ state, name }) => state === "failed" && !red.includes(name));
  return Promise.all(own.map(async (check) => ({ ...check, says: await wordsOf(forge, check) })));
}

async function wordsOf(forge: Forge, { run }: Check): Promise<string[]> {
  const found = run === undefined ? [] : await forge.annotations(run);
  return found.map(({ path, line, title, message }) => [`${path}:${line}`, title, message].filter(Boolean).join(": "));
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
