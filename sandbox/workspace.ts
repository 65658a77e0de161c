import { readFileSync } from "node:fs";
import { listLeftovers, type SetupFile } from "./changes.ts";
import type { Engine, Mount } from "./engine.ts";
import { helperFailure, runHelper } from "./helper.ts";

/** Where a run's objects come from. Both must be readable by other users, since helpers run as user 1000. */
export interface Sources {
  /** Absolute path of a bare repository on the host. Only its `objects` are mounted, read-only. */
  mirror: string;
  /** Further `objects` folders on the host. */
  extraObjects?: string[];
}

/** A run's files: one volume at /workspace with the tree in `repo` and HOME in `home`. Disposing removes it. */
export interface Workspace extends AsyncDisposable {
  readonly run: string;
  readonly volume: string;
  readonly commit: string;
  readonly sources: Sources;
  /** The volume at /workspace, and the objects, read-only. */
  readonly mounts: Mount[];
  /** What set-up left behind beside tracked and ignored files: no change of the agent's. Set by `sealSetup`. */
  setupFiles: SetupFile[];
}

export const repoDir = "/workspace/repo";

const script = readFileSync(new URL("workspace.sh", import.meta.url), "utf8");
const limitMs = 900_000;

/** A new volume with the tree at `commit`: a real .git, HEAD detached, no remotes, nothing changed. */
export async function createWorkspace(
  engine: Engine,
  { run, sources, commit }: { run: string; sources: Sources; commit: string },
  signal?: AbortSignal,
): Promise<Workspace> {
  const workspace = await newWorkspace(engine, { run, sources, commit });
  return filled(workspace, () => work(engine, workspace, { verb: "create", before: "" }, signal));
}

/**
 * A new volume with everything that is in `from`. With `commit`, tracked files become exactly those of that commit;
 * untracked and ignored ones (node_modules) stay as they are in `from`, and .git is made anew.
 */
export async function copyWorkspace(
  engine: Engine,
  from: Workspace,
  { run, sources, commit }: { run: string; sources: Sources; commit?: string },
  signal?: AbortSignal,
): Promise<Workspace> {
  const workspace = await newWorkspace(engine, { run, sources, commit: commit ?? from.commit });
  workspace.setupFiles = from.setupFiles;
  const verb = commit === undefined ? "copy" : "reset";
  const origin: Mount = { volume: from.volume, at: "/from", readOnly: true };
  return filled(workspace, () => work(engine, workspace, { verb, before: from.commit, mounts: [origin] }, signal));
}

/**
 * To be called when set-up has run: tracked files go back to the commit, .git is made anew, and what set-up added
 * beside tracked and ignored files is noted, so that it is not taken for the agent's change.
 */
export async function sealSetup(engine: Engine, workspace: Workspace, signal?: AbortSignal): Promise<void> {
  await work(engine, workspace, { verb: "seal", before: workspace.commit }, signal);
  workspace.setupFiles = await listLeftovers(engine, workspace, signal);
}

async function newWorkspace(
  engine: Engine,
  { run, sources, commit }: { run: string; sources: Sources; commit: string },
): Promise<Workspace> {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) throw new Error(`"${commit}" is no full commit id`);
  const { name: volume } = await engine.createVolume({ run, role: "workspace" });
  const folders = [`${sources.mirror}/objects`, ...(sources.extraObjects ?? [])];
  const objects = folders.map((hostDir, index) => ({ hostDir, at: `/mirror/${index}`, readOnly: true }) as const);
  return {
    run,
    volume,
    commit,
    sources,
    mounts: [{ volume, at: "/workspace" }, ...objects],
    setupFiles: [],
    [Symbol.asyncDispose]: () => engine.removeVolume(volume),
  };
}

async function filled(workspace: Workspace, fill: () => Promise<void>): Promise<Workspace> {
  try {
    await fill();
    return workspace;
  } catch (error) {
    await workspace[Symbol.asyncDispose]();
    throw error;
  }
}

async function work(
  engine: Engine,
  workspace: Workspace,
  { verb, before, mounts = [] }: { verb: string; before: string; mounts?: Mount[] },
  signal?: AbortSignal,
): Promise<void> {
  const { run, commit } = workspace;
  const result = await runHelper(
    engine,
    {
      run,
      role: "workspace",
      script,
      args: [verb, commit, before, ...objectFolders(workspace)],
      mounts: [...workspace.mounts, ...mounts],
      timeoutMs: limitMs,
      maxStdoutBytes: 10_000,
    },
    signal,
  );
  if (result.end === "exited" && result.code === 0) return;
  if (result.end === "exited" && result.code === 64) {
    throw new Error(
      `Commit ${commit} can't be read in ${workspace.sources.mirror}: fetch it, and let others read the folder (chmod -R go+rX).`,
    );
  }
  throw helperFailure(`${verb} the workspace at ${commit}`, result);
}

/** Where the objects are inside. */
function objectFolders(workspace: Workspace): string[] {
  return workspace.mounts.filter((mount) => "hostDir" in mount).map((mount) => mount.at);
}
