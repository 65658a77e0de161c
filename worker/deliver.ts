import { OutageError } from "../src/errors.ts";
import { mayWrite } from "../src/forge.ts";
import type { Forge, Pull } from "../src/forge.ts";
import { branchPrefix } from "../src/triggers.ts";
import type { AttemptResult, Passed } from "./attempt.ts";
import { renderPullBody } from "./body.ts";
import { showCheckRun } from "./check-run.ts";
import { ciHeld } from "./ci.ts";
import { needsInput } from "./outcome.ts";
import { commitMessage, freeBranch, publish } from "./publish.ts";
import type { Publisher, Target } from "./publish.ts";
import { elapsed } from "./report.ts";
import type { Outcome, Run, WorkerDeps } from "./run.ts";
import type { Source } from "./source.ts";

/** What a change stands on, and where it goes. */
export interface Delivery {
  source: Pick<Source, "mirror" | "trusted" | "settings" | "facts">;
  /** The commit that the change stands on. */
  base: string;
  /** The head of our pull request, where the change is what a merge with it makes of the base. */
  merges?: string;
  /** Whose words it has, beside the model's. */
  coAuthors?: readonly string[];
  /** Our open pull request, whose branch gets one more commit; or the branch to make. */
  to: Pull | NewBranch;
}
interface NewBranch {
  /** As long as nobody used it; else it gets a number. */
  name: string;
  /** The pull request to open from it, into a branch; undefined where none is to be opened. */
  pull: { into: string; closes: number | undefined; footer: string } | undefined;
}
export type Delivered =
  | { ok: true; commit: string; branch: string; pull: Pick<Pull, "number" | "url"> | undefined }
  | { ok: false; reason: string; made: string };

/** The last step of every run, in the service and in `resolve`: the commit, its branch, its pull request and its check run. */
export async function deliver(
  run: Publisher,
  { writer, checks }: { writer: Forge; checks: Forge },
  passed: Passed,
  delivery: Delivery,
): Promise<Delivered> {
  const { base, to } = delivery;
  const target = await targetOf(run, writer, passed, delivery);
  const published = await publish(run, writer, passed, target);
  if (!published.ok) return published;
  const { commit } = published;
  const pull = "head" in to ? to : published.pull;
  await showCheckRun(run, checks, { passed, base, commit, pull });
  return { ok: true, commit, branch: target.branch, pull };
}

/** The same by a worker, with a token that lasts as long as it takes. */
export async function deliverFor(
  run: Run,
  { host }: Pick<WorkerDeps, "host">,
  passed: Passed,
  delivery: Delivery,
): Promise<Delivered> {
  const checks = host.forge(run.job.repo, "check");
  return run.withToken("publish", (writer) => deliver(run, { writer, checks }, passed, delivery));
}

/** `again`: what else there is to do where somebody else wrote to the branch meanwhile. */
export function deliveredOutcome(delivered: Delivered, again = ""): Outcome {
  if (!delivered.ok) return needsInput("branch moved", `The reason: ${delivered.reason}. ${again}`.trim());
  if (delivered.pull === undefined) throw new OutageError("the pull request could not be found after it was opened");
  const { number, url } = delivered.pull;
  return { outcome: "published", cause: undefined, detail: url, pull: { number, url } };
}

/** The same by a worker. What passed and came too late stays on a branch of its own. */
export async function deliveredOrKept(
  run: Run,
  { facts }: Pick<Source, "facts">,
  delivered: Delivered,
  again = "",
): Promise<Outcome> {
  if (delivered.ok) return deliveredOutcome(delivered);
  const branch = `${branchPrefix}rescue-${run.job.runId}`;
  await run.guard();
  const pushed = await run.withToken("publish", (writer) => writer.ensureBranch(branch, delivered.made, undefined));
  const url = `${facts.cloneUrl.replace(/\.git$/, "")}/tree/${branch}`;
  const kept = `My change, which passed the checks, stands on the branch [\`${branch}\`](${url}).`;
  return deliveredOutcome(delivered, [...(pushed === "done" ? [kept] : []), again].join(" "));
}

/**
 * Where the settings ask for it, a change that did not pass becomes a branch of its own, without a pull request. To a pull
 * request that is open nothing is added that did not pass.
 */
export async function keepBranch(
  run: Run,
  deps: Pick<WorkerDeps, "host">,
  { outcome, kept }: Extract<AttemptResult, { ok: false }>,
  delivery: Delivery,
): Promise<Outcome> {
  const { source, to } = delivery;
  const { repo, subject, actor } = run.job;
  if (!source.settings.keepBranch || kept === undefined || "head" in to) return outcome;
  // A task is asked for by the settings.
  const isAllowed = subject.kind === "task" || mayWrite(await deps.host.forge(repo, "report").permission(actor.login));
  if (!isAllowed) return outcome;
  const delivered = await deliverFor(run, deps, kept, { ...delivery, to: { ...to, pull: undefined } });
  const said = delivered.ok
    ? `It stands on the branch \`${delivered.branch}\`, without a pull request.`
    : `It could not be pushed: ${delivered.reason}.`;
  return { ...outcome, detail: `${outcome.detail}\n\n${said}` };
}

async function targetOf(
  { job: { runId }, log }: Publisher,
  writer: Forge,
  passed: Passed,
  { source, base, merges, to, coAuthors }: Delivery,
): Promise<Target> {
  const { mirror, trusted, settings, facts } = source;
  const { title, cause } = passed.submission;
  const held = await ciHeld(mirror, trusted, { ci: settings.ci, isPrivate: facts.private });
  const message = commitMessage({ title, why: cause, runId, held, coAuthors });
  if ("head" in to) {
    const parents = merges === undefined ? [base] : [merges, base];
    return { base, parents, branch: to.head.branch, expected: merges ?? base, message, pull: undefined };
  }
  const branch = await freeBranch(writer, to.name, { runId, base, tree: passed.tree });
  if (to.pull === undefined) return { base, branch, expected: undefined, message, pull: undefined };
  const { into, closes, footer } = to.pull;
  const { events } = log;
  const body = renderPullBody({ closes, passed, events, base, held, footer, took: elapsed(events) });
  const pull = { base: into, title, body, draft: passed.verdict.decision === "draft" };
  return { base, branch, expected: undefined, message, pull };
}
