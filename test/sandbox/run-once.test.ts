import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import Docker from "dockerode";
import { expect, test } from "vitest";
import { EngineAway } from "../../sandbox/docker.ts";
import { createEngine, type Engine, type OneShotResult, type OneShotSpec } from "../../sandbox/engine.ts";
import { createWorkspace, repoDir } from "../../sandbox/workspace.ts";
import { image, limits, specOf, testEngine, testRepository } from "./support.ts";
import { openWire } from "./wire.ts";

const engine = testEngine();

function once(command: string, more: Partial<OneShotSpec> = {}): OneShotSpec {
  return { ...specOf(), command: ["sh", "-c", command], timeoutMs: 60_000, maxStdoutBytes: 100_000, ...more };
}

async function run(command: string, more: Partial<OneShotSpec> = {}, signal?: AbortSignal): Promise<OneShotResult> {
  return engine.runOnce(once(command, more), signal);
}

async function started(where: Engine): Promise<string> {
  let id = "";
  await expect
    .poll(
      async () => {
        id = (await where.list()).find(({ kind }) => kind === "container")?.id ?? "";
        return id !== "" && (await new Docker().getContainer(id).inspect()).State.Running;
      },
      { timeout: 20_000 },
    )
    .toBe(true);
  return id;
}

test("the result is the exit code of the main process, and both streams as they came", async () => {
  const result = await run("echo out; echo err >&2; exit 42");

  expect(result).toMatchObject({ end: "exited", code: 42, stdoutTruncated: false });
  expect(result.stdout.toString()).toBe("out\n");
  expect(result.output.text.split("\n").toSorted()).toEqual(["", "err", "out"]);
  expect(await engine.list()).toEqual([]);
});

test.each(["exit 0", "exit 143"])(
  "an engine that stops ends the command by a signal: %s is no result of the command's",
  async (ending) => {
    await using wire = await openWire();
    const instance = `test-${randomBytes(6).toString("hex")}`;
    const stopping = createEngine({ instance, image, socketPath: wire.path });
    const seen = createEngine({ instance, image });
    const trapped = `trap '${ending}' TERM; sleep 600 & wait`;
    const running = stopping.runOnce(once(trapped)).catch((error: unknown) => error);
    const id = await started(seen);

    wire.deafen();
    await new Docker().getContainer(id).kill({ signal: "TERM" });

    const ended = await running;
    expect(ended instanceof EngineAway ? { end: "sandbox-lost" } : ended).toMatchObject({ end: "sandbox-lost" });
    await seen.remove(id);
  },
);

test("a tree that forges every trace of success does not change the result", async () => {
  const forge = `#!/bin/sh
    for f in /run/af/1.rc /run/af/result /tmp/result /workspace/result exit-code .rc; do echo 0 >$f; done 2>/dev/null
    echo '{"numFailedTests":0,"success":true}' >report.json; echo 'Tests: 1 passed, 0 failed'; echo 'D 1 0 1 0' >&2
    printf '\\001\\000\\000\\000\\000\\000\\000\\000exit 0'; trap 'exit 0' EXIT TERM; kill -TERM 1 2>/dev/null; exit 0\n`;
  using repository = testRepository({ "test.sh": forge, "check.sh": "sh ./test.sh; exit 3\n" });
  const commit = repository.commits[0] ?? "";
  await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });

  const result = await run("exec sh ./check.sh", { mounts: workspace.mounts, cwd: repoDir });

  expect(result.end === "exited" && result.code).not.toBe(0);
  expect(result.output.text).toContain("1 passed");
});

test("a check that its own child kills is killed, never passed", async () => {
  expect(await run("(kill -9 $PPID; kill -9 $$) & wait; sleep 60; exit 0")).toMatchObject({ end: "killed" });
  expect(await run("kill -SEGV $$")).toMatchObject({ end: "exited", code: 139 });
});

test("children that are left running end with the main process", async () => {
  const result = await run("setsid sleep 600 & (sleep 600 &) ; echo done; exit 4");

  // Waited for, they would take it to its time limit.
  expect(result).toMatchObject({ end: "exited", code: 4 });
  expect(await engine.list()).toEqual([]);
});

test("the time limit ends a process that is deaf to signals, and gives what it wrote", async () => {
  const result = await run("trap '' TERM INT; echo begun; while :; do sleep 1; done", { timeoutMs: 1_500 });

  expect(result).toMatchObject({ end: "timed-out", output: { text: "begun\n" } });
  expect(result.stdout.toString()).toBe("begun\n");
  expect(await engine.list()).toEqual([]);
});

