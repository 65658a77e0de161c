import { setTimeout } from "node:timers/promises";
import { RefusedError } from "../errors.ts";
import type { Check, Forge, Pull } from "../forge.ts";
import { isPersons, sayHandsOff } from "../hands-off.ts";
import type { Actor, IntakeJob, Subject } from "../job.ts";
import { keepChecks } from "../maintenance/checks.ts";
import { refresh } from "../maintenance/refresh.ts";
import { defaultSettings } from "../settings.ts";
import { amendStatus, recallStatus } from "../status-comment.ts";
import type { StatusPlace } from "../status-comment.ts";
import { boundedBody } from "../text.ts";
import { decideWatch, isInfrastructure } from "../watch.ts";
import type { WatchDecision } from "../watch.ts";
import { keyOfPull, liveOn, lostRun, newRun, readSettings, startRun } from "./start.ts";
import type { IntakeDeps, Start } from "./start.ts";

/** Beside the check run of our own evidence, which it must not hide. */
const noteName = "agent-fix / checks";

/**
 * Looks at what others' checks say of our pull request, and whether its base conflicts with it: a failure that our change
 * brought begins a run, a conflict another one, and what people would wonder about is said in a neutral check run, or else
 * in a comment. A run that was lost is begun again first. Safe to repeat; each decision stands in the log.
 */
export async function onWatch(job: Extract<IntakeJob, { kind: "watch" }>, deps: IntakeDeps): Promise<void> {
  const { repo } = job;
  const { host, queues, log } = deps;
  const forge = host.forge(repo, "report");
  const pull = await pullOf(job, forge);
  const key = pull && keyOfPull(pull);
  if (pull === undefined || key === undefined || pull.state !== "open") return;
  const { number } = pull;
  const { slug, id, botLogin } = await host.app();
  const [status, settings, base, isTheirs, conflicts] = await Promise.all([
    recallStatus({ redis: queues.redis, forge, number }),
    readSettings(forge),
    forge.branchHead(pull.base),
    isPersons(forge, pull, botLogin),
    settledMergeability(forge, number),
  ]);
  const asked = { status: Promise.resolve(status), settings: Promise.resolve(settings) };
  const lost = await lostRun(deps, forge, number, status);
  if (lost !== undefined) return startRun({ forge, deps, number, run: lost, ...asked });
  const seen = await checksSeen(forge, pull.head.commit);
  const checks = (seen ?? []).filter(({ app }) => app !== slug);
  if (seen !== undefined && (await keepChecks(queues.redis, repo, pull, checks))) await refresh(queues, repo);
  const failing = checks.filter(({ state }) => state === "failed");
  const onBase = failing.length === 0 || base === undefined ? [] : await forge.checksOn(base);
  const live = await liveOn(queues, repo, key);
  const decision = decideWatch({
    isOurs: pull.ours,
    isOpen: true,
    settings: (settings.ok ? settings.settings : defaultSettings).checksWatch,
    head: pull.head.commit,
    base: base ?? "",
    isHeadOurs: !isTheirs,
    conflicts,
    checks,
    redOnBase: onBase.filter(({ state }) => state === "failed").map(({ name }) => name),
    infrastructure: await brokenMachines(forge, failing),
    isBusy: live.length > 0,
    before: status?.watch,
    now: deps.now(),
  });
  const why = decision.do === "start" ? "start" : decision.why;
  log.info({ repo: `${repo.owner}/${repo.name}`, pull: number, head: pull.head.commit, why }, "checks were looked at");
  await actOn(decision, { deps, forge, pull, actor: { id, login: botLogin }, asked });
}

interface Acting {
  deps: IntakeDeps;
  forge: Forge;
  pull: Pull;
  actor: Actor;
  asked: Pick<Start, "status" | "settings">;
}

async function actOn(decision: WatchDecision, { deps, forge, pull, actor, asked }: Acting): Promise<void> {
  const { host, queues } = deps;
  const { number, head } = pull;
  if (decision.do === "start") {
    const subject: Subject = { kind: decision.what, pull: number, branch: head.branch, key: decision.key };
    const run = newRun(forge.repo, subject, actor, `${decision.what}-${decision.key}`);
    return startRun({ forge, deps, number, run, ...asked });
  }
  if (decision.why === "green") return countAnew({ redis: queues.redis, forge, number });
  if (decision.why === "human-commit") return sayHandsOff(forge, pull);
  if (decision.tells === undefined) return undefined;
  const { tells } = decision;
  const about = { commit: head.commit, runId: decision.why, conclusion: "neutral" as const, annotations: [] };
  try {
    return await host.forge(forge.repo, "check").ensureCheckRun({ name: noteName, ...about, ...tells });
  } catch (error) {
    if (!(error instanceof RefusedError && error.why === "permission")) throw error;
    return tellBelow(forge, pull, tells);
  }
}

/** Undefined where an app that was made before we needed that may not read them: what else there is to see to goes on. */
async function checksSeen(forge: Forge, commit: string): Promise<Check[] | undefined> {
  try {
    return await forge.checksOn(commit);
  } catch (error) {
    if (!(error instanceof RefusedError && error.why === "permission")) throw error;
    return undefined;
  }
}

const noteMark = "<!-- agent-fix:checks -->";

/** One comment that is edited, where an app may write no check run: one that was made before we needed that permission. */
async function tellBelow(
  forge: Forge,
  { number, head }: Pull,
  { title, summary }: { title: string; summary: string },
): Promise<void> {
  const body = `${noteMark}\n**${title}** (of \`${head.commit.slice(0, 7)}\`)\n\n${summary}`;
  await forge.ensureComment(number, noteMark, boundedBody(body));
}

/** A commit status tells of a branch alone. */
async function pullOf(
  { pull, branch }: Extract<IntakeJob, { kind: "watch" }>,
  forge: Forge,
): Promise<Pull | undefined> {
  return pull === undefined ? (await forge.pullsFrom(branch)).find(({ state }) => state === "open") : forge.pull(pull);
}

/** What was tried is over where all is well: attempts are those in a row. */
async function countAnew(place: StatusPlace): Promise<void> {
  await amendStatus(place, ({ watch, ...status }) =>
    watch === undefined || watch.attempts === 0 ? undefined : { ...status, watch: { ...watch, attempts: 0 } },
  );
}

// The host begins to work it out when it is asked.
const askAgainMs = [500, 1500, 3000];

async function settledMergeability(forge: Forge, number: number): Promise<"clean" | "conflict" | "unknown"> {
  for (const ms of askAgainMs) {
    const { state } = await forge.mergeability(number);
    if (state !== "unknown") return state;
    await setTimeout(ms);
  }
  return (await forge.mergeability(number)).state;
}

async function brokenMachines(forge: Forge, failing: readonly Check[]): Promise<string[]> {
  const asked = failing.map(async ({ name, run }) =>
    run !== undefined && isInfrastructure(await forge.annotations(run)) ? [name] : [],
  );
  return (await Promise.all(asked)).flat();
}
