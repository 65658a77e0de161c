import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import Docker from "dockerode";
import { createEngine } from "../../../sandbox/engine.ts";
import { createCollector } from "../../../sandbox/output.ts";
import { type Bench, time } from "../harness.ts";
import { cpuOf, image } from "../support.ts";

const limits = { memoryBytes: 2 * 2 ** 30, cpus: 2, pids: 512 };
const kept = 30_000;
const flood = "yes 'one line of a long build log' | head -c 10000000";
const atOnce = 8;

/** Commands in a sandbox beside the same ones without it, and beside the engine's own way. */
export async function commands(stack: AsyncDisposableStack): Promise<Bench[]> {
  const engine = createEngine({ instance: `bench-${process.pid}`, image });
  const labels = { run: "bench", role: "agent" };
  const sandbox = stack.use(await engine.startSandbox({ image, labels, mounts: [], cwd: "/tmp", limits }));
  const container = new Docker().getContainer(sandbox.id);

  const inSandbox = async (command: string) => {
    const result = await sandbox.exec(command, { cwd: "/tmp", timeoutMs: 60_000, maxOutputBytes: kept });
    if (result.end !== "exited" || result.code !== 0) throw new Error(`${command}: ${JSON.stringify(result)}`);
  };
  const many = (command: () => Promise<unknown>) => Promise.all(Array.from({ length: atOnce }, command));
  const ours = () => inSandbox("true");
  const theirs = () => engineExec(container, "true");
  const cli = () => promisify(execFile)("docker", ["exec", sandbox.id, "bash", "-c", "true"]);

  return [
    oneCommand({ sandbox: ours, local: () => local("true"), dockerode: theirs, cli }),
    {
      rounds: 40,
      contenders: { sandbox: () => time(() => inSandbox(flood)), "local spawn": () => time(() => local(flood)) },
      rows: [
        { measure: "10 MB of output", unit: "ms", value: "sandbox", beside: "local spawn", goal: { atMost: 1.2 } },
      ],
    },
    {
      rounds: 30,
      contenders: {
        sandbox: async () => (atOnce * 1000) / (await time(() => many(ours))),
        "dockerode exec": async () => (atOnce * 1000) / (await time(() => many(theirs))),
      },
      rows: [
        {
          measure: `${atOnce} commands at once, per second`,
          unit: "/s",
          value: "sandbox",
          beside: "dockerode exec",
          goal: { atLeast: 10 },
          more: true,
        },
      ],
    },
    {
      rounds: 30,
      contenders: { sandbox: () => cpuOf(ours, 50), "dockerode exec": () => cpuOf(theirs, 5) },
      rows: [{ measure: "CPU per command", unit: "ms", value: "sandbox", beside: "dockerode exec" }],
    },
  ];
}

type Way = () => Promise<unknown>;

function oneCommand({ sandbox, local, dockerode, cli }: Record<"sandbox" | "local" | "dockerode" | "cli", Way>): Bench {
  const row = { measure: "one command `bash -c true`", unit: "ms", value: "sandbox" };
  return {
    rounds: 30,
    turn: 5,
    contenders: {
      sandbox: () => time(sandbox),
      "local spawn": () => time(local),
      "dockerode exec": () => time(dockerode),
      "docker exec CLI": () => time(cli),
    },
    rows: [
      { ...row, beside: "local spawn", goal: { atMost: 1.2 } },
      { ...row, beside: "dockerode exec", goal: { atLeast: 15 } },
      { ...row, beside: "docker exec CLI", goal: { atLeast: 20 } },
    ],
  };
}

async function local(command: string): Promise<void> {
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "pipe"] });
  const output = createCollector(kept);
  child.stdout.on("data", (chunk: Buffer) => output.add(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.add(chunk));
  await once(child, "close");
  output.output();
  if (child.exitCode !== 0) throw new Error(`${command} ended with ${child.exitCode}`);
}

/** The whole dance that a true exit code takes: create, start, drain, inspect. */
async function engineExec(container: Docker.Container, command: string): Promise<void> {
  const exec = await container.exec({ Cmd: ["bash", "-c", command], AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({});
  stream.resume();
  await once(stream, "end");
  const { ExitCode: code } = await exec.inspect();
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
}
