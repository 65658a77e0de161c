import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import Docker from "dockerode";
import { afterAll, expect, test } from "vitest";
import { createEngine, type ReopenedSandbox, type Sandbox } from "../../sandbox/engine.ts";
import { quote } from "../../sandbox/quote.ts";
import { busyboxImage, changedImage } from "./images.ts";
import { image, say, specOf } from "./support.ts";
import { openWire } from "./wire.ts";

const docker = new Docker();
const instance = `test-${randomBytes(6).toString("hex")}`;
const engine = createEngine({ instance, image });
const bounds = { timeoutMs: 60_000 };

afterAll(async () => {
  for (const { id } of await engine.list()) await engine.remove(id);
});

async function reopen(id: string): Promise<ReopenedSandbox> {
  const sandbox = await engine.reopen(id);
  if (sandbox === undefined) throw new Error(`${id} is lost`);
  return sandbox;
}

/** Runs the client in a process of its own; `told` settles with its next line. */
async function startClient(mode: "command" | "frame", text: string) {
  const file = new URL("dying-client.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [file, instance, mode, text], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const told = async () => String((await lines.next()).value);
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { id: await told(), told, kill };
}

/** Waits for a file in the container, without a word to its supervisor. */
async function fileAppears(id: string, path: string): Promise<void> {
  const look = async () => {
    const exec = await docker.getContainer(id).exec({ Cmd: ["test", "-e", path], AttachStdout: true });
    const stream = await exec.start({});
    await once(stream.resume(), "end");
    return (await exec.inspect()).ExitCode;
  };
  await expect.poll(look, { timeout: 30_000 }).toBe(0);
}

/** A connection to the supervisor as a client has it, without a client's manners. */
async function rawAttach(id: string): Promise<Duplex> {
  const options = { stream: true, hijack: true, stdin: true, stdout: true, stderr: true };
  const stream = (await docker.getContainer(id).attach(options)) as Duplex;
  return stream.resume();
}

async function writeAndDie(id: string, bytes: Buffer): Promise<void> {
  const stream = await rawAttach(id);
  // The engine ends its side when it has handed everything on, which must not be overtaken by the next client.
  stream.end(bytes);
  await once(stream, "end");
  stream.destroy();
}

test("a client killed in the middle of a command: the next one gets its true exit code and its whole output", async () => {
  const text = "echo first; touch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.02; done; seq 1 4000; cd /usr; exit 5";
  const client = await startClient("command", text);
  await fileAppears(client.id, "/tmp/begun");
  await client.kill();

  const sandbox = await reopen(client.id);
  const resumed = sandbox.resume(7, bounds);
  expect(await say(sandbox, "touch /tmp/go")).toMatchObject({ end: "exited", code: 0 });

  const whole = `first\n${Array.from({ length: 4000 }, (_, index) => `${index + 1}\n`).join("")}`;
  const expected = { end: "exited", code: 5, cwd: "/usr", output: { text: whole, bytes: whole.length } };
  expect(await resumed).toMatchObject(expected);

  // This client dies too, and the one after it hears the same.
  expect(await (await reopen(client.id)).resume(7, bounds)).toMatchObject(expected);
  await sandbox[Symbol.asyncDispose]();
});

test("a client killed in the middle of a half-written call: nothing of the call runs, and the sandbox goes on", async () => {
  const client = await startClient("frame", `S step-7 1 '__cwd=/tmp __af="touch /tmp/ran; : ${"x".repeat(60_000)}`);
  expect(await client.told()).toBe("written");
  await client.kill();

  await using sandbox = await reopen(client.id);

  expect(await sandbox.resume(7, bounds)).toEqual({ end: "never-began" });
  expect(await say(sandbox, "ls /tmp/ran || echo on")).toMatchObject({ end: "exited", code: 0 });
  expect(await say(sandbox, "exit 6", { step: 7 })).toMatchObject({ end: "exited", code: 6 });
});

const shells = [
  ["dash", () => ({ tag: image, [Symbol.dispose]: () => {} })],
  ["busybox ash", busyboxImage],
  ["bash as sh", () => changedImage("ln -sf bash /bin/sh")],
] as const;

test.each(shells)(
  "a call cut after any of its bytes does nothing in %s, and the next client is answered",
  async (_name, make) => {
    using own = make();
    await using first = await engine.startSandbox(specOf({ image: own.tag }));
    const call = Buffer.from(
      `S step-9 1 ${quote(`__cwd='/tmp' __af=${quote('echo "it\'s $(id)" \\\n >>/tmp/ran #')}\nexport A='b'`)} E`,
    );
    const ends = [];
    for (let length = 1; length < call.length; length++) {
      await writeAndDie(first.id, call.subarray(0, length));
      const next = await reopen(first.id);
      ends.push((await next.resume(9, bounds)).end);
      expect(await say(next, `[ ! -e /tmp/ran ] && exit ${length}`)).toMatchObject({ end: "exited", code: length });
    }

    expect(new Set(ends)).toEqual(new Set(["never-began"]));
    await writeAndDie(first.id, call);
    const last = await reopen(first.id);
    expect(await last.resume(9, bounds)).toMatchObject({ end: "exited", code: 0 });
    expect(await say(last, "cat /tmp/ran")).toMatchObject({ output: { text: expect.stringMatching(/^it's uid=/) } });
  },
);

test("a step that still runs is held to the new client's time limit and abort, with what it wrote so far", async () => {
  await using first = await engine.startSandbox(specOf());
  const command = "trap '' TERM; echo begun; touch begun-$S; setsid sleep 640 & while :; do sleep 641; done";
  const lost = [1, 2].map((step) => say(first, command, { step, env: { S: String(step) } }));
  await using next = await reopen(first.id);
  await expect
    .poll(async () => say(next, "[ -e begun-1 ] && [ -e begun-2 ]"), { timeout: 20_000 })
    .toMatchObject({ code: 0 });
  const stop = new AbortController();
  const aborted = next.resume(2, { ...bounds, signal: stop.signal });

  expect(await next.resume(1, { timeoutMs: 300 })).toMatchObject({ end: "timed-out", output: { text: "begun\n" } });
  stop.abort();
  expect(await aborted).toMatchObject({ end: "aborted", output: { text: "begun\n" } });
  expect(await say(next, "pgrep -f 'sleep 64[01]'")).toMatchObject({ code: 1 });
  expect((await Promise.all(lost)).map(({ end }) => end)).not.toContain("timed-out");
});

test("a step's output is kept until the next one with a name begins, its end for good, and other commands count for nothing", async () => {
  await using first = await engine.startSandbox(specOf());
  await say(first, "echo one; exit 1", { step: 1 });
  await say(first, "echo two; exit 2", { step: 2 });
  for (let n = 0; n < 130; n++) await say(first, "echo other");
  await using next = await reopen(first.id);

  const resumed = [await next.resume(1, bounds), await next.resume(2, bounds), await next.resume(3, bounds)];
  const files = await say(next, "ls /run/af | wc -l");

  expect(resumed).toMatchObject([
    { end: "exited", code: 1, output: { text: "[agent-fix: what this step wrote is not kept any more]\n" } },
    { end: "exited", code: 2, output: { text: "two\n" } },
    { end: "never-began" },
  ]);
  expect(Number(files.output.text)).toBeLessThan(200);
});

test("a step whose watcher was killed is unknown, never a success, and nothing of it runs any more", async () => {
  await using first = await engine.startSandbox(specOf());
  void say(first, "echo begun; kill -9 $PPID; touch orphan; sleep 650; exit 0", { step: "a" });
  await using next = await reopen(first.id);
  await expect.poll(async () => say(next, "[ -e orphan ]"), { timeout: 20_000 }).toMatchObject({ code: 0 });

  expect(await next.resume("a", bounds)).toEqual({ end: "unknown" });

  expect(await say(next, "pgrep -f 'sleep 65[0]'")).toMatchObject({ code: 1 });
});

test("a step runs once: its name is refused afterwards, and a name that is none is an error", async () => {
  await using sandbox = await engine.startSandbox(specOf());

  expect(await say(sandbox, "echo >>count; exit 3", { step: 1 })).toMatchObject({ code: 3 });
  const again = await say(sandbox, "echo >>count; exit 0", { step: 1 });
  const count = await say(sandbox, "wc -l <count");

  expect(again).toMatchObject({ end: "exited", code: 254, output: { text: expect.stringContaining("ran before") } });
  expect(count.output.text).toBe("1\n");
  await expect(say(sandbox, "true", { step: "../x" })).rejects.toThrow("no name of a step");
});

test("a supervisor that died while nobody listened is started again, and what ran then is unknown", async () => {
  await using first = await engine.startSandbox(specOf());
  void say(first, "touch begun; sleep 660", { step: 1 });
  await fileAppears(first.id, "/tmp/begun");
  const stream = await rawAttach(first.id);
  // What is asked while the dying shell is busy stands in its pipe beside its last line: it reads both, and takes both along.
  stream.write("touch /tmp/busy; sleep 2\n");
  await fileAppears(first.id, "/tmp/busy");
  stream.write("exec /bin/sh -s\n");
  stream.destroy();

  await using next = await reopen(first.id);

  expect(await next.resume(1, bounds)).toEqual({ end: "unknown" });
  expect(await say(next, "echo on")).toMatchObject({ code: 0, output: { text: "on\n" } });
});

test("a container that is gone, stopped or another's is no sandbox to go on with", async () => {
  const stopped = await engine.startSandbox(specOf());
  const removed = await engine.startSandbox(specOf());
  const waiting = await engine.startSandbox(specOf());
  void say(waiting, "touch begun; sleep 600", { step: 1 });
  const next = await reopen(waiting.id);
  const resumed = next.resume(1, bounds);
  await fileAppears(waiting.id, "/tmp/begun");

  await docker.getContainer(stopped.id).kill();
  await docker.getContainer(removed.id).remove({ force: true });
  await docker.getContainer(waiting.id).kill();

  expect(await resumed).toMatchObject({ end: "sandbox-lost" });
  expect(await next.resume(1, bounds)).toMatchObject({ end: "sandbox-lost" });
  expect(await engine.reopen(stopped.id)).toBeUndefined();
  expect(await engine.reopen(removed.id)).toBeUndefined();
  const stranger = createEngine({ instance: `${instance}-x`, image });
  await expect(stranger.reopen(waiting.id)).rejects.toThrow("another installation");
  for (const sandbox of [stopped, removed, waiting]) await sandbox[Symbol.asyncDispose]();
});

test("a stream cut while a command runs: the step is lost for its client, and known truly to the next one", async () => {
  await using wire = await openWire();
  const cut = createEngine({ instance, image, socketPath: wire.path });
  await using sandbox: Sandbox = await cut.startSandbox(specOf());
  const running = say(sandbox, "touch begun; until [ -e /tmp/go ]; do sleep 0.02; done; echo done; exit 9", {
    step: 1,
  });
  await fileAppears(sandbox.id, "/tmp/begun");

  wire.cut();

  expect(await running).toMatchObject({ end: "sandbox-lost" });
  expect(await say(sandbox, "echo x")).toMatchObject({ end: "sandbox-lost" });
  await using next = await reopen(sandbox.id);
  await say(next, "touch /tmp/go");
  expect(await next.resume(1, bounds)).toMatchObject({ end: "exited", code: 9, output: { text: "done\n" } });
});

test("an answer cut in the middle is given whole to the next client", async () => {
  await using wire = await openWire();
  const cut = createEngine({ instance, image, socketPath: wire.path });
  await using sandbox: Sandbox = await cut.startSandbox(specOf());
  const command = "head -c 6000000 /dev/zero | tr '\\0' a";
  const running = say(sandbox, command, { step: 1, maxOutputBytes: 7_000_000 });
  wire.cutAfter(1_000_000);

  expect(await running).toMatchObject({ end: "sandbox-lost" });
  await using next = await reopen(sandbox.id);
  const resumed = await next.resume(1, { ...bounds, maxOutputBytes: 7_000_000 });
  expect(resumed).toMatchObject({ end: "exited", code: 0, output: { bytes: 6_000_000, truncated: false } });
  expect("output" in resumed && resumed.output.text === "a".repeat(6_000_000)).toBe(true);
});
