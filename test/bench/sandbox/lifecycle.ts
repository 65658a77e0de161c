import { measure } from "../../../sandbox/disk.ts";
import type { Sandbox } from "../../../sandbox/engine.ts";
import { copyWorkspace, repoDir, type Workspace } from "../../../sandbox/workspace.ts";
import { diskLimit, sandboxLimits } from "../../../worker/container.ts";
import { type Bench, time } from "../harness.ts";
import { cpuOf, image, run } from "../support.ts";
import { openPlace } from "./place.ts";

/** A whole sandbox from nothing to nothing, beside a plain container; and what one costs beside time. */
export async function lifecycle(stack: AsyncDisposableStack): Promise<Bench[]> {
  const { upstream, tools, engine } = await openPlace(stack);
  const { signal } = new AbortController();
  const mirror = await tools.mirrors.fetch({ key: "upstream", url: upstream.gitDir }, signal);
  const sources = { mirror };
  const commit = (await run("git", ["-C", mirror, "rev-parse", "main"])).trim();
  const base = await tools.kept.base(mirror, sources, commit);

  const open = async (more: { maxBytes?: number } = {}) => {
    await using stack = new AsyncDisposableStack();
    const workspace = stack.use(await copyWorkspace(engine, base, { run: "bench", sources }));
    const labels = { run: "bench", role: "agent" };
    const disk = { ...diskLimit(workspace), ...more };
    const spec = { image, labels, mounts: workspace.mounts, cwd: repoDir, limits: sandboxLimits, disk };
    const sandbox = stack.use(await engine.startSandbox(spec));
    const owned = stack.move();
    return { workspace, sandbox, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  };
  const ours = async () => {
    await using opened = await open();
    await must(opened.sandbox, "true");
  };
  const plain = () => run("docker", ["run", "--rm", "--network", "none", image, "true"]);

  return [
    {
      rounds: 30,
      contenders: { sandbox: () => time(ours), "docker run --rm": () => time(plain) },
      rows: [
        {
          measure: "create, run, remove",
          unit: "ms",
          value: "sandbox",
          beside: "docker run --rm",
          goal: { atMost: 1.3 },
        },
      ],
    },
    {
      rounds: 10,
      contenders: { sandbox: () => cpuOf(ours), "docker run --rm": () => cpuOf(plain) },
      rows: [{ measure: "CPU of that, the engine's too", unit: "ms", value: "sandbox", beside: "docker run --rm" }],
    },
    {
      rounds: 5,
      contenders: {
        "its own layer": async () => {
          await using opened = await open();
          await must(opened.sandbox, "echo edited >>package.json && git add package.json");
          return await megabytesOf(opened.workspace);
        },
        "the whole tree": async () => (await measure(engine, base.layers[0] ?? nothing())).bytes / 2 ** 20,
      },
      rows: [
        { measure: "disk of a run that edited one file", unit: "MB", value: "its own layer", beside: "the whole tree" },
      ],
    },
    {
      rounds: 5,
      contenders: {
        "idle sandbox": async () => {
          await using opened = await open();
          return megabytesIn((await must(opened.sandbox, counted)).trim());
        },
        "idle container": async () => {
          const id = (await run("docker", ["run", "--detach", "--network", "none", image, "sleep", "600"])).trim();
          await using _removed = { [Symbol.asyncDispose]: async () => void (await run("docker", ["rm", "-f", id])) };
          return megabytesIn((await run("docker", ["exec", id, "sh", "-c", counted])).trim());
        },
      },
      rows: [{ measure: "memory of an idle one", unit: "MB", value: "idle sandbox", beside: "idle container" }],
    },
    {
      rounds: 5,
      contenders: {
        written: async () => {
          await using opened = await open({ maxBytes: diskMegabytes * 2 ** 20 });
          await opened.sandbox.exec("dd if=/dev/zero of=flood bs=1M", { cwd: repoDir, timeoutMs: 60_000 });
          return await megabytesOf(opened.workspace);
        },
        allowed: async () => diskMegabytes,
      },
      rows: [{ measure: "disk filled by dd until it was ended", unit: "MB", value: "written", beside: "allowed" }],
    },
  ];

  async function megabytesOf({ upper, volume }: Workspace): Promise<number> {
    return (await measure(engine, upper ?? volume)).bytes / 2 ** 20;
  }
}

const diskMegabytes = 1_024;

async function must(sandbox: Sandbox, command: string): Promise<string> {
  const result = await sandbox.exec(command, { cwd: repoDir, timeoutMs: 60_000 });
  if (result.end !== "exited" || result.code !== 0) throw new Error(`${command}: ${JSON.stringify(result)}`);
  return result.output.text;
}

// The engine's own statistics are empty for some containers.
const counted = "cat /sys/fs/cgroup/memory.current /sys/fs/cgroup/memory/memory.usage_in_bytes 2>/dev/null; true";

/** What the kernel counts for a container, the asking included. */
function megabytesIn(text: string): number {
  return Number(text) / 2 ** 20;
}

function nothing(): never {
  throw new Error("there is no layer");
}
