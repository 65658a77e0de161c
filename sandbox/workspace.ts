import { readFileSync } from "node:fs";
import type { Engine, Labels, Mount, Sandbox, VolumeLabels } from "./engine.ts";
import { helperFailure, runHelper } from "./helper.ts";
import { mirrorAt, type Objects, openObjects, type Sources } from "./objects.ts";
import { quote } from "./quote.ts";
import type { Volume } from "./volumes.ts";

/** Files that nobody writes to any more, so that others can stand on them: topmost layer first. */
export interface Layered {
  readonly layers: readonly Volume[];
  /** What the tracked files are. */
  readonly commit: string;
}

/**
 * A run's files at /workspace, with the tree in `repo` and HOME in `home`. Disposing removes what is its own, but for
 * the layer that was made to be kept.
 */
export interface Workspace extends Layered, AsyncDisposable {
  readonly run: string;
  commit: string;
  readonly volume: Volume;
  readonly sources: Sources;
  readonly objects: Objects;
  /** The volume at /workspace, and the objects, read-only. */
  readonly mounts: Mount[];
  /** What is written goes here, when the tree stands on the layers of another. */
  readonly upper: Volume | undefined;
  /** Its own layer holds tracked files. */
  isMoved: boolean;
  /** What it is a copy of, when it has everything itself. */
  readonly copyOf: Volume | undefined;
}

export interface Sealed {
  bytes: number;
  /** It holds what may have been made from the commit's own files, so it fits no other commit. */
  bound: boolean;
}

export const repoDir = "/workspace/repo";

const script = readFileSync(new URL("workspace.sh", import.meta.url), "utf8");
const limitMs = 900_000;

interface Owner {
  run: string;
  sources: Sources;
}

/** A new volume with the tree at `commit`: a real .git, HEAD detached, no remotes, nothing changed. */
export async function createWorkspace(
  engine: Engine,
  { run, sources, commit }: Owner & { commit: string },
  signal?: AbortSignal,
): Promise<Workspace> {
  assertCommit(commit);
  const workspace = await plain(engine, { run, sources, commit, labels: { run, role: "workspace" } }, signal);
  return filled(workspace, async () => {
    await workspace.objects.send(commit, signal);
    await work(engine, workspace, { verb: "create" }, signal);
  });
}

/** The same for many runs to stand on: it belongs to none, and stays. */
export async function createBase(
  engine: Engine,
  { sources, commit }: { sources: Sources; commit: string },
  signal?: AbortSignal,
): Promise<{ volume: Volume; bytes: number }> {
  assertCommit(commit);
  const workspace = await plain(engine, { run: "~base", sources, commit, labels: { kept: "base" } }, signal);
  let bytes = 0;
  await filled(workspace, async () => {
    await workspace.objects.send(commit, signal);
    bytes = (await work(engine, workspace, { verb: "create" }, signal)).bytes;
  });
  await workspace.objects[Symbol.asyncDispose]();
  return { volume: workspace.volume, bytes };
}

/**
 * A new tree with everything that is in `from`, which must not be written to meanwhile. With `commit`, tracked files
 * become exactly those of that commit; untracked and ignored ones (node_modules) stay as they are in `from`. With
 * `kept`, what is written into it can outlive the run.
 */
export async function copyWorkspace(
  engine: Engine,
  from: Layered,
  { run, sources, commit, kept }: Owner & { commit?: string; kept?: string },
  signal?: AbortSignal,
): Promise<Workspace> {
  if (commit !== undefined) assertCommit(commit);
  const owner = { run, sources, commit: from.commit };
  if ((await engine.trees()) === "copy") {
    const [origin] = from.layers;
    if (origin === undefined) throw new Error("There is no layer to copy");
    const labels = kept === undefined ? { run, role: "workspace" } : { kept };
    const parts = { ...owner, commit: commit ?? from.commit, labels, copyOf: origin, kept };
    const workspace = await plain(engine, parts, signal);
    const verb = commit === undefined ? "copy" : "reset";
    const mounts: Mount[] = [{ volume: origin.name, at: "/from", readOnly: true }];
    return filled(workspace, async () => {
      await workspace.objects.send(workspace.commit, signal);
      await work(engine, workspace, { verb, before: from.commit, mounts }, signal);
    });
  }
  const workspace = await stacked(engine, from, { ...owner, kept }, signal);
  if (commit === undefined || (commit === from.commit && sources.extraObjects === undefined)) return workspace;
  return filled(workspace, () => moveTo(engine, workspace, commit, signal));
}

/**
 * The same for set-up, whose layer is to hold nothing but what set-up adds: where tracked files have to be moved to the
 * commit, they are in a layer between.
 */
