import { begin } from "../../src/begin.ts";
import { issueBranch, ourPulls } from "../../src/branches.ts";
import type { Forge, Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import type { Follows, TaskText } from "../../src/job.ts";
import { labelTrigger, triggerLabel } from "../../src/triggers.ts";
import { lastEvent } from "../../src/runlog.ts";
import { brokenCause, waitsForWord } from "../../src/status.ts";
import type { StatusMarker } from "../../src/status.ts";
import { inlineText } from "../../src/text.ts";
import { visibleText } from "../../src/visible.ts";
import { caughtUpIn, deliverTo } from "../catch-up.ts";
import { changedText } from "../changed.ts";
import { commitOf } from "../checkout.ts";
import { deliveredOrKept, keepBranch } from "../deliver.ts";
import type { Delivery } from "../deliver.ts";
import { takeEarlier, takeEarlierWork } from "../earlier.ts";
import { needsInput } from "../outcome.ts";
import { obstacleTo } from "../obstacle.ts";
import { issueMessages } from "../prompts/messages.ts";
import { takeRemarks } from "../remarks.ts";
import { elapsed, evidenceIn, renderOutcome, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource, solveOn } from "../source.ts";
import { noteUnread, unreadText } from "../unread.ts";

/** An issue with our label becomes a pull request, or a follow-up commit on the one that is open. */
export const issueWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log } = run;
  const number = issueNumber(run);
  const forge = deps.host.forge(job.repo, "report");
  const finding = begin(ourPulls(forge, issueBranch(number)));
  const task = await takeSnapshot(run, forge, number);
  const earlier = await takeEarlier(run);
  const remembering = begin(takeRemarks(run, forge, number));
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const branch = source.settings.base ?? source.facts.defaultBranch;
  const pulls = await finding;
  const open = pulls.find(({ state }) => state === "open");
  const tip = open?.head.commit ?? (await commitOf(source.mirror, branch));
  if (tip === undefined) return needsInput("base branch", `The settings name \`${branch}\`.`);
  const base = source.passed?.base ?? tip;

  const goesOnFrom = await takeEarlierWork(run, { dataDir: deps.dataDir, base });
  const remarks = await remembering;
  await noteUnread(log, textsOf(log));
  await using reporter = reporterFor(run, deps, number);
  const result = await solveOn(run, deps, source, {
    kind: "issue",
    base,
    branch,
    progress: reporter.say,
    goesOnFrom,
    planOnly: ({ plan }) => wantsPlan(plan, job.follows),
    messages: (context, planOnly) =>
      issueMessages({ ...task, ...context, remarks, earlier, hasWork: goesOnFrom !== undefined, planOnly }),
  });
  const delivery = { source, base, to: open ?? newBranch(run, number, branch, pulls.at(-1)) };
  if (!result.ok) return await keepBranch(run, deps, result, delivery);
  reporter.say();
  const obstacle = await obstacleTo(run, deps, delivery);
  if (obstacle !== undefined) return obstacle;
  const changed = await changedText(run, forge, number);
  const delivered = await deliverTo(run, deps, result.passed, withNotice(delivery, changed));
  const outcome = await deliveredOrKept(run, source, delivered);
  return { ...outcome, detail: [outcome.detail, ...caughtUpIn(log.events)].join("\n\n") };
}

/** The pull request's body ends with it. */
function withNotice(delivery: Delivery, notice: string | undefined): Delivery {
  const { to } = delivery;
  if (notice === undefined || "head" in to || to.pull === undefined) return delivery;
  return { ...delivery, to: { ...to, pull: { ...to.pull, footer: `**${notice}**\n\n${to.pull.footer}` } } };
}

/** All that people wrote and the run read. */
function textsOf({ events }: Run["log"]): string[] {
  const said = lastEvent(events, "remarks")?.said ?? [];
  return [lastEvent(events, "snapshot")?.body ?? "", ...said.map(({ body }) => body)];
}

/** With `plan: true` every run on an issue begins with one, until one is approved. */
function wantsPlan(plan: boolean, follows: Follows | undefined): boolean {
  const { how, isApproved = false } = follows ?? {};
  return how === "plan" || (plan && !isApproved && how !== "approve" && how !== "continue");
}

function newBranch({ job }: Run, number: number, into: string, before: Pull | undefined) {
  const follows = before === undefined ? "" : `It follows #${before.number}, which is closed. `;
  const footer = `${follows}Asked for by ${job.actor.login} in #${number}. Review it as you would a colleague's: a submitted review brings a follow-up commit.`;
  return { name: issueBranch(number), pull: { into, closes: number, footer } };
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const { events } = run.log;
  const facts = { took: elapsed(events), stoppedBy: run.stopped()?.by, evidence: evidenceIn(events) };
  const { header, lines } = renderOutcome(outcome, facts);
  const state = outcome.outcome === "published" ? "opened" : outcome.outcome;
  const number = issueNumber(run);
  const forge = deps.host.forge(run.job.repo, "report");
  // A label that was taken off and set again meanwhile asked for nothing more; after a stop it asks for a new run.
  const isOver = state === "cancelled";
  const event = isOver ? undefined : await forge.labelEvent(number, triggerLabel);
  const changed = isOver ? undefined : await changedText(run, forge, number);
  const unread = unreadText(textsOf(run.log));
  const until = waitsUntil(run, outcome);
  const next = nextWord(outcome, state, until);
  const notices = [next, changed, unread && inlineText(unread)].filter((notice) => notice !== undefined);
  await reporterFor(run, deps, number).finish(state, header, [...lines, ...notices], {
    covers: event && labelTrigger(event.id),
    cause: outcome.cause,
    // A sweep begins anew when the base has moved on from it.
    head: outcome.cause === brokenCause ? lastEvent(events, "base")?.commit : undefined,
    until,
  });
}

const answerWithinMs = 3 * 24 * 3600_000;

/** Until when questions wait for an answer, as an ISO time; those of a run that went on without one wait for ever. */
function waitsUntil({ job, log }: Run, { cause }: Outcome): string | undefined {
  if (cause !== "question" || job.follows?.how === "default") return undefined;
  const asked = lastEvent(log.events, "finished")?.at;
  return new Date((asked === undefined ? Date.now() : Date.parse(asked)) + answerWithinMs).toISOString();
}

/** What a comment brings, or its absence, where the ending waits for one. */
function nextWord({ cause }: Outcome, state: StatusMarker["state"], until: string | undefined): string | undefined {
  if (until !== undefined)
    return `Without an answer by ${until.slice(0, 16).replace("T", " ")} UTC I do what I said I would do without one.`;
  if (cause === "question" || !waitsForWord({ state, cause })) return undefined;
  return "A comment that says more, such as how to make it happen, has me look again.";
}

/** The text as it was signed at label time: from the log, else from the inbox, else (after Redis lost it) as it is now. */
async function takeSnapshot(run: Run, forge: Forge, number: number): Promise<TaskText> {
  const logged = lastEvent(run.log.events, "snapshot");
  if (logged !== undefined) return { title: logged.title, body: logged.body };
  const message = (await run.inboxMessages()).find((one) => one.kind === "task");
  const { title, body } = message ?? (await forge.issue(number));
  const { removed } = visibleText(body);
  await run.log.append({
    type: "snapshot",
    hash: snapshotHash({ title, body }),
    title,
    body,
    ...(removed.length > 0 && { removed }),
  });
  return { title, body };
}

function issueNumber(run: Run): number {
  if (run.job.subject.kind !== "issue") throw new Error(`run ${run.job.runId} is not about an issue`);
  return run.job.subject.number;
}
