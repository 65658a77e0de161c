import { mayWrite } from "../../src/forge.ts";
import type { Review } from "../../src/forge.ts";
import { replyMark } from "../../src/status.ts";
import { boundedBody } from "../../src/text.ts";
import { snapshotHash } from "../../src/job.ts";
import { visibleText } from "../../src/visible.ts";
import { deliverFor, deliveredOutcome } from "../deliver.ts";
import { reviewMessages } from "../prompts/messages.ts";
import { readBranchPatch } from "../rebuild.ts";
import type { ReviewComment } from "../prompts/messages.ts";
import { elapsed, renderOutcome, renderReviewReply, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { solve } from "../solve.ts";
import { openSource } from "../source.ts";

/** A submitted review on our pull request becomes one additive commit and one reply that names it. */
export const reviewWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log, signal } = run;
  const subject = reviewSubject(run);
  const forge = deps.host.forge(job.repo, "report");
  const [pull, review] = await Promise.all([forge.pull(subject.pull), forge.review(subject.pull, subject.review)]);
  if (pull.state !== "open")
    return { outcome: "cancelled", cause: "the pull request is closed", detail: "", pull: undefined };
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const base = source.passed?.base ?? pull.head.commit;
  await log.append({
    type: "snapshot",
    hash: snapshotHash({ title: pull.title, body: review.body }),
    title: pull.title,
    body: review.body,
  });

  await using reporter = reporterFor(run, deps, subject.pull);
  const diff = await readBranchPatch(source.mirror, pull.base, base);
  const result =
    source.passed !== undefined
      ? { ok: true as const, passed: source.passed.change }
      : await solve(
          {
            runId: job.runId,
            kind: "review",
            log,
            signal,
            mirror: source.mirror,
            trusted: source.trusted,
            base,
            branch: pull.head.branch,
            progress: reporter.say,
            inbox: () => run.inboxMessages(),
            repo: `${job.repo.owner}/${job.repo.name}`,
            messages: (context) =>
              reviewMessages({ ...context, title: pull.title, diff, comments: commentsOf(review) }),
          },
          deps,
        );
  if (!result.ok) return result.outcome;
  if (!mayWrite(await forge.permission(job.actor.login))) {
    return {
      outcome: "cancelled",
      cause: `${job.actor.login} no longer has write access`,
      detail: "",
      pull: undefined,
    };
  }
  const delivered = await deliverFor(run, deps, result.passed, { source, base, to: pull });
  const outcome = deliveredOutcome(delivered, "Submit the review again and I start from where it stands now.");
  if (!delivered.ok) return outcome;
  return { ...outcome, detail: renderReviewReply(result.passed, delivered.commit, job.actor.login) };
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const took = elapsed(run.log.events);
  const { pull, review } = reviewSubject(run);
  const { header, lines } = renderOutcome(outcome, { took, stoppedBy: run.stopped()?.by });
  const state = outcome.outcome === "published" ? "opened" : outcome.outcome;
  const answer = state === "opened" ? outcome.detail : [`**${header}**`, ...lines].join("\n\n");
  const mark = replyMark(review);
  await run.guard();
  await deps.host.forge(run.job.repo, "report").ensureComment(pull, mark, boundedBody(`${mark}\n${answer}`));
  const reporter = reporterFor(run, deps, pull);
  if (state === "opened") await reporter.finish(state, `Review answered in ${took}`, []);
  else await reporter.finish(state, header, lines);
}

function commentsOf({ author, body, comments }: Review): ReviewComment[] {
  const inline = comments.map(({ path, line, hunk, body: text }) => ({
    author: author.login,
    path,
    line,
    text: `${hunk}\n\n${visibleText(text).text}`,
  }));
  return body.trim() === "" ? inline : [{ author: author.login, text: visibleText(body).text }, ...inline];
}

function reviewSubject(run: Run) {
  if (run.job.subject.kind !== "review") throw new Error(`run ${run.job.runId} is not about a review`);
  return run.job.subject;
}
