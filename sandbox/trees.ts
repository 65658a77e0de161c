import type { Engine } from "./engine.ts";
import { helperFailure, runHelper } from "./helper.ts";
import { EngineAway } from "./docker.ts";

/** "overlay": a run's tree stands on a shared one. "copy": every run has a copy of its own, which is slower. */
export type Trees = "overlay" | "copy";

const labels = { run: "~probe", role: "probe" };
const limitMs = 60_000;
const firstFile = "mkdir -p /workspace/t/a; echo 1 >/workspace/t/a/b";
const lookAndRename = "cd /workspace/t && [ $(cat a/b) = 1 ] && mv -T a c && rm c/b && ! ls c/b 2>/dev/null";

/** Tries an overlay of volumes: whether the engine mounts it, and whether a folder of the lower layer can be renamed. */
export async function probeTrees(engine: Engine): Promise<Trees> {
  await using stack = new AsyncDisposableStack();
  const [lower, upper, work] = await Promise.all([volume(), volume(), volume()]);
  await run(lower.name, firstFile, true);
  const shown = stack.use(await ours(engine.createVolume(labels, { upper, work, lower: [lower] })));
  return (await run(shown.name, lookAndRename, false)) ? "overlay" : "copy";

  async function volume() {
    return stack.use(await ours(engine.createVolume(labels)));
  }
  async function ours(created: ReturnType<Engine["createVolume"]>) {
    const made = await created;
    return { ...made, [Symbol.asyncDispose]: () => engine.removeVolume(made.name) };
  }
  async function run(name: string, script: string, must: boolean): Promise<boolean> {
    const mounts = [{ volume: name, at: "/workspace" }];
    const task = { run: labels.run, role: labels.role, script, args: [], mounts, timeoutMs: limitMs };
    try {
      const result = await runHelper(engine, { ...task, maxStdoutBytes: 1_000 });
      const worked = result.end === "exited" && result.code === 0;
      if (must && !worked) throw helperFailure("try a volume out", result);
      return worked;
    } catch (error) {
      // An engine that can't mount an overlay says so when the container starts.
      if (must || error instanceof EngineAway) throw error;
      return false;
    }
  }
}