export async function copyForSetup(
  engine: Engine,
  from: Layered,
  { commit, ...owner }: Owner & { commit: string; kept?: string },
  signal?: AbortSignal,
): Promise<Workspace> {
  const { run, sources } = owner;
  if (commit === from.commit && sources.extraObjects === undefined) return copyWorkspace(engine, from, owner, signal);
  await using stack = new AsyncDisposableStack();
  const moved = stack.use(await copyWorkspace(engine, from, { run, sources, commit }, signal));
  const workspace = stack.use(await copyWorkspace(engine, moved, owner, signal));
  const owned = stack.move();
  return { ...workspace, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Makes tracked files those of another commit: in the sandbox, if its image has git, else in a helper. */
export async function moveInside(
  engine: Engine,
  { workspace, sandbox }: { workspace: Workspace; sandbox: Sandbox },
  commit: string,
  signal?: AbortSignal,
): Promise<void> {
  if (workspace.commit === commit) return;
  assertCommit(commit);
  // Between two commits git looks at what differs alone; where something is in the way, it looks at everything.
  const command = `command -v git >/dev/null || exit 127
    git read-tree -m -u ${workspace.commit} ${commit} 2>/dev/null || git read-tree -u --reset ${commit} || exit
    echo ${commit} >.git/HEAD`;
  await workspace.objects.send(commit, signal);
  const options = { cwd: repoDir, timeoutMs: limitMs, ...(signal === undefined ? {} : { signal }) };
  const ran = await sandbox.exec(`cd ${quote(repoDir)} && ${command}`, options);
  signal?.throwIfAborted();
  if (ran.end === "exited" && ran.code === 0) workspace.commit = commit;
  else await moveTo(engine, workspace, commit, signal);
}

/**
 * To be called when set-up has run: tracked files go back to the commit and .git to what it was. What set-up added stays,
 * for others to stand on.
 */
export async function sealSetup(engine: Engine, workspace: Workspace, signal?: AbortSignal): Promise<Sealed> {
  const { upper, commit } = workspace;
  if (workspace.isMoved) throw new Error("Set-up's layer holds tracked files: it was to be opened by copyForSetup");
  if (upper === undefined) {
    await work(engine, workspace, { verb: "seal", before: commit }, signal);
    return { bytes: 0, bound: true };
  }
  const own: Mount[] = [{ volume: upper.name, at: "/upper" }, ...workspace.mounts.slice(1)];
  const cleaned = await work(engine, { ...workspace, mounts: own }, { verb: "clean" }, signal);
  const verified = await work(engine, workspace, { verb: "verify" }, signal);
  return { bytes: cleaned.bytes, bound: cleaned.bound || verified.bound };
}

async function moveTo(engine: Engine, workspace: Workspace, commit: string, signal?: AbortSignal): Promise<void> {
  await workspace.objects.send(commit, signal);
  await work(engine, { ...workspace, commit }, { verb: "move", before: workspace.commit }, signal);
  workspace.commit = commit;
  workspace.isMoved = workspace.upper !== undefined;
}

function assertCommit(commit: string): void {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) throw new Error(`"${commit}" is no full commit id`);
}

interface PlainParts extends Owner {
  commit: string;
  labels: VolumeLabels;
  copyOf?: Volume;
  kept?: string | undefined;
}

/** One that has everything itself. */
async function plain(
  engine: Engine,
  { run, sources, commit, labels, copyOf, kept }: PlainParts,
  signal?: AbortSignal,
): Promise<Workspace> {
  await using stack = new AsyncDisposableStack();
  const objects = stack.use(await openObjects(engine, { run, sources, commit }, signal));
  const volume = await engine.createVolume({ ...labels, standsOn: objects.volumes });
  if (kept === undefined) stack.defer(() => engine.removeVolume(volume.name));
  const owned = stack.move();
  return {
    run,
    volume,
    commit,
    sources,
    objects,
    layers: [volume],
    upper: undefined,
    isMoved: false,
    copyOf,
    mounts: [{ volume: volume.name, at: "/workspace" }, ...objects.mounts],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** One that stands on the layers of another. */
async function stacked(
  engine: Engine,
  from: Layered,
  { run, sources, commit, kept }: Owner & { commit: string; kept: string | undefined },
  signal?: AbortSignal,
): Promise<Workspace> {
  const labels = (role: string): Labels => ({ run, role });
  await using stack = new AsyncDisposableStack();
  const made = async (creating: Promise<Volume>) => {
    const volume = await creating;
    stack.defer(() => engine.removeVolume(volume.name));
    return volume;
  };
  const [upper, work] = await Promise.all([
    kept === undefined ? made(engine.createVolume(labels("upper"))) : engine.createVolume({ kept }),
    made(engine.createVolume(labels("work"))),
  ]);
  const lower = from.layers;
  const objects = stack.use(await openObjects(engine, { run, sources, commit }, signal));
  const shown = { ...labels("workspace"), standsOn: objects.volumes };
  const volume = await made(engine.createVolume(shown, { upper, work, lower }));
  const owned = stack.move();
  return {
    run,
    volume,
    commit,
    sources,
    objects,
    layers: [upper, ...lower],
    upper,
    isMoved: false,
    copyOf: undefined,
    mounts: [{ volume: volume.name, at: "/workspace" }, ...objects.mounts],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function filled(workspace: Workspace, fill: () => Promise<unknown>): Promise<Workspace> {
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
  { verb, before = "", mounts = [] }: { verb: string; before?: string; mounts?: Mount[] },
  signal?: AbortSignal,
): Promise<Sealed> {
  const { run, commit } = workspace;
  const objects = [0, ...(workspace.sources.extraObjects ?? []).map((_folder, index) => index + 1)].map(mirrorAt);
  const args = [verb, commit, before, ...objects];
  const all = [...workspace.mounts, ...mounts];
  const task = { run, role: "workspace", script, args, mounts: all, timeoutMs: limitMs, maxStdoutBytes: 10_000 };
  const result = await runHelper(engine, task, signal);
  if (result.end === "exited" && result.code === 0) {
    const said = result.stdout.toString("utf8");
    return { bytes: Number(/^bytes (\d+)$/m.exec(said)?.[1] ?? 0), bound: /^bound$/m.test(said) };
  }
  if (result.end === "exited" && result.code === 64) {
    throw new Error(
      `Commit ${commit} can't be read in ${workspace.sources.mirror}: fetch it, and let others read the folder (chmod -R go+rX).`,
    );
  }
  throw helperFailure(`${verb} the workspace at ${commit}`, result);
}
