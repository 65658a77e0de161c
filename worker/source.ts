import { begin } from "../src/begin.ts";
import type { Forge, RepositoryFacts } from "../src/forge.ts";
import { lastEvent } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import type { AttemptResult, Passed } from "./attempt.ts";
import { commitOf, fetchedSince, mirrorPath } from "./checkout.ts";
import { needsInput } from "./outcome.ts";
import type { Outcome, Run, WorkerDeps } from "./run.ts";
import { settingsAt, solve } from "./solve.ts";
import type { SolveTask } from "./solve.ts";
import { verdictOf } from "./verdict.ts";

/** The repository as a run finds it. */
export interface Source {
  facts: RepositoryFacts;
  mirror: string;
  /** The default branch's commit: settings, instructions and checks come from it alone. */
  trusted: string;
  settings: Settings;
  /** Set when a former worker recorded a passed gate: the run goes on at publishing. */
  passed: { base: string; change: Passed } | undefined;
}

/** A mirror that is older than this is brought up to date, whenever the run was asked for. */
const freshMs = 60_000;

/** Reads the repository from a mirror that is as new as the event that asks for the run. */
export async function openSource(
  run: Run,
  forge: Forge,
  deps: WorkerDeps,
): Promise<{ ok: true; source: Source } | { ok: false; outcome: Outcome }> {
  const asking = begin(forge.repository());
  const mirror = await freshMirror(run, asking, deps);
  const facts = await asking;
  const head = () => commitOf(mirror, facts.defaultBranch);
  // The mirror may be older than the branch's name.
  const trusted = (await head()) ?? (await fetchNow(run, asking, deps).then(head));
  if (trusted === undefined)
    return {
      ok: false,
      outcome: needsInput("empty repository"),
    };
  const settings = await settingsAt(mirror, trusted);
  return { ok: true, source: { facts, mirror, trusted, settings, passed: passedBefore(run) } };
}

/** Fetched ahead by the worker's own machine, or else with a read token that is revoked at once. */
async function freshMirror(run: Run, facts: Promise<RepositoryFacts>, deps: WorkerDeps): Promise<string> {
  const { job, signal } = run;
  const since = Math.max(job.askedAt ?? Number.POSITIVE_INFINITY, Date.now() - freshMs);
  const mirror = mirrorPath(deps.dataDir, String(job.repo.id));
  return (await fetchedSince(mirror, since, signal)) ? mirror : fetchNow(run, facts, deps);
}

/** The mirror, as new as the repository is now. */
export async function fetchNow(
  { job, signal, withToken }: Pick<Run, "job" | "signal" | "withToken">,
  facts: RepositoryFacts | Promise<RepositoryFacts>,
  { mirrors, gitEnv }: Pick<WorkerDeps, "mirrors" | "gitEnv">,
): Promise<string> {
  return withToken("read", async (_forge, token) =>
    mirrors.fetch({ key: String(job.repo.id), url: (await facts).cloneUrl, token, env: gitEnv }, signal),
  );
}

function passedBefore(run: Run): Source["passed"] {
  const gate = lastEvent(run.log.events, "gate");
  const base = lastEvent(run.log.events, "base");
  if (gate?.passed !== true || gate.verdict === undefined || base === undefined) return undefined;
  return { base: base.commit, change: { ...gate, verdict: verdictOf(gate.verdict, gate.checks) } };
}

/** What each kind of run says of its own work. */
type Work = Omit<
  SolveTask,
  "runId" | "log" | "signal" | "mirror" | "trusted" | "repo" | "inbox" | "showRead" | "progress"
> &
  Partial<Pick<SolveTask, "progress">>;

/** Lets a run work on a commit of its source; a change that a former worker recorded as passed is not made again. */
export async function solveOn(run: Run, deps: WorkerDeps, source: Source, work: Work): Promise<AttemptResult> {
  if (source.passed !== undefined) return { ok: true, passed: source.passed.change };
  const { job, log, signal } = run;
  const { mirror, trusted } = source;
  const task = {
    runId: job.runId,
    log,
    signal,
    mirror,
    trusted,
    repo: `${job.repo.owner}/${job.repo.name}`,
    inbox: () => run.inboxMessages(),
    showRead: (id: number) => deps.host.forge(job.repo, "report").react({ kind: "comment", id }, "eyes"),
    progress: () => {},
    ...work,
  };
  return solve(task, deps);
}
