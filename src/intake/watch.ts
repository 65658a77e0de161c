import { setTimeout } from "node:timers/promises";
import type { Check, Forge } from "../forge.ts";
import type { IntakeJob, Subject } from "../job.ts";
import { defaultSettings } from "../settings.ts";
import { readStatus } from "../status-comment.ts";
import { decideWatch, isInfrastructure } from "../watch.ts";
import { isHandedBack, isOwnCommit, sayHandsOff } from "./hands-off.ts";
import { currentRun, keyOfPull, newRun, readSettings, startRun } from "./start.ts";
import type { IntakeDeps } from "./start.ts";

/** Beside the check run of our own evidence, which it must not hide. */
const noteName = "agent-fix / checks";

/**
 * Looks at what others' checks say of our pull request, and whether its base conflicts with it: a failure that our change
 * brought begins a run, a conflict another one, and what people would wonder about is said in a neutral check run. Safe to
 * repeat; each decision stands in the log.
 */
export async function onWatch(job: Extract<IntakeJob, { kind: "watch" }>, deps: IntakeDeps): Promise<void> {
  const { repo, pull: number } = job;
  const { host, queues, log } = deps;
  const forge = host.forge(repo, "report");
  const pull = await forge.pull(number);
  const key = keyOfPull(pull);
  if (key === undefined || pull.state !== "open") return;
  const [status, settings, base, headCommit, conflicts, { slug, id, botLogin }] = await Promise.all([
    readStatus(forge, number),
    readSettings(forge),
    forge.branchHead(pull.base),
    forge.commit(pull.head.commit),
    settledMergeability(forge, number),
    host.app(),
  ]);
  const checks = (await forge.checksOn(pull.head.commit)).filter(({ app }) => app !== slug);
  const failing = checks.filter(({ state }) => state === "failed");
  const onBase = failing.length === 0 || base === undefined ? [] : await forge.checksOn(base);
  const runId = await currentRun(queues.redis, repo, key);
  const decision = decideWatch({
    isOurs: pull.ours,
    isOpen: true,
    settings: (settings.ok ? settings.settings : defaultSettings).checksWatch,
    head: pull.head.commit,
    base: base ?? "",
    isHeadOurs: isOwnCommit(headCommit, botLogin) || (await isHandedBack(forge, number, pull.head.commit)),
    conflicts,
    checks,
    redOnBase: onBase.filter(({ state }) => state === "failed").map(({ name }) => name),
    infrastructure: await brokenMachines(forge, failing),
    isBusy: runId !== undefined && (await queues.isLive(runId)),
    before: status?.watch,
    now: deps.now(),
  });
  const why = decision.do === "start" ? "start" : decision.why;
  log.info({ repo: `${repo.owner}/${repo.name}`, pull: number, head: pull.head.commit, why }, "checks were looked at");
  if (decision.do === "start") {
    const subject: Subject = { kind: decision.what, pull: number, branch: pull.head.branch, key: decision.key };
    const run = newRun(repo, subject, { id, login: botLogin }, `${decision.what}-${decision.key}`);
    const asked = { status: Promise.resolve(status), settings: Promise.resolve(settings) };
    await startRun({ forge, deps, number, run, ...asked });
  } else if (decision.why === "human-commit") {
    await sayHandsOff(forge, number, pull.head.commit);
  } else if (decision.tells !== undefined) {
    await host.forge(repo, "check").ensureCheckRun({
      name: noteName,
      commit: pull.head.commit,
      runId: decision.why,
      conclusion: "neutral",
      ...decision.tells,
      annotations: [],
    });
  }
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
