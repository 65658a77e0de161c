import { fencedText, inlineCode, tailOf } from "../src/text.ts";
import type { OneShotSpec } from "../sandbox/engine.ts";
import { openEgress, refusedHosts } from "../sandbox/network.ts";
import type { Egress } from "../sandbox/network.ts";
import { copyWorkspace, repoDir, sealSetup } from "../sandbox/workspace.ts";
import type { Layered, Workspace } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import { git } from "../sandbox/git.ts";
import { trackedAt } from "../sandbox/tracked.ts";
import type { Environment } from "./detect.ts";
import { assertKept, describeEnd, diskLimit, sandboxLimits } from "./container.ts";
import { needsInput } from "./outcome.ts";
import type { EnvironmentTask } from "./environment.ts";
import { manifestsOf } from "./manifests.ts";
import { readRegistries, readRegistryFiles, registryQuestion } from "./registries.ts";
import type { Outcome, Tools } from "./run.ts";

const setupLimitMs = 20 * 60_000;
/** With more changed files between two commits, a new base is made faster than a run's own tree is moved. */
const nearEnough = 500;

export interface SetupTask extends EnvironmentTask {
  environment: Environment;
  image: string;
  imageId: string;
}

export type AfterSetup = { ok: true; tree: Layered; dispose: () => Promise<void> } | { ok: false; outcome: Outcome };

/**
 * The tree after set-up, at the commit to work on or at one near it. Set-up runs again when the image, its commands, a
 * manifest or a lock file changed; or the commit, when it made something that may come from the commit's own files.
 * `near`: what `nearestBase` finds.
 */
export async function treeAfterSetup(
  task: SetupTask,
  near: Promise<Layered | undefined>,
  tools: Tools,
): Promise<AfterSetup> {
  const { environment, setupAt, base, sources } = task;
  const below = async () => (await near) ?? tools.kept.base(sources.mirror, sources, base);
  if (environment.setup.length === 0) return { ok: true, tree: await below(), dispose: nothing };
  const key = await setupKey(task);
  const kept = await tools.kept.setup(key, setupAt);
  if (kept === undefined) return runAndKeep(task, key, tools);
  await task.log.append({ type: "setup", ok: true, ms: 0, output: "(kept from an earlier run)" });
  const [added] = kept.layers;
  if (kept.bound || added === undefined || !(await fits(task))) return { ok: true, tree: kept, dispose: nothing };
  const { layers, commit } = await below();
  return { ok: true, tree: { layers: [added, ...layers], commit }, dispose: nothing };
}

async function nothing(): Promise<void> {}

/** What set-up may depend on, as one text. */
async function setupKey({ sources, imageId, environment, setupAt }: SetupTask): Promise<string> {
  const manifests = await manifestsOf(sources.mirror, setupAt);
  const { setup, env } = environment;
  const files = manifests.map(({ path, oid }) => [path, oid]);
  return JSON.stringify([sources.mirror, imageId, setup, env, files, await trackedAmongAdded(sources, setupAt)]);
}

/** Whether what set-up added hides nothing of the commit to work on. */
async function fits({ sources, setupAt, base }: SetupTask): Promise<boolean> {
  if (setupAt === base) return true;
  const [before, after] = await Promise.all([setupAt, base].map((commit) => trackedAmongAdded(sources, commit)));
  return before === after;
}

// As in workspace.sh: what set-up adds elsewhere is used for no other commit.
const added =
  /(?:^|\/)(?:node_modules|\.?venv|\.yarn|\.pnpm-store|\.bundle|\.m2|\.gradle|\.cargo)(?:\/|$)|^vendor\/bundle(?:\/|$)/;

/** The files of a commit that stand where set-up adds its own. */
async function trackedAmongAdded(sources: Sources, commit: string): Promise<string> {
  const tracked = [...(await trackedAt(sources, commit))].filter(([path]) => added.test(path));
  return tracked.map(([path, { mode, oid }]) => `${mode} ${oid} ${path}\0`).join("");
}

/** A kept tree at the commit to work on, or at one that differs in few files. */
export async function nearestBase(
  { sources, base }: Pick<SetupTask, "sources" | "base">,
  { kept }: Pick<Tools, "kept">,
): Promise<Layered | undefined> {
  const near = await kept.nearestBase(sources.mirror, base);
  if (near === undefined || near.commit === base) return near;
  return (await distance(sources.mirror, near.commit, base)) <= nearEnough ? near : undefined;
}

async function distance(mirror: string, one: string, other: string): Promise<number> {
  const out = await git(["diff-tree", "-r", "--name-only", "-z", "--no-renames", one, other], { gitDir: mirror });
  return out.reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
}

