import { OutageError } from "../src/errors.ts";
import type { RunLog } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { settingsPath } from "../src/settings.ts";
import { tailOf } from "../src/text.ts";
import type { Engine } from "../sandbox/engine.ts";
import { ImageMissing } from "../sandbox/docker.ts";
import { openEgress } from "../sandbox/network.ts";
import { copyWorkspace, createWorkspace, repoDir, sealSetup } from "../sandbox/workspace.ts";
import type { Sources, Workspace } from "../sandbox/workspace.ts";
import { detectEnvironment } from "./detect.ts";
import type { Environment } from "./detect.ts";
import type { CommitFiles } from "./checkout.ts";
import type { Outcome, Tools } from "./run.ts";

/** A machine of the size that one run may use. */
export const sandboxLimits = { memoryBytes: 4 * 2 ** 30, cpus: 2, pids: 1024 };

const setupLimitMs = 20 * 60_000;

export interface EnvironmentTask {
  runId: string;
  log: RunLog;
  signal: AbortSignal;
  settings: Settings;
  files: CommitFiles;
  sources: Sources;
  /** The commit that set-up runs on. It holds nothing that an agent wrote: set-up has network. */
  setupAt: string;
  /** The commit to work on. */
  base: string;
}
export interface Prepared extends AsyncDisposable {
  environment: Environment;
  image: string;
  /** The base commit after set-up; every later container starts from a copy of it. */
  workspace: Workspace;
}
export type PreparedResult = { ok: true; prepared: Prepared } | { ok: false; outcome: Outcome };

/**
 * Runs the set-up commands in the set-up network on the commit for set-up, and brings what they made to the base. What
 * the repository lacks is an outcome.
 */
export async function prepareEnvironment(task: EnvironmentTask, tools: Tools): Promise<PreparedResult> {
  const { log, signal, settings } = task;
  const environment = await detectEnvironment(task.files, settings);
  if (environment.checks.length === 0) return { ok: false, outcome: noChecks() };
  const image = environment.image ?? tools.image;
  const found = await findImage(tools.engine, image, signal);
  if (!found.ok) return { ok: false, outcome: needsInput("image missing", found.reason) };
  const { setup, checks, from } = environment;
  await log.append({
    type: "environment",
    image,
    digest: found.id,
    setup,
    checks: checks.map((check) => check.run),
    from,
  });

  const { runId: run, sources, setupAt, base } = task;
  await using stack = new AsyncDisposableStack();
  const installed = stack.use(await createWorkspace(tools.engine, { run, sources, commit: setupAt }, signal));
  const failure = await runSetup({ ...task, environment, image, workspace: installed }, tools);
  if (failure !== undefined) return { ok: false, outcome: failure };
  const workspace = setupAt === base ? installed : await bringToBase(installed, task, tools.engine);
  if (workspace === installed) stack.move();
  return {
    ok: true,
    prepared: { environment, image, workspace, [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose]() },
  };
}

async function bringToBase(
  installed: Workspace,
  { runId: run, sources, base, signal }: EnvironmentTask,
  engine: Engine,
): Promise<Workspace> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await copyWorkspace(engine, installed, { run, sources, commit: base }, signal));
  await sealSetup(engine, workspace, signal);
  stack.move();
  return workspace;
}

async function runSetup(
  task: EnvironmentTask & { environment: Environment; image: string; workspace: Workspace },
  tools: Tools,
): Promise<Outcome | undefined> {
  const { environment, image, workspace, log, signal, runId } = task;
  if (environment.setup.length === 0) return undefined;
  const hosts = await setupHosts(task, tools);
  await using egress = await openEgress({ hosts, ...tools.egress }, log.dir);
  for (const command of environment.setup) {
    const started = performance.now();
    const result = await tools.engine.runOnce(
      {
        image,
        command: ["/bin/sh", "-c", command],
        labels: { run: runId, role: "setup" },
        mounts: workspace.mounts,
        cwd: repoDir,
        limits: sandboxLimits,
        timeoutMs: setupLimitMs,
        maxStdoutBytes: 1_000_000,
        network: { egress },
      },
      signal,
    );
    signal.throwIfAborted();
    assertKept(result, `\`${command}\``);
    const ok = result.end === "exited" && result.code === 0;
    const output = tailOf(result.output.text, 4000);
    await log.append({
      type: "setup",
      ok,
      ms: Math.round(performance.now() - started),
      output: `$ ${command}\n${output}`,
    });
    if (!ok)
      return setupFailed(
        command,
        describeEnd(result),
        output,
        egress.decisions.filter((one) => !one.allowed).map((one) => one.host),
      );
  }
  await sealSetup(tools.engine, workspace, signal);
  return undefined;
}

