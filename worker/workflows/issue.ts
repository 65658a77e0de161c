import { begin } from "../../src/begin.ts";
import { OutageError } from "../../src/errors.ts";
import { mayWrite } from "../../src/forge.ts";
import type { Forge, Pull } from "../../src/forge.ts";
import { snapshotHash } from "../../src/job.ts";
import type { TaskText } from "../../src/job.ts";
import { labelTrigger, triggerLabel } from "../../src/triggers.ts";
import { lastEvent } from "../../src/runlog.ts";
import { visibleText } from "../../src/visible.ts";
import type { AttemptResult, Passed } from "../attempt.ts";
import { renderPullBody } from "../body.ts";
import { commitOf } from "../checkout.ts";
import { showCheckRun } from "../check-run.ts";
import { ciHeld } from "../ci.ts";
import { needsInput } from "../outcome.ts";
import { issueMessages } from "../prompts/messages.ts";
import { commitMessage, freeBranch, openPull, publish } from "../publish.ts";
import type { Target } from "../publish.ts";
import { elapsed, renderOutcome, reporterFor } from "../report.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { solve } from "../solve.ts";
import { openSource } from "../source.ts";
import type { Source } from "../source.ts";

/** An issue with our label becomes a pull request, or a follow-up commit on the one that is open. */
export const issueWorkflow: Workflow = { work, report };

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const { job, log, signal } = run;
  const number = issueNumber(run);
  const forge = deps.host.forge(job.repo, "report");
  const finding = begin(openPull(forge, `agent-fix/issue-${number}`));
  const task = await takeSnapshot(run, forge, number);
  const opened = await openSource(run, forge, deps);
  if (!opened.ok) return opened.outcome;
  const { source } = opened;
  const branch = source.settings.base ?? source.facts.defaultBranch;
  const open = await finding;
  const base = source.passed?.base ?? open?.head.commit ?? (await commitOf(source.mirror, branch));
  if (base === undefined)
    return needsInput("base branch", `The branch \`${branch}\` that the settings name as \`base\` does not exist.`);

  await using reporter = reporterFor(run, deps, number);
  const result =
    source.passed !== undefined
      ? { ok: true as const, passed: source.passed.change }
      : await solve(
          {
            runId: job.runId,
            kind: "issue",
            log,
            signal,
            mirror: source.mirror,
            trusted: source.trusted,
            base,
            branch,
            progress: reporter.say,
            inbox: () => run.inboxMessages(),
            repo: `${job.repo.owner}/${job.repo.name}`,
            messages: (context) => issueMessages({ ...task, ...context }),
          },
          deps,
        );
  const publishing = { source, open, base, branch };
  if (!result.ok) return await keepBranch(run, deps, publishing, result);
  reporter.say("publishing");
  if (!mayWrite(await forge.permission(job.actor.login))) {
    return {
      outcome: "cancelled",
      cause: `${job.actor.login} no longer has write access`,
      detail: "",
      pull: undefined,
    };
  }
  return await publishIssue(run, deps, { ...publishing, passed: result.passed });
}

/** Where the settings ask for it, a change that did not pass becomes a branch of its own, without a pull request. */
async function keepBranch(
  run: Run,
  deps: WorkerDeps,
  publishing: Omit<Publishing, "passed">,
  { outcome, kept }: Extract<AttemptResult, { ok: false }>,
): Promise<Outcome> {
  const { settings, mirror, trusted, facts } = publishing.source;
  if (!settings.keepBranch || kept === undefined || publishing.open !== undefined) return outcome;
  const held = await ciHeld(mirror, trusted, { ci: settings.ci, isPrivate: facts.private });
  return run.withToken("publish", async (writer) => {
    if (!mayWrite(await writer.permission(run.job.actor.login))) return outcome;
    const target = await targetFor(run, writer, { ...publishing, passed: kept, held });
    const pushed = await publish(run, writer, kept, { ...target, pull: undefined });
    if (pushed.ok)
      await showCheckRun(run, deps, { passed: kept, base: publishing.base, commit: pushed.commit, pull: undefined });
    const said = pushed.ok
      ? `It stands on the branch \`${target.branch}\`, without a pull request.`
      : `It could not be pushed: ${pushed.reason}.`;
    return { ...outcome, detail: `${outcome.detail}\n\n${said}` };
  });
}