async function runAndKeep(task: SetupTask, key: string, tools: Tools): Promise<AfterSetup> {
  const { runId: run, sources, setupAt: commit, signal, isDefault } = task;
  const below = await tools.kept.base(sources.mirror, sources, commit);
  const owner = { run, sources, ...(isDefault ? { kept: "setup" } : {}) };
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await copyWorkspace(tools.engine, below, owner, signal));
  const [added] = workspace.layers;
  let isKept = false;
  if (isDefault && added !== undefined) {
    stack.defer(() => (isKept ? nothing() : tools.engine.removeVolume(added.name)));
  }
  const failure = await runSetup(task, workspace, tools);
  if (failure !== undefined) return { ok: false, outcome: failure };
  const sealed = await sealSetup(tools.engine, workspace, signal);
  const { layers } = workspace;
  isKept = isDefault && (await tools.kept.keepSetup(key, { ...sealed, layers, repo: sources.mirror, commit }));
  const owned = stack.move();
  return { ok: true, tree: { layers, commit }, dispose: () => owned.disposeAsync() };
}

async function runSetup(task: SetupTask, workspace: Workspace, tools: Tools): Promise<Outcome | undefined> {
  const hosts = await setupHosts(task, workspace, tools);
  await using egress = openEgress({ hosts, ...tools.egress });
  for (const command of task.environment.setup) {
    const ran = await runSetupCommand(task, tools, { command, workspace, egress, hosts });
    if (!ran.ok) return setupFailed(command, ran);
  }
  return undefined;
}

export type Ran = { ok: true } | { ok: false; how: string; output: string; refused: string[] };

/** One command of set-up, in a container with the set-up network; what it did and was refused goes into the log. */
export async function runSetupCommand(
  { environment, image, log, signal, runId }: SetupTask,
  { engine }: Tools,
  { command, workspace, egress, hosts }: { command: string; workspace: Workspace; egress: Egress; hosts: string[] },
): Promise<Ran> {
  const asked = egress.decisions.length;
  const spec = {
    image,
    command: ["/bin/sh", "-c", command],
    labels: { run: runId, role: "setup" },
    mounts: workspace.mounts,
    cwd: repoDir,
    env: environment.env,
    limits: sandboxLimits,
    disk: diskLimit(workspace),
    timeoutMs: setupLimitMs,
    maxStdoutBytes: 1_000_000,
    network: { egress },
  };
  const result = await engine.runOnce(spec, signal);
  signal.throwIfAborted();
  assertKept(result, `\`${command}\``);
  const ok = result.end === "exited" && result.code === 0;
  const output = tailOf(result.output.text, 4000);
  const ms = Math.round(result.durationMs);
  await log.append({ type: "setup", ok, ms, output: `$ ${command}\n${output}` });
  const refused = refusedHosts(egress.decisions.slice(asked));
  await log.append({ type: "network", command, hosts, refused });
  return ok ? { ok } : { ok, how: describeEnd(result), output, refused };
}

/** What set-up may reach: the hosts of the settings, and for `auto` those that the package managers are configured with. */
export async function setupHosts(task: SetupTask, workspace: Workspace, tools: Tools): Promise<string[]> {
  const wanted = task.settings.network.setup;
  const exact = wanted.filter((host) => host !== "auto");
  if (!wanted.includes("auto")) return exact;
  const manifests = await manifestsOf(task.sources.mirror, task.setupAt);
  const files = await readRegistryFiles(task.sources.mirror, manifests);
  const ask = (command: string[], network: OneShotSpec["network"] = "none") =>
    askRegistries(task, tools, { command, mounts: workspace.mounts, network });
  const first = await ask(registryQuestion());
  let found = readRegistries(first, { files, manifests });
  if (found.askAgain.length > 0) {
    await using egress = openEgress({ hosts: found.hosts, ...tools.egress });
    const more = await ask(registryQuestion(found.askAgain), { egress });
    found = readRegistries(first + more, { files, manifests });
  }
  // Who names hosts has followed what the notes advise.
  for (const text of exact.length === 0 ? found.notes : []) await task.log.append({ type: "note", text });
  return [...new Set([...exact, ...found.hosts])];
}

/** Asked in the run's own image, on the commit for set-up: the package managers know their registries best. */
async function askRegistries(
  { image, environment, runId, signal }: SetupTask,
  { engine }: Tools,
  question: Pick<OneShotSpec, "command" | "mounts" | "network">,
): Promise<string> {
  const spec = {
    image,
    labels: { run: runId, role: "registries" },
    cwd: repoDir,
    env: environment.env,
    limits: sandboxLimits,
    timeoutMs: 120_000,
    maxStdoutBytes: 64_000,
  };
  const asked = await engine.runOnce({ ...spec, ...question }, signal);
  signal.throwIfAborted();
  assertKept(asked, "the question for registries");
  return asked.stdout.toString("utf8");
}

function setupFailed(command: string, { how, output, refused }: Extract<Ran, { ok: false }>): Outcome {
  const names = refused.map(inlineCode).join(", ");
  const hosts =
    refused.length === 0
      ? ""
      : `\n\nThe set-up network refused: ${names}. Hosts that the set-up needs go under \`network: {setup: [auto, HOST]}\`.`;
  return needsInput(
    "set-up failed",
    `${inlineCode(command)} failed (${how}). Set-up runs as user 1000 without root: system packages belong in the image.${hosts}\n\n${fencedText(output)}`,
  );
}
