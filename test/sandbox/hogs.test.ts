import { afterAll, beforeAll, expect, test } from "vitest";
import type { ExecResult, Sandbox } from "../../sandbox/engine.ts";
import { say, specOf, testEngine } from "./support.ts";

const engine = testEngine();
const small = { memoryBytes: 256 * 2 ** 20, cpus: 1, pids: 64 };
let neighbour: Sandbox;

beforeAll(async () => {
  neighbour = await engine.startSandbox(specOf({ labels: { run: "run-2", role: "agent" } }));
});

afterAll(() => neighbour[Symbol.asyncDispose]());

/** Runs a hog in a sandbox of its own, and commands beside it, which all have to succeed, until it has ended. */
async function besideNeighbour(hog: (sandbox: Sandbox) => Promise<ExecResult>): Promise<ExecResult> {
  await using sandbox = await engine.startSandbox(specOf({ limits: small }));
  const state = { running: true };
  const ending = hog(sandbox).finally(() => {
    state.running = false;
  });
  const wrong: ExecResult[] = [];
  do {
    const work = "echo neighbour >/tmp/file && cat /tmp/file && (sleep 0.01 & wait) && rm /tmp/file && exit 7";
    const result = await say(neighbour, work);
    if (result.end !== "exited" || result.code !== 7 || result.output.text !== "neighbour\n") wrong.push(result);
  } while (state.running);
  expect(wrong).toEqual([]);
  const result = await ending;
  // Whatever was done to it, the sandbox answers or says that it is lost.
  const after = await say(sandbox, "echo on");
  expect(after.end === "exited" ? after.output.text : after.end).toMatch(/^(?:on\n|\[agent-fix: .*\n|sandbox-lost)$/);
  return result;
}

test("a fork bomb is held at the process limit and ended", async () => {
  const bomb = "echo begun; bomb() { bomb | bomb & }; bomb; sleep 600";

  const result = await besideNeighbour(async (sandbox) => say(sandbox, bomb, { timeoutMs: 3_000 }));

  expect(["timed-out", "killed", "exited", "sandbox-lost"]).toContain(result.end);
  expect(result).not.toMatchObject({ end: "exited", code: 0 });
});

test("a command beside a fork bomb ends by the name of the process limit, or truly", async () => {
  await besideNeighbour(async (sandbox) => {
    const bomb = say(sandbox, "for n in $(seq 100); do sleep 600 & done; wait", { timeoutMs: 4_000 });
    const beside = await Promise.all(
      Array.from({ length: 10 }, async () => say(sandbox, "echo out | cat; exit 3", { timeoutMs: 3_000 })),
    );
    for (const result of beside) {
      if (result.end === "exited" && result.code === 3) continue;
      expect(result.end === "exited" ? result.output.text : result.end).toMatch(
        /process|fork|Resource temporarily unavailable|^killed$|^timed-out$|^sandbox-lost$/,
      );
      expect(result).not.toMatchObject({ end: "exited", code: 0 });
    }
    return bomb;
  });
});

test("a memory hog ends as out of memory", async () => {
  const hog = "echo begun; python3 -c 'keep = [bytes(bytearray(1 << 20)) for _ in range(4096)]'";

  const result = await besideNeighbour(async (sandbox) => say(sandbox, hog));

  expect(result).toMatchObject({ end: "out-of-memory", output: { text: expect.stringMatching(/^begun\n/) } });
});

test("many processes that take the memory together end as out of memory too", async () => {
  const hog =
    "for n in 1 2 3 4 5 6 7 8; do python3 -c 'b = bytearray(64 << 20); import time; time.sleep(600)' & done; wait -n";

  const result = await besideNeighbour(async (sandbox) => say(sandbox, hog));

  expect(result).toMatchObject({ end: "out-of-memory" });
});

test.each([
  ["bytes in /tmp", "head -c 1000000000 /dev/zero >/tmp/hog"],
  ["bytes in /run/af", "head -c 1000000000 /dev/zero >/run/af/hog"],
  ["files in /run/af", "cd /run/af && for n in $(seq 50000); do : >hog-$n || exit 1; done"],
])("%s end at the file system's own limit, by its own message", async (_name, hog) => {
  const result = await besideNeighbour(async (sandbox) => {
    const filled = await say(sandbox, hog);
    // Nothing can be started from here on, or everything can: no command passes for one that ran.
    const next = await say(sandbox, "echo ran; exit 4");
    expect(next.output.text).toMatch(/^ran\n$|is full/);
    expect(next).toMatchObject({ end: "exited", code: next.output.text === "ran\n" ? 4 : 254 });
    return filled;
  });

  expect(result).not.toMatchObject({ end: "exited", code: 0 });
  expect(result.end === "exited" ? result.output.text : result.end).toMatch(/No space left|was full|^out-of-memory$/);
});

test("an inode flood in /tmp ends by the memory limit or the file system's", async () => {
  const hog = "mkdir /tmp/hog && cd /tmp/hog && python3 -c 'for n in range(10**7): open(str(n), \"w\").close()'";

  const result = await besideNeighbour(async (sandbox) => say(sandbox, hog, { timeoutMs: 120_000 }));

  expect(result).not.toMatchObject({ end: "exited", code: 0 });
  expect(result.end === "exited" ? result.output.text : result.end).toMatch(/No space left|^out-of-memory$/);
});

test("a sparse file takes no room, has no size beyond the limit, and does not come out", async () => {
  const result = await besideNeighbour(async (sandbox) => {
    expect(await say(sandbox, "truncate -s 7G /tmp/sparse")).toMatchObject({ end: "exited", code: 0 });
    expect(await sandbox.readFile("/tmp/sparse", 1_000_000)).toEqual({ kind: "too-large" });
    return say(sandbox, "truncate -s 100G /tmp/more");
  });

  expect(result).not.toMatchObject({ end: "exited", code: 0 });
  expect(result.output.text).toMatch(/File (?:too large|size limit exceeded)/);
});

test("an output flood is cut inside, counted, and ended at the time limit, or by a full /run/af's name", async () => {
  const result = await besideNeighbour(async (sandbox) => say(sandbox, "yes flood", { timeoutMs: 3_000 }));

  const named = result.end === "exited" ? `code ${result.code}: ${result.output.text.slice(-200)}` : result.end;
  expect(named).toMatch(/^timed-out$|^code 1: [^]*(?:No space left|was full)/);
  expect(result.output.truncated).toBe(true);
  expect(result.output.text).toMatch(/^flood\nflood\n[^]*bytes left out[^]*flood\n/);
  expect(result.output.text.length).toBeLessThan(31_000);
});

test("orphans that left their session, their parent and their environment do not outlive a freeze or the sandbox", async () => {
  const orphans = `setsid sleep 690 & (setsid sh -c 'sleep 691 & exec sleep 692' &)
    env -i setsid /bin/sleep 693 & perl -e 'use POSIX; fork and exit; POSIX::setsid(); fork and exit; exec "sleep", "694"'
    until [ "$(pgrep -fc 'sleep 69[0-4]')" -ge 5 ]; do sleep 0.02; done; echo all; sleep 600`;

  const result = await besideNeighbour(async (sandbox) => {
    const running = say(sandbox, orphans);
    await expect.poll(async () => (await say(sandbox, "pgrep -c sleep")).output.text, { timeout: 20_000 }).toBe("6\n");
    await sandbox.freeze();
    expect(await say(sandbox, "pgrep -c sleep")).toMatchObject({ code: 1, output: { text: "0\n" } });
    return running;
  });

  expect(result).toMatchObject({ end: "killed", output: { text: "all\n" } });
  expect((await engine.list()).map(({ id }) => id)).toEqual([neighbour.id]);
});

test("at a time limit every orphan ends that still has the command's marker", async () => {
  const orphans = `setsid sleep 700 & (setsid sh -c 'sleep 701 & exec sleep 702' &)
    perl -e 'use POSIX; fork and exit; POSIX::setsid(); fork and exit; exec "sleep", "703"'; sleep 704`;

  const result = await besideNeighbour(async (sandbox) => {
    const ended = await say(sandbox, orphans, { timeoutMs: 1_000 });
    expect(await say(sandbox, "pgrep -f 'sleep 70[0-4]'")).toMatchObject({ code: 1 });
    return ended;
  });

  expect(result).toMatchObject({ end: "timed-out" });
});
