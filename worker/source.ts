import type { Forge, RepositoryFacts } from "../src/forge.ts";
import { lastEvent } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import type { Passed } from "./attempt.ts";
import { commitOf } from "./checkout.ts";
import { needsInput } from "./outcome.ts";
import type { Outcome, Run, WorkerDeps } from "./run.ts";
import { settingsAt } from "./solve.ts";

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

/** Brings the mirror up to date with a read token that is revoked at once. */
export async function openSource(
  run: Run,
  forge: Forge,
  deps: WorkerDeps,
): Promise<{ ok: true; source: Source } | { ok: false; outcome: Outcome }> {
  const facts = await forge.repository();
  const key = String(run.job.repo.id);
  const mirror = await run.withToken("read", (_forge, token) =>
    deps.mirrors.fetch({ key, url: facts.cloneUrl, token, env: deps.gitEnv }, run.signal),
  );
  const trusted = await commitOf(mirror, facts.defaultBranch);
  if (trusted === undefined)
    return {
      ok: false,
      outcome: needsInput("empty repository", "The repository has no commit yet, so there is nothing to work on."),
    };
  const settings = await settingsAt(mirror, trusted);
  return { ok: true, source: { facts, mirror, trusted, settings, passed: passedBefore(run) } };
}

function passedBefore(run: Run): Source["passed"] {
  const gate = lastEvent(run.log.events, "gate");
  const base = lastEvent(run.log.events, "base");
  return gate?.passed === true && base !== undefined ? { base: base.commit, change: gate } : undefined;
}
