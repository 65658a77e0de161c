import type { InboxMessage } from "../src/inbox.ts";
import type { RunLog } from "../src/runlog.ts";
import { fencedText } from "../src/text.ts";
import { defaultSettings, parseSettings, settingsPath } from "../src/settings.ts";
import type { Settings } from "../src/settings.ts";
import type { Message } from "./agent/model.ts";
import { repoDir } from "../sandbox/workspace.ts";
import { createNonce } from "./attempt.ts";
import type { AttemptResult, AttemptTask, TaskKind } from "./attempt.ts";
import { brokenBase, createBaselines, describeBaseline, nothingMeasured, startBaseline } from "./baseline.ts";
import type { Baseline } from "./baseline.ts";
import { attemptBegun } from "./begun.ts";
import type { Begun } from "./begun.ts";
import { commitOf, createRunRepository, forkOf, readCommit } from "./checkout.ts";
import { installCarried } from "./dependencies.ts";
import { planOutcome } from "./endings.ts";
import { baseLeg, recordTo } from "./gate.ts";
import { prepareEnvironment } from "./environment.ts";
import type { Prepared, PreparedResult } from "./environment.ts";
import { readInstructions } from "./instructions.ts";
import { createLedger } from "./ledger.ts";
import { needsInput } from "./outcome.ts";
import type { RepositoryContext } from "./prompts/context.ts";
import type { Failed } from "./prompts/maintenance.ts";
import type { Tools } from "./run.ts";

export interface SolveTask {
  runId: string;
  kind: TaskKind;
  /** Whether a written plan is wanted, and no change, by what the settings say. */
  planOnly?: (settings: Settings) => boolean;
  /** How a submission ends a run that never changes anything. */
  readOnly?: AttemptTask["readOnly"];
  replies?: AttemptTask["replies"];
  given?: AttemptTask["given"];
  goesOnFrom?: AttemptTask["goesOnFrom"];
  merging?: AttemptTask["merging"];
  whenPassed?: AttemptTask["whenPassed"];
  paths?: AttemptTask["paths"];
  /** What the harness does of the task by itself, on the prepared base. */
  begin?: (at: AttemptTask) => Promise<Begun>;
  log: RunLog;
  signal: AbortSignal;
  mirror: string;
  /** The commit that settings, instructions and checks are read from. */
  trusted: string;
  /** The commit to work on: the trusted one, or the head of our own pull request. */
  base: string;
  branch: string;
  /** The repository's name for the prompt. */
  repo: string;
  messages(context: RepositoryContext, planOnly: boolean, failed: Failed | undefined): Message[];
  /** Told when there is news in the log. */
  progress: () => void;
  /** All that reached the run from outside so far, where something can. */
  inbox?: () => Promise<InboxMessage[]>;
  showRead?: AttemptTask["showRead"];
}

/** From a commit to a change that passed the gate, or to the reason why not. Knows no code host. */
export async function solve(task: SolveTask, tools: Tools): Promise<AttemptResult> {
  const { runId, log, signal, mirror, base, progress } = task;
  await log.append({ type: "base", branch: task.branch, commit: base });
  const trusted = await readCommit(mirror, task.trusted);
  const settings = parseSettings((await trusted.read(settingsPath)) ?? "");
  if (!settings.ok)
    return {
      ok: false,
      outcome: needsInput("settings", settings.problems.map((problem) => `- ${problem}`).join("\n")),
    };

  progress();
  const sources = { mirror };
  const setupAt = await setupCommit(task, settings.settings);
  const isDefault = setupAt === task.trusted;
  const commits = { files: trusted, sources, setupAt, isDefault, base };
  const prepareTask = { runId, log, signal, settings: settings.settings, ...commits };
  const environment = await prepareEnvironment(prepareTask, tools);
  if (!environment.ok) return { ok: false, outcome: environment.outcome };
  await using installed = environment.prepared;
  const carried = await withCarried(installed, tools);
  if (!carried.ok) return { ok: false, outcome: carried.outcome };
  await using prepared = carried.prepared;

  const leg = { ...baseLeg({ runId, log, base, sources, signal, prepared }), onCheck: recordTo(task, "base") };
  const { imageId } = prepared.setup;
  const onMeasured = ({ results }: Baseline) => log.append({ type: "checks", leg: "base", results });
  const baselines = createBaselines(tools.dataDir);
  const ledger = createLedger(tools.dataDir, mirror);
  await using measuring =
    task.kind === "question"
      ? nothingMeasured()
      : await startBaseline({ engine: tools.engine, baselines, ledger }, { leg, imageId, onMeasured });
  const known = measuring.done();
  if (known?.broken !== undefined) return { ok: false, outcome: brokenBase(known.broken) };

  const repository = await createRunRepository(log.dir, mirror);
  const told = known && describeBaseline(known);
  const instructions = await readInstructions(trusted);
  const nonce = createNonce();
  const hosts = settings.settings.network.agent;
  const context = { repo: task.repo, root: repoDir, checks: leg.checks, baseline: told, hosts, instructions, nonce };
  const planOnly = task.planOnly?.(settings.settings) ?? false;
  const messages = (contextTokens: number, failed?: Failed) =>
    task.messages({ ...context, contextTokens }, planOnly, failed);
  const readOnly = planOnly ? planOutcome : task.readOnly;
  const at = {
    ...task,
    readOnly,
    settings: settings.settings,
    sources,
    repository,
    prepared,
    measuring,
    ledger,
    messages,
  };
  const begun = await task.begin?.(at);
  return await attemptBegun(at, tools, begun ?? { kind: "nothing" });
}

/** Brings about the dependencies that our own pull request changed already; what can't be had is for a person to mend. */
async function withCarried(prepared: Prepared, tools: Tools): Promise<PreparedResult> {
  const found = await installCarried({ ...prepared.setup, tree: prepared.tree }, tools);
  if (found?.kind === "needs-input") return { ok: false, outcome: found.outcome };
  if (found?.kind === "rejected") {
    return { ok: false, outcome: needsInput("dependencies", `${found.reason}.\n\n${fencedText(found.output)}`) };
  }
  const tree = found?.dependencies.tree ?? prepared.tree;
  const dispose = async () => found?.dependencies.dispose();
  return { ok: true, prepared: { ...prepared, tree, [Symbol.asyncDispose]: dispose } };
}

/**
 * The commit that set-up runs on, with network: where the work left the base branch. Our own pull request holds what an
 * agent wrote, so its manifests, registries and install scripts reach no network.
 */
async function setupCommit({ mirror, trusted, base }: SolveTask, settings: Settings): Promise<string> {
  if (base === trusted) return base;
  const branch = settings.base === undefined ? undefined : await commitOf(mirror, settings.base);
  // After a force-push the base branch may have nothing in common with the pull request.
  return (await forkOf(mirror, branch ?? trusted, base)) ?? trusted;
}

/** The repository's settings at a commit; the defaults where it has none or unusable ones. */
export async function settingsAt(mirror: string, commit: string): Promise<Settings> {
  const parsed = parseSettings((await (await readCommit(mirror, commit)).read(settingsPath)) ?? "");
  return parsed.ok ? parsed.settings : defaultSettings;
}
