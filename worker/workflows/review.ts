import { setTimeout } from "node:timers/promises";
import { messageOf } from "../../src/errors.ts";
import { mostRounds } from "../../src/feedback.ts";
import type { FeedbackEvent } from "../../src/feedback.ts";
import type { Forge, Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { replyEnded } from "../../src/queued-reply.ts";
import { lastEvent } from "../../src/runlog.ts";
import { replyMark } from "../../src/status.ts";
import { readStatus } from "../../src/status-comment.ts";
import { boundedBody, inlineText } from "../../src/text.ts";
import type { Passed } from "../attempt.ts";
import { forkOf } from "../checkout.ts";
import { caughtUpIn, deliverRound } from "../catch-up.ts";
import { deliveredOrKept } from "../deliver.ts";
import { obstacleTo } from "../obstacle.ts";
import { cancelled, needsInput } from "../outcome.ts";
import { reviewMessages } from "../prompts/messages.ts";
import { changedLines, readBranchPatch } from "../rebuild.ts";
import { elapsed, renderOutcome, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import {
  afterRound,
  duringRound,
  fixedThreads,
  postReplies,
  renderAnswers,
  repliesOf,
  repliesTo,
  roundTitle,
  takeFeedback,
} from "../round.ts";
import type { Answered } from "../round.ts";
import { openSource, solveOn } from "../source.ts";
import type { Source } from "../source.ts";
import { givenBy, standingIn, suggestionsAt, thanksTo } from "../suggestions.ts";
import type { Applied } from "../suggestions.ts";
import { noteUnread, unreadText } from "../unread.ts";

/**
 * What was said on our pull request, and nobody has answered, is one round: at most one additive commit, and an answer to
 * each point of it.
 */
export const reviewWorkflow: Workflow = { work, report };

const nothingNew = "answered before";

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log } = run;
  const forge = deps.host.forge(job.repo, "report");
  const pull = await forge.pull(reviewSubject(run).pull);
  if (pull.state !== "open") return cancelled("the pull request is closed");
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const feedback = await takeFeedback(run, deps, { forge, pull, settings: source.settings });
  const { points, before } = feedback;
  if (points.length === 0) return { outcome: "no-change", cause: nothingNew, detail: "", pull: undefined };
  const base = source.passed?.base ?? pull.head.commit;
  const body = points.flatMap(({ texts }) => texts.map((text) => text.body)).join("\n\n");
  await log.append({ type: "snapshot", hash: snapshotHash({ title: pull.title, body }), title: pull.title, body });
  await noteUnread(log, [body]);

  await using reporter = reporterFor(run, deps, pull.number, duringRound(run));
  const diff = await readBranchPatch(source.mirror, pull.base, base);
  const suggestions = await suggestionsAt(source.mirror, base, points);
  const result = await solveOn(run, deps, source, {
    kind: "review",
    base,
    branch: pull.head.branch,
    progress: reporter.say,
    replies: repliesTo(points, run),
    given: givenBy(suggestions),
    messages: (context) =>
      reviewMessages({
        ...context,
        title: pull.title,
        diff,
        points,
        applied: suggestions.applied.map(({ point }) => point),
        round: (before?.count ?? 0) + 1,
      }),
  });
  if (!result.ok) return result.outcome;
  return await push(run, deps, { source, pull, base, passed: result.passed, suggestions });
}

interface Push {
  source: Source;
  pull: Pull;
  base: string;
  passed: Passed;
  suggestions: Applied;
}

/** The round's commit, where it is of a fair size, and who asked for it may still write. */
async function push(run: Run, deps: WorkerDeps, { source, pull, base, passed, suggestions }: Push): Promise<Outcome> {
  const { log } = run;
  const large = await tooLarge({ source, pull, base, commit: passed.commit, dir: log.dir });
  if (large !== undefined) return large;
  const obstacle = await obstacleTo(run, deps, { source, base, to: pull });
  if (obstacle !== undefined) return obstacle;
  const standing = await standingIn(log.dir, passed.commit, suggestions.applied);
  const coAuthors = thanksTo(standing, source.facts.cloneUrl);
  const delivered = await deliverRound(run, deps, passed, { source, base, to: pull, coAuthors });
  const outcome = await deliveredOrKept(run, source, delivered);
  if (!delivered.ok) return outcome;
  const applied = standing.map(({ point }) => point);
  // What was merged after the checks is nothing that passed them.
  const resolve = source.settings.review.resolve && caughtUpIn(log.events).length === 0;
  await log.append({ type: "pushed", commit: delivered.commit, applied, resolve });
  return { ...outcome, detail: "" };
}

/** What a reviewer has to read again grows with each round; by more than this, a person has to want it. */
const fairGrowth = { lines: 400, factor: 2 };

