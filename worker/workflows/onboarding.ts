import { branchName, newestNames } from "../../src/branches.ts";
import { OutageError } from "../../src/errors.ts";
import type { Forge, Pull } from "../../src/forge.ts";
import { settingsPath } from "../../src/settings.ts";
import { configureBranch } from "../../src/triggers.ts";
import { readCommit } from "../checkout.ts";
import { ciHeld } from "../ci.ts";
import { renderFirstBody, renderFirstSettings } from "../first-settings.ts";
import { cancelled } from "../outcome.ts";
import { commitMessage, trailer } from "../publish.ts";
import type { Outcome, Run, WorkerDeps, Workflow } from "../run.ts";
import { openSource } from "../source.ts";
import type { Source } from "../source.ts";
import { survey } from "../survey.ts";
import type { Survey } from "../survey.ts";

const title = "Configure agent-fix";

/** A repository without settings gets one pull request with them, and with what its own checks say today. No model is asked. */
export const onboardingWorkflow: Workflow = {
  work,
  // The pull request is the answer; where there is none, the run log says why, and another day brings another run.
  report: async () => {},
};

async function work(run: Run, deps: WorkerDeps): Promise<Outcome> {
  const opened = await openSource(run, deps.host.forge(run.job.repo, "report"), deps);
  if (!opened.ok) return opened.outcome;
  const { mirror, trusted } = opened.source;
  const files = await readCommit(mirror, trusted);
  if (await files.has(settingsPath)) return cancelled("there are settings by now");
  await run.log.append({ type: "base", branch: opened.source.facts.defaultBranch, commit: trusted });
  const found = await survey(run, { mirror, commit: trusted }, deps);
  const { number, url } = await run.withToken("publish", (writer) => propose(run, writer, opened.source, found));
  return { outcome: "published", cause: undefined, detail: url, pull: { number, url } };
}

/** Branch, commit and pull request: each step looks first, so that it may run again after a crash. */
async function propose(run: Run, writer: Forge, source: Source, found: Survey): Promise<Pull> {
  const { runId } = run.job;
  const { mirror, trusted, facts, settings } = source;
  const { branch, isMade } = await freeBranch(writer, runId);
  if (!isMade) {
    const held = await ciHeld(mirror, trusted, { ci: settings.ci, isPrivate: facts.private });
    const why = "It says what is run here, and what is done on a schedule.";
    const message = commitMessage({ title, why, runId, held });
    const bytes = Buffer.from(renderFirstSettings(found));
    await run.guard();
    const files = [{ path: settingsPath, mode: "100644" as const, bytes }];
    const { commit } = await writer.createCommit({ base: trusted, message, files, deleted: [] });
    if ((await writer.ensureBranch(branch, commit, undefined)) === "conflict")
      throw new OutageError(`the branch ${branch} came into being meanwhile`);
  }
  await run.guard();
  const body = renderFirstBody(found, trusted);
  return writer.ensurePull({ branch, base: facts.defaultBranch, title, body, draft: false });
}

/** The first name that nobody used, or the one that has this run's commit. */
async function freeBranch(writer: Forge, runId: string): Promise<{ branch: string; isMade: boolean }> {
  const used = await newestNames(writer, configureBranch);
  for (const { branch, head } of used) {
    const { message } = head === undefined ? { message: "" } : await writer.commit(head);
    if (message.split("\n").includes(trailer(runId))) return { branch, isMade: true };
  }
  return { branch: branchName(configureBranch, (used.at(-1)?.number ?? 0) + 1), isMade: false };
}