test("a command that is silent for too long, or writes too much, is ended as that, with what it wrote", async () => {
  const silent = await run("echo begun; sleep 600", { idleMs: 1_500 });
  const flood = await run("yes", { floodBytes: 2 ** 20 });
  const steady = await run("for n in 1 2 3 4 5 6; do echo $n; sleep 0.5; done", { idleMs: 2_500, floodBytes: 100 });

  expect(silent).toMatchObject({ end: "idle", output: { text: "begun\n" } });
  expect(flood).toMatchObject({ end: "flooded" });
  expect(steady).toMatchObject({ end: "exited", code: 0 });
  expect(await engine.list()).toEqual([]);
});

test("stdout is exact up to its limit and says when there was more; the text keeps head and tail", async () => {
  const bounds = { maxStdoutBytes: 1_000, maxOutputBytes: 200 };
  const exact = await run("head -c 1000 /dev/zero", bounds);
  const more = await run("echo first; head -c 20000000 /dev/zero; echo last", bounds);
  const none = await run("echo x", { maxStdoutBytes: 0 });

  expect(exact).toMatchObject({ stdout: Buffer.alloc(1_000), stdoutTruncated: false });
  expect(more.stdout).toEqual(Buffer.concat([Buffer.from("first\n"), Buffer.alloc(994)]));
  expect(more).toMatchObject({
    end: "exited",
    code: 0,
    stdoutTruncated: true,
    output: { bytes: 20_000_011, truncated: true },
  });
  expect(more.output.text.startsWith("first\n") && more.output.text.endsWith("last\n")).toBe(true);
  expect(none).toMatchObject({ stdout: Buffer.alloc(0), stdoutTruncated: true });
});

test("stdin arrives whole and ends, and a process that does not read it is not held up", async () => {
  const bytes = randomBytes(3_000_000);

  const echoed = await run("cat", { stdin: bytes, maxStdoutBytes: 4_000_000 });
  const deaf = await run("exit 5", { stdin: bytes });
  const empty = await run("wc -c");

  expect(echoed.stdout.equals(bytes)).toBe(true);
  expect(deaf).toMatchObject({ end: "exited", code: 5 });
  expect(empty.stdout.toString().trim()).toBe("0");
});

test("a process that takes more memory than there is ends as out of memory", async () => {
  const small = { limits: { ...limits, memoryBytes: 64 * 2 ** 20 } };

  const result = await run("exec python3 -c 'b = bytearray(1 << 30); print(len(b))'", small);

  expect(result).toMatchObject({ end: "out-of-memory" });
});

test("an abort ends it, and a container that another hand removes is lost", async () => {
  const mine = testEngine();
  const stop = new AbortController();
  const aborted = mine.runOnce(once("echo begun; sleep 600"), stop.signal);
  await started(mine);
  stop.abort();

  expect(await aborted).toMatchObject({ end: "aborted" });
  expect(await mine.list()).toEqual([]);
  await expect(mine.runOnce(once("true"), stop.signal)).rejects.toThrow("aborted");

  const lost = mine.runOnce(once("sleep 600"));
  await mine.remove(await started(mine));
  expect((await lost).end).toMatch(/^(?:sandbox-lost|killed)$/);
});

test("an abort while its container is being made leaves nothing", async () => {
  const abort = new AbortController();
  const onRequest = (message: unknown) => {
    const { request } = message as { request: ClientRequest };
    if (request.path.includes("/containers/create")) request.once("finish", () => abort.abort(new Error("enough")));
  };
  subscribe("http.client.request.start", onRequest);
  const ended = await run("true", {}, abort.signal).catch((error: unknown) => error);
  unsubscribe("http.client.request.start", onRequest);
  // By the time of its end, the engine has made the other one as well.
  await run("true");

  expect(ended).toMatchObject({ message: "enough" });
  expect(await engine.list()).toEqual([]);
});

test("a program that is not there is no success, and leaves nothing", async () => {
  const result = await run("", { command: ["/no/such/program"] });

  expect(result).toMatchObject({ end: "exited", code: 127 });
  expect(result.output.text).toMatch(/no such file/i);
  expect(await engine.list()).toEqual([]);
});

test("two legs of the same check do not see each other", async () => {
  const [left, right] = await Promise.all([
    run(
      "echo left >/tmp/x; touch /tmp/left; i=0; while [ $i -lt 20 ]; do [ -e /tmp/right ] && exit 9; i=$((i+1)); sleep 0.05; done",
    ),
    run(
      "echo right >/tmp/x; touch /tmp/right; i=0; while [ $i -lt 20 ]; do [ -e /tmp/left ] && exit 9; i=$((i+1)); sleep 0.05; done",
    ),
  ]);

  expect([left, right]).toMatchObject([{ code: 0 }, { code: 0 }]);
});