async function tooLarge(at: {
  source: Source;
  pull: Pull;
  base: string;
  commit: string;
  dir: string;
}): Promise<Outcome | undefined> {
  const { source, pull, base, commit, dir } = at;
  const into = `refs/heads/${pull.base}`;
  const fork = (await forkOf(source.mirror, into, base)) ?? into;
  const before = await changedLines(source.mirror, `${fork}..${base}`);
  const added = await changedLines(`${dir}/repo.git`, `${base}..${commit}`);
  if (added <= Math.max(fairGrowth.lines, fairGrowth.factor * before)) return undefined;
  return needsInput(
    "growth",
    `What I made of this round changes ${added} lines, on a pull request of ${before}. That is more than anybody asked to read, so I pushed nothing. Ask for less at once, or for a pull request of its own.`,
  );
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const { pull } = reviewSubject(run);
  const forge = deps.host.forge(run.job.repo, "report");
  const feedback = lastEvent(run.log.events, "feedback");
  if (outcome.cause === nothingNew) return tellNothingNew(run, deps, forge, pull);
  const { header, lines } = renderOutcome(outcome, {
    took: elapsed(run.log.events),
    stoppedBy: run.stopped()?.by,
  });
  const state = outcome.outcome === "published" ? "opened" : outcome.outcome;
  if (feedback === undefined) {
    await replyEnded(forge, pull, run.job.runId, `**${header}**\n\nThe status comment has the rest.`);
    return reporterFor(run, deps, pull).finish(state, header, lines, { cause: outcome.cause });
  }
  const answered = answeredIn(run, feedback, outcome);
  const isAnswered = outcome.outcome === "published" || outcome.outcome === "no-change";
  const title = isAnswered ? roundTitle(answered, elapsed(run.log.events)) : header;
  if (isAnswered) await postReplies(run, forge, pull, answered);
  const mark = replyMark(run.job.runId);
  const said = isAnswered
    ? [renderAnswers(answered), ...checksIn(run), ...caughtUpIn(run.log.events), ...unreadIn(run), endOfRound(feedback)]
    : [...lines, "I have read what was said, and do not try again by myself: `/agent-fix retry` makes me."];
  await run.guard();
  await forge.ensureComment(pull, mark, boundedBody([mark, `**${title}**`, ...said].join("\n\n")));
  if (isAnswered)
    await resolveWhenSeen(run, forge, { pull, answered }).catch((error: unknown) => {
      // What people do by a click is not worth an answer that is repeated.
      deps.log.warn({ run: run.job.runId, error: messageOf(error) }, "a thread could not be resolved");
    });
  const reporter = reporterFor(run, deps, pull, afterRound(feedback, outcome.outcome));
  await reporter.finish(state, title, isAnswered ? [] : lines, { cause: outcome.cause });
}

function answeredIn({ log }: Run, feedback: FeedbackEvent, outcome: Outcome): Answered {
  const pushed = outcome.outcome === "published" ? lastEvent(log.events, "pushed") : undefined;
  return {
    feedback,
    replies: repliesOf(log.events),
    commit: pushed?.commit,
    applied: new Set(pushed?.applied),
  };
}

function checksIn({ log }: Run): string[] {
  const checks = lastEvent(log.events, "gate")?.checks.head ?? [];
  if (checks.length === 0) return [];
  const rows = checks.map((check) => `- \`${check.run.replaceAll(/[`\n]/g, " ")}\`: ${inlineText(check.end)}`);
  return [`Checked outside the model's reach:\n${rows.join("\n")}`];
}

function unreadIn({ log }: Run): string[] {
  const unread = unreadText([lastEvent(log.events, "snapshot")?.body ?? ""]);
  return unread === undefined ? [] : [inlineText(unread)];
}

function endOfRound({ before }: FeedbackEvent): string {
  const left = mostRounds - (before?.count ?? 0) - 1;
  return left > 0
    ? `Review it again when you have a moment. After ${left} more ${left === 1 ? "round" : "rounds"} I leave the pull request to you.`
    : "This was the last round that I answer by myself: `/agent-fix retry` lets me go on.";
}

// The host's reads may lag behind its writes.
const lookAgainMs = [0, 500, 1500];

/** A thread is resolved only while the pull request stands at the commit that passed the gate. */
async function resolveWhenSeen(
  run: Run,
  forge: Forge,
  { pull, answered }: { pull: number; answered: Answered },
): Promise<void> {
  const threads = fixedThreads(answered);
  if (threads.length === 0 || lastEvent(run.log.events, "pushed")?.resolve !== true) return;
  for (const ms of lookAgainMs) {
    await setTimeout(ms, undefined, { signal: run.signal });
    const { head } = await forge.pull(pull);
    if (head.commit !== answered.commit) continue;
    await run.guard();
    // GitHub asks for the right to push.
    return run.withToken("publish", async (writer) => {
      for (const thread of threads) await writer.resolveThread(thread);
    });
  }
}

/** Another round took in all that this one was to be about. Its status comment stands, but where it is our own. */
async function tellNothingNew(run: Run, deps: WorkerDeps, forge: Forge, pull: number): Promise<void> {
  const { runId } = run.job;
  await replyEnded(forge, pull, runId, "Answered with the round before it.");
  const status = await readStatus(forge, pull);
  if (status?.run === runId) await reporterFor(run, deps, pull).finish("no-change", "Everything here is answered", []);
}

function reviewSubject(run: Run) {
  if (run.job.subject.kind !== "review") throw new Error(`run ${run.job.runId} is not about a review`);
  return run.job.subject;
}