interface Publishing {
  source: Source;
  open: Pull | undefined;
  base: string;
  branch: string;
  passed: Passed;
}

async function publishIssue(run: Run, deps: WorkerDeps, publishing: Publishing): Promise<Outcome> {
  const { source, open, passed } = publishing;
  const held = await ciHeld(source.mirror, source.trusted, { ci: source.settings.ci, isPrivate: source.facts.private });
  return run.withToken("publish", async (writer) => {
    const target = await targetFor(run, writer, { ...publishing, held });
    const published = await publish(run, writer, passed, target);
    if (!published.ok)
      return needsInput(
        "branch moved",
        `${published.reason}. Set the label again and I start from where it stands now.`,
      );
    const pull = published.pull ?? open;
    if (pull === undefined) throw new OutageError("the pull request could not be found after it was opened");
    await showCheckRun(run, deps, { passed, base: publishing.base, commit: published.commit, pull });
    return { outcome: "published", cause: undefined, detail: pull.url, pull: { number: pull.number, url: pull.url } };
  });
}

async function targetFor(
  run: Run,
  writer: Forge,
  { open, base, branch, passed, held }: Publishing & { held: boolean },
): Promise<Target> {
  const { runId, actor } = run.job;
  const { title, cause } = passed.submission;
  const message = commitMessage({ title, why: cause, runId, held });
  if (open !== undefined) return { base, branch: open.head.branch, expected: base, message, pull: undefined };
  const number = issueNumber(run);
  const footer = `Asked for by ${actor.login} in #${number}. Review it as you would a colleague's: a submitted review brings a follow-up commit.`;
  const body = renderPullBody({
    closes: number,
    passed,
    events: run.log.events,
    base,
    held,
    footer,
    took: elapsed(run.log.events),
  });
  const draft = passed.verdict.decision === "draft";
  const name = await freeBranch(writer, `agent-fix/issue-${number}`, { runId, base, tree: passed.tree });
  return { base, branch: name, expected: undefined, message, pull: { base: branch, title, body, draft } };
}

async function report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void> {
  const facts = { took: elapsed(run.log.events), stoppedBy: run.stopped()?.by };
  const { header, lines } = renderOutcome(outcome, facts);
  const state = outcome.outcome === "published" ? "opened" : outcome.outcome;
  const number = issueNumber(run);
  // A label that was taken off and set again meanwhile asked for nothing more; after a stop it asks for a new run.
  const event =
    state === "cancelled" ? undefined : await deps.host.forge(run.job.repo, "report").labelEvent(number, triggerLabel);
  await reporterFor(run, deps, number).finish(state, header, lines, event && labelTrigger(event.id));
}

/** The text as it was signed at label time: from the log, else from the inbox, else (after Redis lost it) as it is now. */
async function takeSnapshot(run: Run, forge: Forge, number: number): Promise<TaskText> {
  const logged = lastEvent(run.log.events, "snapshot");
  if (logged !== undefined) return { title: logged.title, body: logged.body };
  const message = (await run.inboxMessages()).find((one) => one.kind === "task");
  const { title, body } = message ?? (await forge.issue(number));
  const { removed, attachments } = visibleText(body);
  await run.log.append({
    type: "snapshot",
    hash: snapshotHash({ title, body }),
    title,
    body,
    ...(removed.length > 0 && { removed }),
  });
  const names = attachments.map(({ name, type }) => `${name} (${type})`).join(", ");
  if (names !== "") await run.log.append({ type: "note", text: `not read, since I can't open attachments: ${names}` });
  return { title, body };
}

function issueNumber(run: Run): number {
  if (run.job.subject.kind !== "issue") throw new Error(`run ${run.job.runId} is not about an issue`);
  return run.job.subject.number;
}
