import type { Forge } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import { lastEvent } from "../../src/runlog.ts";
import { answerMark } from "../../src/status.ts";
import { boundedBody } from "../../src/text.ts";
import { commitOf } from "../checkout.ts";
import { gaveUp, needsInput } from "../outcome.ts";
import { questionMessages } from "../prompts/messages.ts";
import { elapsed, renderOutcome } from "../report.ts";
import { answerLines, repliesOf, repliesTo } from "../round.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource, solveOn } from "../source.ts";

/** What somebody with write access asks us is answered where it was asked. Nothing is changed by it. */
export const questionWorkflow: Workflow = { work, report };

const point = { id: "q1" };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job } = run;
  const forge = deps.host.forge(job.repo, "report");
  const text = await takeQuestion(run);
  if (text === undefined) return gaveUp("question lost", "What was asked is no longer known here. Ask it again.");
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { mirror, settings, facts } = opened.source;
  const branch = settings.base ?? facts.defaultBranch;
  const place = await placeOf(run, forge);
  // A fork's head is not in the mirror.
  const head = place.branch === undefined ? undefined : await commitOf(mirror, place.branch);
  const base = head ?? (await commitOf(mirror, branch));
  if (base === undefined)
    return needsInput("base branch", `The branch \`${branch}\` that the settings name as \`base\` does not exist.`);
  const result = await solveOn(run, deps, opened.source, {
    kind: "question",
    base,
    branch: place.branch ?? branch,
    replies: repliesTo([point], run),
    readOnly: () => answered(run),
    messages: (context) => questionMessages({ ...context, by: job.actor.login, text, about: place.about }),
  });
  if (result.ok) throw new Error(`run ${job.runId} answers a question, and has a change`);
  return result.outcome;
}

function answered({ log }: Run): Outcome {
  if (repliesOf(log.events).length === 0)
    return gaveUp("no answer", "I looked, and came to no answer. Ask it in other words, or say where to look.");
  return { outcome: "no-change", cause: "answered", detail: "", pull: undefined };
}

/** What was asked: from the log, else from the inbox. */
async function takeQuestion(run: Run): Promise<string | undefined> {
  const logged = lastEvent(run.log.events, "snapshot");
  if (logged !== undefined) return logged.body;
  const message = (await run.inboxMessages()).find((one) => one.kind === "task");
  if (message === undefined) return undefined;
  const { title, body } = message;
  await run.log.append({ type: "snapshot", hash: snapshotHash({ title, body }), title, body });
  return body;
}

async function placeOf(run: Run, forge: Forge): Promise<{ branch: string | undefined; about: string }> {
  const { number, isPull } = questionSubject(run);
  if (!isPull) {
    const { title, body } = await forge.issue(number);
    return { branch: undefined, about: `Issue: ${title}\n\n${body}` };
  }
  const { title, body, head } = await forge.pull(number);
  return { branch: head.branch, about: `Pull request: ${title}\n\n${body}` };
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const { number, comment, inThread } = questionSubject(run);
  const forge = deps.host.forge(run.job.repo, "report");
  const [reply] = repliesOf(run.log.events);
  const mark = answerMark(comment);
  const { header, lines } = renderOutcome(outcome, {
    took: elapsed(run.log.events),
    stoppedBy: run.stopped()?.by,
  });
  const isAnswered = outcome.outcome === "no-change" && reply !== undefined;
  const said = isAnswered ? answerLines(reply.text) : [`**${header}**`, ...lines].join("\n\n");
  await run.guard();
  const body = boundedBody(`${mark}\n${said}`);
  if (inThread) await forge.ensureReply(number, comment, mark, body);
  else await forge.ensureComment(number, mark, body);
}

function questionSubject(run: Run) {
  if (run.job.subject.kind !== "question") throw new Error(`run ${run.job.runId} is not about a question`);
  return run.job.subject;
}
