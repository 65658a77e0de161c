import { EngineAway, ImageMissing } from "./docker.ts";
import type { EngineFacts } from "./facts.ts";
import type { Engine } from "./engine.ts";

/** What a container tells of the kernel that it runs on. */
export interface KernelSeen {
  /** `uname -r` */
  release: string;
  /** `dmesg`; empty where the kernel does not show it. */
  log: string;
}

export type RuntimeProof = { ok: true; saw: string } | { ok: false; reason: string };

/** The part of an engine that is asked. `kernel`: the release on the engine's machine; empty when it does not say. */
export type Probed = Pick<Engine, "helperImage" | "runOnce"> & {
  facts(signal?: AbortSignal): Promise<Pick<EngineFacts, "runtimes" | "kernel">>;
};

const limits = { memoryBytes: 256 * 2 ** 20, cpus: 1, pids: 64 };

/**
 * Whether containers of this engine, which was made with `runtime`, really run with it: one is started and looks at its
 * kernel. Anything short of a proof is "no" with the reason and the remedy, so that nobody falls back in silence.
 */
export async function proveRuntime(engine: Probed, runtime: string, signal?: AbortSignal): Promise<RuntimeProof> {
  const { runtimes, kernel } = await engine.facts(signal);
  // Engines from 23 on find a shim by its full name without having been told of it.
  if (!runtimes.includes(runtime) && !runtime.startsWith("io.containerd.")) {
    const known = runtimes.toSorted().join(", ");
    return refused(
      `the engine does not know the runtime "${runtime}" of SANDBOX_RUNTIME; it knows ${known}. Register it in the engine's daemon.json under "runtimes" and restart the engine`,
    );
  }
  try {
    return judgeRuntime(runtime, await look(engine, signal), kernel);
  } catch (error) {
    if (error instanceof EngineAway || error instanceof ImageMissing || signal?.aborted === true) throw error;
    const why = error instanceof Error ? error.message : String(error);
    return refused(
      `no container starts with the runtime "${runtime}" of SANDBOX_RUNTIME (${why}). Mend its installation`,
    );
  }
}

/** Judges by the runtime's name: gVisor and Kata have marks of their own; of any other it is told what was seen. */
export function judgeRuntime(runtime: string, { release, log }: KernelSeen, hostKernel: string): RuntimeProof {
  if (/runsc|gvisor/i.test(runtime)) {
    if (/^\[[\d. ]+\] Starting gVisor/m.test(log) || release.endsWith("-gvisor")) {
      return { ok: true, saw: `runtime ${runtime}: gVisor, kernel ${release}` };
    }
    return refused(
      `a container with the runtime "${runtime}" of SANDBOX_RUNTIME runs on the kernel ${release}, and nothing says gVisor there. Let this name point to gVisor's runsc in the engine's daemon.json`,
    );
  }
  if (/kata/i.test(runtime)) {
    if (hostKernel !== "" && release !== hostKernel) {
      return { ok: true, saw: `runtime ${runtime}: kernel ${release}, the host's is ${hostKernel}` };
    }
    const host = hostKernel === "" ? "the engine does not tell its own" : "which is the host's own";
    return refused(
      `a container with the runtime "${runtime}" of SANDBOX_RUNTIME runs on the kernel ${release}, and ${host}: that it has a machine of its own is not proven. Let this name point to Kata's shim, with another kernel than the host's`,
    );
  }
  return { ok: true, saw: `runtime ${runtime}: kernel ${release}${release === hostKernel ? ", the host's own" : ""}` };
}

function refused(reason: string): RuntimeProof {
  return {
    ok: false,
    reason: `Refusing to start: ${reason}, or unset SANDBOX_RUNTIME for the engine's default.`,
  };
}

async function look(engine: Probed, signal?: AbortSignal): Promise<KernelSeen> {
  const result = await engine.runOnce(
    {
      image: engine.helperImage,
      labels: { run: "~self-test", role: "self-test" },
      mounts: [],
      cwd: "/",
      limits,
      command: ["/bin/sh", "-c", "uname -r; dmesg 2>/dev/null | head -n 50"],
      timeoutMs: 60_000,
      maxStdoutBytes: 20_000,
    },
    signal,
  );
  if (result.end !== "exited" || result.code !== 0) throw new Error(`${result.end}: ${result.output.text.trim()}`);
  const [release = "", ...log] = result.stdout.toString("utf8").split("\n");
  return { release, log: log.join("\n") };
}