// Asked in the run's own image, without network, on the commit for set-up: the package managers know their registries best.
const askRegistries = [
  "command -v npm >/dev/null && npm config list --json 2>/dev/null | grep -iE '^ *\"([^\"]*:)?registry\"' | cut -d'\"' -f4",
  "command -v pip3 >/dev/null && python3 -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url); print(PyPI.file_storage_domain)' 2>/dev/null",
  "command -v pip3 >/dev/null && pip3 config get global.index-url 2>/dev/null",
  "command -v go >/dev/null && go env GOPROXY GOSUMDB 2>/dev/null | tr ',|' '\\n\\n'",
  "true",
].join("\n");

async function setupHosts(
  task: EnvironmentTask & { image: string; workspace: Workspace },
  tools: Tools,
): Promise<string[]> {
  const wanted = task.settings.network.setup;
  const exact = wanted.filter((host) => host !== "auto");
  if (!wanted.includes("auto")) return exact;
  const asked = await tools.engine.runOnce(
    {
      image: task.image,
      command: ["/bin/sh", "-c", askRegistries],
      labels: { run: task.runId, role: "registries" },
      mounts: task.workspace.mounts,
      cwd: repoDir,
      limits: sandboxLimits,
      timeoutMs: 60_000,
      maxStdoutBytes: 64_000,
    },
    task.signal,
  );
  task.signal.throwIfAborted();
  assertKept(asked, "the question for registries");
  return [...new Set([...exact, ...hostsIn(asked.stdout.toString("utf8"))])];
}

function hostsIn(text: string): string[] {
  return text.split(/\s+/).flatMap((word) => {
    if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(word)) return [word.toLowerCase()];
    const url = URL.canParse(word) ? new URL(word) : undefined;
    return url?.protocol === "https:" || url?.protocol === "http:" ? [url.hostname] : [];
  });
}

/** Throws OutageError when the container of a step went away: that says nothing about the repository. */
export function assertKept(result: { end: string }, step: string): void {
  if (result.end === "sandbox-lost") throw new OutageError(`the container of ${step} disappeared`);
}

/** An ending in words, for people. */
export function describeEnd(result: { end: string; code?: number }): string {
  switch (result.end) {
    case "exited":
      return result.code === 0 ? "passed" : `exit code ${result.code}`;
    case "timed-out":
      return "stopped at its time limit";
    case "out-of-memory":
      return "ran out of memory";
    default:
      return result.end;
  }
}

async function findImage(
  engine: Engine,
  image: string,
  signal: AbortSignal,
): Promise<{ ok: true; id: string } | { ok: false; reason: string }> {
  try {
    return { ok: true, id: (await engine.ensureImage(image, signal)).id };
  } catch (error) {
    if (error instanceof ImageMissing) return { ok: false, reason: error.message };
    throw error;
  }
}

function noChecks(): Outcome {
  const lines = "```yaml\nchecks:\n  - <the command that runs your tests, such as: npm test>\n```";
  return needsInput(
    "no checks",
    `I found no command that tests this repository, and I open no pull request without one. Add this to \`${settingsPath}\` on the default branch and set the label again:\n\n${lines}`,
  );
}

function setupFailed(command: string, how: string, output: string, refused: string[]): Outcome {
  const hosts =
    refused.length === 0
      ? ""
      : `\n\nThe set-up network refused: ${[...new Set(refused)].map((host) => `\`${host}\``).join(", ")}. Hosts that the set-up needs go under \`network: {setup: [auto, HOST]}\`.`;
  return needsInput(
    "set-up failed",
    `\`${command}\` failed (${how}). Set-up runs as user 1000 without root: system packages belong in the image. Mend the \`setup\` list in \`${settingsPath}\`.${hosts}\n\n\`\`\`\n${output.replaceAll("```", "'''")}\n\`\`\``,
  );
}

/** The repository or its settings lack something that only a person can add. */
export function needsInput(cause: string, detail: string): Outcome {
  return { outcome: "needs-input", cause, detail, pull: undefined };
}
