import { mayWrite } from "../../src/forge.ts";
import type { Pull, Review } from "../../src/forge.ts";
import { replyMark } from "../../src/status.ts";
import { boundedBody } from "../../src/text.ts";
import { snapshotHash } from "../../src/job.ts";
import { visibleText } from "../../src/visible.ts";
import type { Passed } from "../attempt.ts";
import { showCheckRun } from "../check-run.ts";
import { ciHeld } from "../ci.ts";
import { needsInput } from "../outcome.ts";
import { reviewMessages } from "../prompts/messages.ts";
import { commitMessage, publish } from "../publish.ts";
import { readBranchPatch } from "../rebuild.ts";
import type { ReviewComment } from "../prompts/messages.ts";
import { elapsed, renderOutcome, renderReviewReply, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { solve } from "../solve.ts";
import { openSource } from "../source.ts";
import type { Source } from "../source.ts";

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
  return await publishReview(run, deps, { source, pull, base, passed: result.passed });
}

async function publishReview(
  run: Run,
  deps: WorkerDeps,
  { source, pull, base, passed }: { source: Source; pull: Pull; base: string; passed: Passed },
): Promise<Outcome> {
  const held = await ciHeld(source.mirror, source.trusted, { ci: source.settings.ci, isPrivate: source.facts.private });
  const { title, cause } = passed.submission;
  const message = commitMessage({ title, why: cause, runId: run.job.runId, held });
  return run.withToken("publish", async (writer) => {
    const published = await publish(run, writer, passed, {
      base,
      branch: pull.head.branch,
      expected: base,
      message,
      pull: undefined,
    });
    if (!published.ok)
      return needsInput(
        "branch moved",
        `${published.reason}. Submit the review again and I start from where it stands now.`,
      );
    await showCheckRun(run, deps, { passed, base, commit: published.commit, pull });
    const detail = renderReviewReply(passed, published.commit, run.job.actor.login);
    return { outcome: "published", cause: undefined, detail, pull: { number: pull.number, url: pull.url } };
  });
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
