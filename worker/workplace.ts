import { createHash } from "node:crypto";
import type { RunLog } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { readChanges } from "../sandbox/changes.ts";
import type { Change, Changes } from "../sandbox/changes.ts";
import type { Engine, Sandbox } from "../sandbox/engine.ts";
import { openEgress, refusedHosts } from "../sandbox/network.ts";
import type { Egress, EgressPolicy } from "../sandbox/network.ts";
import { trackedAt } from "../sandbox/tracked.ts";
import type { Tracked } from "../sandbox/walk.ts";
import { copyForSetup, copyWorkspace, moveInside, repoDir, sealSetup } from "../sandbox/workspace.ts";
import type { Layered, Workspace } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import { assertKept, diskLimit, sandboxLimits } from "./container.ts";
import type { Prepared } from "./environment.ts";

const prepareLimitMs = 20 * 60_000;
const changeLimits = { maxFiles: 1000, maxBytes: 32 * 2 ** 20 };

export interface WorkplaceTask {
  runId: string;
  engine: Engine;
  prepared: Prepared;
  sources: Sources;
  /** The commit that the change is against. */
  base: string;
  settings: Pick<Settings, "network">;
  egress: Omit<EgressPolicy, "hosts">;
  /** Where it begins, if not on the base. */
  start?: Start | undefined;
  /** What the agent finds changed from the beginning, by path from the checkout's root. */
  given?: ReadonlyMap<string, Buffer> | undefined;
  log: RunLog;
  signal: AbortSignal;
}

/** Where the agent works: a tree of its own and the container on it. Disposing removes both. */
export interface Workplace extends AsyncDisposable {
  /** Stays the same object when the place changes. */
  readonly sandbox: Pick<Sandbox, "exec" | "readFile" | "writeFile" | "freeze">;
  /** The whole change against the base, as it stands. */
  changes(signal: AbortSignal): Promise<Changes>;
  /** Goes on in a new container, on a tree that has the change as a commit. Processes and ignored files stay behind. */
  moveTo(next: Start): Promise<void>;
}
/** A commit to stand on, and what it changes against the base. */
interface Start {
  tree: Layered;
  commit: string;
  sources: Sources;
  changes: readonly Change[];
}

export async function openWorkplace(task: WorkplaceTask): Promise<Workplace> {
  const { base, sources, prepared, engine, start } = task;
  let place = await openPlace(task, start ?? { tree: prepared.tree, commit: base, sources });
  if (start !== undefined) await showAsUncommitted(place.sandbox, base);
  for (const [path, bytes] of task.given ?? []) await place.sandbox.writeFile(`${repoDir}/${path}`, bytes);
  let carried: readonly Change[] = start?.changes ?? [];
  return {
    sandbox: {
      exec: (command, options) => place.sandbox.exec(command, options),
      readFile: (path, maxBytes) => place.sandbox.readFile(path, maxBytes),
      writeFile: (path, bytes) => place.sandbox.writeFile(path, bytes),
      freeze: (note) => place.sandbox.freeze(note),
    },
    async changes(signal) {
      const since = await readChanges(engine, place.workspace, changeLimits, signal);
      if (since.kind === "refused" || carried.length === 0) return since;
      return { kind: "changes", changes: joined(carried, since.changes, await trackedAt(sources, base)) };
    },
    async moveTo(next) {
      await place.dispose();
      place = await openPlace(task, next);
      carried = next.changes;
      await showAsUncommitted(place.sandbox, base);
    },
    [Symbol.asyncDispose]: () => place.dispose(),
  };
}

interface Place {
  workspace: Workspace;
  sandbox: Sandbox;
  dispose(): Promise<void>;
}

async function openPlace(task: WorkplaceTask, at: { tree: Layered; commit: string; sources: Sources }): Promise<Place> {
  const { runId: run, engine, prepared, signal } = task;
  const { image, environment } = prepared;
  const owner = { run, sources: at.sources };
  await using stack = new AsyncDisposableStack();
  const prepare = { run, engine, image, environment, signal };
  const tree = environment.prepare.length === 0 ? at.tree : stack.use(await prepareTree(prepare, at));
  const workspace = stack.use(await copyWorkspace(engine, tree, owner, signal));
  const spec = {
    image,
    labels: { run, role: "agent" },
    mounts: workspace.mounts,
    cwd: repoDir,
    env: environment.env,
    limits: sandboxLimits,
    disk: diskLimit(workspace),
  };
  const egress = agentEgress(task, stack);
  const withNetwork = egress === undefined ? spec : { ...spec, network: { egress } };
  const sandbox = stack.use(await engine.startSandbox(withNetwork, signal));
  await moveInside(engine, { workspace, sandbox }, at.commit, signal);
  const owned = stack.move();
  return { workspace, sandbox, dispose: () => owned.disposeAsync() };
}

/** The hosts that the settings open to the agent itself; what it was refused goes into the log in the end. */
function agentEgress(
  { settings, egress: policy, log }: WorkplaceTask,
  stack: AsyncDisposableStack,
): Egress | undefined {
  const hosts = settings.network.agent;
  if (hosts.length === 0) return undefined;
  const egress = stack.use(openEgress({ ...policy, hosts }));
  stack.defer(() =>
    log.append({ type: "network", command: "the agent", hosts, refused: refusedHosts(egress.decisions) }),
  );
  return egress;
}

/** What `prepare` made of a tree, as in the gate's legs. That it fails is what the checks show. */
async function prepareTree(
  {
    run,
    engine,
    image,
    environment,
    signal,
  }: Pick<Prepared, "image" | "environment"> & {
    run: string;
    engine: Engine;
    signal: AbortSignal;
  },
  { tree, commit, sources }: { tree: Layered; commit: string; sources: Sources },
): Promise<Workspace> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await copyForSetup(engine, tree, { run, sources, commit }, signal));
  const spec = {
    image,
    command: ["/bin/sh", "-ec", environment.prepare.join("\n")],
    labels: { run, role: "prepare" },
    mounts: workspace.mounts,
    cwd: repoDir,
    env: environment.env,
    limits: sandboxLimits,
    disk: diskLimit(workspace),
    timeoutMs: prepareLimitMs,
    maxStdoutBytes: 64_000,
  };
  const result = await engine.runOnce(spec, signal);
  signal.throwIfAborted();
  assertKept(result, "`prepare`");
  await sealSetup(engine, workspace, signal);
  stack.move();
  return workspace;
}

/** The agent goes on seeing its change as one: `git diff` shows it against the base. Without git there is nothing to see. */
async function showAsUncommitted(sandbox: Sandbox, base: string): Promise<void> {
  const command = `git read-tree ${base} && echo ${base} >.git/HEAD && git update-index -q --refresh`;
  await sandbox.exec(command, { cwd: repoDir, timeoutMs: 120_000 });
}

/** Two changes, one after the other, as one against the base: what is as in the base again is no change. */
function joined(first: readonly Change[], second: readonly Change[], base: Tracked): Change[] {
  const all = new Map(first.map((change) => [change.path, change]));
  for (const change of second) all.set(change.path, change);
  return [...all.values()].filter((change) => {
    const former = base.get(Buffer.from(change.path).toString("latin1"));
    if (change.mode === "deleted") return former !== undefined;
    return former?.mode !== change.mode || oidOf(change.bytes, former.oid) !== former.oid;
  });
}

function oidOf(bytes: Buffer, like: string): string {
  const hash = createHash(like.length === 64 ? "sha256" : "sha1");
  return hash.update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
