import { plainText } from "../src/text.ts";
import type { Change } from "../sandbox/changes.ts";
import { openEgress } from "../sandbox/network.ts";
import { copyForSetup, copyWorkspace, sealSetup } from "../sandbox/workspace.ts";
import type { Layered } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import { readCommit } from "./checkout.ts";
import { needsInput } from "./outcome.ts";
import { isManifest } from "./manifests.ts";
import { packageChanges } from "./packages.ts";
import { changesBetween } from "./rebuild.ts";
import type { Outcome, Tools } from "./run.ts";
import { runSetupCommand, setupHosts } from "./setup.ts";
import type { SetupTask } from "./setup.ts";

/**
 * No install script of a package that a change brings runs, and none of the change's own settings can turn them on: the
 * environment wins over them. Names from the documentation of npm (pnpm and Yarn 1 read them too), Yarn, pip, uv, Poetry.
 */
export const scriptsOff = {
  npm_config_ignore_scripts: "true",
  npm_config_ignore_pnpmfile: "true",
  pnpm_config_ignore_scripts: "true",
  pnpm_config_ignore_pnpmfile: "true",
  YARN_ENABLE_SCRIPTS: "false",
  YARN_IGNORE_PATH: "1",
  PIP_ONLY_BINARY: ":all:",
  UV_NO_BUILD: "1",
  POETRY_INSTALLER_ONLY_BINARY: ":all:",
};

export interface ChangedDependencies {
  /** The tree with what the change asks for, at its commit. */
  tree: Layered;
  /** New packages whose install script did not run. */
  scripted: string[];
  dispose: () => Promise<void>;
}
export type Installed =
  | { kind: "installed"; dependencies: ChangedDependencies }
  | { kind: "rejected"; reason: string; output: string }
  | { kind: "needs-input"; outcome: Outcome };

export interface DependencyTask extends SetupTask {
  /** The rebuilt change, and where its objects are. */
  commit: string;
  changes: readonly Change[];
  changeSources: Sources;
  /** The tree after the base's set-up, for a repository that needs none. */
  tree: Layered;
}

/** Whether a change touches a manifest or a lock file, so that what set-up installed may not be what it needs. */
export function changesDependencies(changes: readonly Change[]): boolean {
  return changes.some(({ path }) => isManifest(path));
}

/**
 * Installs what a change asks for: the default branch's own set-up commands on the rebuilt commit, from the registries that
 * the base uses, with install scripts off. It is kept for no other run.
 */
export async function installChanged(task: DependencyTask, tools: Tools): Promise<Installed> {
  const { runId: run, commit, changeSources: sources, signal, environment } = task;
  const scripted = await tellPackages(task);
  if (environment.setup.length === 0) {
    return { kind: "installed", dependencies: { tree: task.tree, scripted: [], dispose: async () => {} } };
  }
  const below = await tools.kept.base(task.sources.mirror, task.sources, task.setupAt);
  await using stack = new AsyncDisposableStack();
  const hosts = await hostsOfBase(task, below, tools);
  const workspace = stack.use(await copyForSetup(tools.engine, below, { run, sources, commit }, signal));
  await using egress = openEgress({ hosts, ...tools.egress });
  for (const command of environment.setup) {
    const env = { ...environment.env, ...scriptsOff };
    const ran = await runSetupCommand({ ...task, environment: { ...environment, env } }, tools, {
      command,
      workspace,
      egress,
      hosts,
    });
    if (ran.ok) continue;
    if (scripted.length > 0) return { kind: "needs-input", outcome: needsScripts(scripted) };
    const refused = ran.refused.length === 0 ? "" : `\nThe set-up network refused: ${ran.refused.join(", ")}`;
    return {
      kind: "rejected",
      reason: `\`${command}\` fails with the changed dependencies (${ran.how})`,
      output: `${ran.output}${refused}`,
    };
  }
  await sealSetup(tools.engine, workspace, signal);
  const owned = stack.move();
  return { kind: "installed", dependencies: { tree: workspace, scripted, dispose: () => owned.disposeAsync() } };
}

/** The same for what our own pull request had changed before this run; undefined where it changed no dependency. */
export async function installCarried(
  task: SetupTask & { tree: Layered },
  tools: Tools,
): Promise<Installed | undefined> {
  const { setupAt, base, sources } = task;
  if (setupAt === base) return undefined;
  const changes = await changesBetween(sources.mirror, setupAt, base);
  if (!changesDependencies(changes)) return undefined;
  return installChanged({ ...task, base: setupAt, commit: base, changes, changeSources: sources }, tools);
}

/** The registries are asked on the base, of which `below` is the tree: what a change configures counts for nothing. */
export async function hostsOfBase(task: SetupTask, below: Layered, tools: Tools): Promise<string[]> {
  const { runId: run, sources } = task;
  await using workspace = await copyWorkspace(tools.engine, below, { run, sources }, task.signal);
  return await setupHosts(task, workspace, tools);
}

/** Writes the new and changed packages into the log; returns those that bring an install script. */
async function tellPackages({ sources, base, changes, log }: DependencyTask): Promise<string[]> {
  const files = await readCommit(sources.mirror, base);
  const touched = changes.filter(({ path }) => isManifest(path));
  const before = await Promise.all(touched.map(async ({ path }) => ({ path, text: (await files.read(path)) ?? "" })));
  const after = touched.map((change) => ({
    path: change.path,
    text: change.mode === "deleted" ? "" : change.bytes.toString("utf8"),
  }));
  const found = packageChanges(before, after);
  await log.append({ type: "dependencies", ...found });
  return found.packages.filter(({ script }) => script).map(({ name }) => name);
}

/** A person has to say whether such a package is wanted: its script would run with network. */
export function needsScripts(names: readonly string[]): Outcome {
  const listed = names.slice(0, 10).map((name) => `\`${plainText(name, 160).replaceAll("`", " ")}\``);
  return needsInput(
    "install script",
    `The change brings ${listed.join(", ")}, which ${names.length === 1 ? "has" : "have"} an install script, and without it the change does not pass. Set-up on the default branch runs scripts.`,
  );
}
