import { fencedText, inlineCode } from "../../src/text.ts";
import { readChanges } from "../../sandbox/changes.ts";
import type { Change } from "../../sandbox/changes.ts";
import type { OneShotResult } from "../../sandbox/engine.ts";
import { openEgress } from "../../sandbox/network.ts";
import type { Egress } from "../../sandbox/network.ts";
import { copyWorkspace, repoDir } from "../../sandbox/workspace.ts";
import type { Workspace } from "../../sandbox/workspace.ts";
import type { AttemptTask } from "../attempt.ts";
import { assertKept, diskLimit, sandboxLimits } from "../container.ts";
import { hostsOfBase, scriptsOff } from "../dependencies.ts";
import { needsInput } from "../outcome.ts";
import type { Outcome, Tools } from "../run.ts";
import { runSetupCommand } from "../setup.ts";
import type { Ran } from "../setup.ts";

const changeLimits = { maxFiles: 1000, maxBytes: 32 * 2 ** 20 };
const questionLimitMs = 10 * 60_000;
const mostAnswer = 16 * 2 ** 20;

/** A copy of the prepared base with the set-up network, for what is updated before any agent starts. */
export interface UpdatePlace extends AsyncDisposable {
  /** Runs a command as set-up's are run, without install scripts. It goes into the log. */
  run(command: string): Promise<Ran>;
  /** What a shell script prints there, on standard output alone. */
  ask(script: string, args: readonly string[]): Promise<OneShotResult>;
  /** What all that changed, against the base; files that git ignores are left out. */
  changes(): Promise<{ ok: true; changes: Change[] } | { ok: false; outcome: Outcome }>;
}

export async function openUpdate(
  task: Pick<AttemptTask, "runId" | "base" | "sources" | "prepared" | "signal">,
  tools: Tools,
): Promise<UpdatePlace> {
  const { runId: run, base: commit, sources, prepared, signal } = task;
  await using stack = new AsyncDisposableStack();
  const below = await tools.kept.base(prepared.setup.sources.mirror, prepared.setup.sources, prepared.setup.setupAt);
  const hosts = await hostsOfBase(prepared.setup, below, tools);
  const workspace = stack.use(await copyWorkspace(tools.engine, prepared.tree, { run, sources, commit }, signal));
  const egress = stack.use(openEgress({ hosts, ...tools.egress }));
  const { environment } = prepared.setup;
  const setup = { ...prepared.setup, environment: { ...environment, env: { ...environment.env, ...scriptsOff } } };
  const owned = stack.move();
  return {
    run: (command) => runSetupCommand(setup, tools, { command, workspace, egress, hosts }),
    ask: (script, args) => askIn(task, tools, { workspace, egress, script, args }),
    async changes() {
      const read = await readChanges(tools.engine, workspace, changeLimits, signal);
      if (read.kind === "changes") return { ok: true, changes: read.changes };
      return { ok: false, outcome: needsInput("update failed", fencedText(read.reasons.join("\n"))) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function askIn(
  { runId, prepared, signal }: Pick<AttemptTask, "runId" | "prepared" | "signal">,
  { engine }: Tools,
  {
    workspace,
    egress,
    script,
    args,
  }: { workspace: Workspace; egress: Egress; script: string; args: readonly string[] },
): Promise<OneShotResult> {
  const { image, environment } = prepared;
  const spec = {
    image,
    command: ["/bin/sh", "-c", script, "agent-fix", ...args],
    labels: { run: runId, role: "update" },
    mounts: workspace.mounts,
    cwd: repoDir,
    env: { ...environment.env, ...scriptsOff },
    limits: sandboxLimits,
    disk: diskLimit(workspace),
    timeoutMs: questionLimitMs,
    maxStdoutBytes: mostAnswer,
    network: { egress },
  };
  const asked = await engine.runOnce(spec, signal);
  signal.throwIfAborted();
  assertKept(asked, "the question for newer versions");
  return asked;
}

/** Runs a task's own commands, one after the other; what fails is for a person to mend. */
export async function runUpdates(place: UpdatePlace, commands: readonly string[]): Promise<Outcome | undefined> {
  for (const command of commands) {
    const ran = await place.run(command);
    if (!ran.ok) return updateFailed(command, ran);
  }
  return undefined;
}

export function updateFailed(command: string, { how, output, refused }: Extract<Ran, { ok: false }>): Outcome {
  const names = refused.map(inlineCode).join(", ");
  const hosts =
    refused.length === 0
      ? ""
      : `\n\nThe set-up network refused: ${names}. Hosts that it needs go under \`network: {setup: [auto, HOST]}\`.`;
  return needsInput("update failed", `${inlineCode(command)} failed (${how}).${hosts}\n\n${fencedText(output)}`);
}
