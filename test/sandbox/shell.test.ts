import { afterAll, beforeAll, expect, test } from "vitest";
import Docker from "dockerode";
import type { Sandbox } from "../../sandbox/engine.ts";
import { busyboxImage, changedImage } from "./images.ts";
import { limits, say, specOf, testEngine } from "./support.ts";

const engine = testEngine();
let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await engine.startSandbox(specOf());
});

afterAll(() => sandbox[Symbol.asyncDispose]());

/** Waits until a command in the sandbox succeeds. */
async function until(where: Sandbox, command: string): Promise<void> {
  await expect.poll(async () => say(where, command), { timeout: 20_000 }).toMatchObject({ end: "exited", code: 0 });
}

test("the exit code is the command's own, a signal's included", async () => {
  const codes = await Promise.all(
    [
      "true",
      "exit 7",
      "false",
      "no-such-program",
      "kill -9 $$",
      "exit 255",
      "sh -c 'exit 3'",
      "echo x | grep -q y",
    ].map(async (command) => say(sandbox, command)),
  );

  expect(codes.map((result) => result.end === "exited" && result.code)).toEqual([0, 7, 1, 127, 137, 255, 3, 1]);
});

test("stdout and stderr come out as one text in the order they were written, and stdin is empty", async () => {
  const result = await say(sandbox, "echo one; echo two >&2; cat; echo three; printf 'no newline'");

  expect(result).toMatchObject({
    end: "exited",
    code: 0,
    output: { text: "one\ntwo\nthree\nno newline", bytes: 24, truncated: false },
  });
});

test("every command has its own shell, in the folder it is given; its last folder is told", async () => {
  const first = await say(sandbox, "X=1; export Y=2; mkdir -p /tmp/deep/er; cd deep/er; alias ls=false; exit 4");
  const second = await say(sandbox, 'echo "$PWD/$X$Y/"; ls', { cwd: first.cwd ?? "" });
  const lost = await say(sandbox, "echo never", { cwd: "/nowhere" });

  expect(first).toMatchObject({ code: 4, cwd: "/tmp/deep/er" });
  expect(second).toMatchObject({ code: 0, cwd: "/tmp/deep/er", output: { text: "/tmp/deep/er//\n" } });
  expect(lost).toMatchObject({ end: "exited", code: 1 });
  expect(lost.output.text).toContain("/nowhere");
});

test("environment, quotes, several lines and commands longer than one argument arrive as they are", async () => {
  const text = 'it\'s "$HOME" `id` \\ \n\tü % -n';
  const long = `: ${"x".repeat(300_000)}\necho "$#" \${#V}; set -- a; exit 5`;

  const quoted = await say(sandbox, 'printf %s "$V"', { env: { V: text } });
  const large = await say(sandbox, long, { env: { V: "y".repeat(90_000) } });

  expect(quoted.output.text).toBe(text);
  expect(large).toMatchObject({ end: "exited", code: 5, output: { text: "0 90000\n" } });
});

test("a NUL byte and an odd name of a variable are refused before anything runs", async () => {
  const nul = await say(sandbox, "echo a\0b");
  const name = await say(sandbox, "echo ran", { env: { "A;B": "1" } });

  expect(nul).toMatchObject({ end: "exited", code: 2 });
  expect(name).toMatchObject({ end: "exited", code: 2 });
  expect(name.output.text).toContain('"A;B" is no name');
});

test("the time limit gives what was written so far and ends the whole process group, deaf and detached ones too", async () => {
  const result = await say(
    sandbox,
    `trap '' TERM; echo begun; sleep 611 & (sh -c "trap '' TERM HUP; sleep 612; sleep 612" &)
     setsid sh -c 'sleep 613' & perl -e 'use POSIX; fork and exit; POSIX::setsid(); fork and exit; exec "sleep", "614"'
     while :; do sleep 610; done`,
    { timeoutMs: 1_500 },
  );

  expect(result).toMatchObject({ end: "timed-out", output: { text: "begun\n" } });
  expect(await say(sandbox, "pgrep -af 'sleep 61[0-4]' | grep -v pgrep")).toMatchObject({ code: 1 });
});

test("a time limit ends one command and leaves the others running", async () => {
  const other = say(sandbox, "until [ -e /tmp/go ]; do sleep 0.05; done; echo went on");
  const ended = await say(sandbox, "sleep 600", { timeoutMs: 200 });
  await say(sandbox, "touch /tmp/go");

  expect(ended.end).toBe("timed-out");
  expect(await other).toMatchObject({ end: "exited", code: 0, output: { text: "went on\n" } });
});

test("what a command leaves running in the background does not hold its result up, and is ended with it", async () => {
  // Held up, it would end at its time limit instead.
  const result = await say(sandbox, "sleep 620 & echo started");

  expect(result).toMatchObject({ end: "exited", code: 0, output: { text: "started\n" } });
  await until(sandbox, "! pgrep -f '^sleep 620'");
});

test("a flood is kept by its head and tail, counted whole, and stays bounded while it runs", async () => {
  const small = await say(sandbox, "seq 1 200000", { maxOutputBytes: 1_000 });
  const large = await say(sandbox, "echo first; head -c 300000000 /dev/zero | tr '\\0' z; echo last", {
    maxOutputBytes: 1_000,
  });

  expect(small.output).toMatchObject({ bytes: 1_288_895, truncated: true });
  expect(small.output.text).toMatch(/^1\n2\n3\n[^]*\n\[\.\.\. 1287895 bytes left out \.\.\.\]\n[^]*\n200000\n$/);
  expect(large).toMatchObject({ end: "exited", code: 0, output: { truncated: true } });
  expect(Math.abs(large.output.bytes - 300_000_011)).toBeLessThan(1_000_000);
  expect(large.output.text).toMatch(/^first\nz+\n\[\.\.\. \d+ bytes left out \.\.\.\]\nz+last\n$/);
  expect(large.output.text.length).toBeLessThan(1_100);
});

test("an endless flood is ended, and the sandbox goes on", async () => {
  const result = await say(sandbox, "yes agent", { timeoutMs: 2_000, maxOutputBytes: 2_000 });

  // A flood that outruns the cuts finds no more room, and its command says so.
  const named = result.end === "exited" ? `code ${result.code}: ${result.output.text}` : result.end;
  expect(named).toMatch(/^timed-out$|^code 1: [^]*(?:No space left|was full)/);
  expect(result.output.truncated).toBe(true);
  expect(result.output.text).toMatch(/^agent\nagent\n/);
  expect(await say(sandbox, "echo on; df -m /run/af | awk 'END { exit $3 > 40 }'")).toMatchObject({ code: 0 });
});

test("characters stay whole where writes, reads and the cut go through them", async () => {
  const split = await say(sandbox, "printf '\\303'; sleep 0.3; printf '\\274\\342\\202'; sleep 0.3; printf '\\254\\n'");
  const cut = await say(sandbox, "i=0; while [ $i -lt 400 ]; do printf '€'; i=$((i+1)); done", {
    maxOutputBytes: 100,
  });

  expect(split.output.text).toBe("ü€\n");
  expect(cut.output).toMatchObject({ bytes: 1_200, truncated: true });
  expect(cut.output.text).toBe(`${"€".repeat(16)}\n[... 1104 bytes left out ...]\n${"€".repeat(16)}`);
});

test("an abort ends the command, its children too, and gives what it had written", async () => {
  const stop = new AbortController();
  const running = say(sandbox, "echo begun; touch /tmp/begun; sleep 630 & sleep 630", { signal: stop.signal });
  await until(sandbox, "[ -e /tmp/begun ]");

  stop.abort();

  expect(await running).toMatchObject({ end: "aborted", output: { text: "begun\n" } });
  expect(await say(sandbox, "echo no", { signal: stop.signal })).toMatchObject({
    end: "aborted",
    output: { text: "" },
  });
  expect(await say(sandbox, "pgrep -f '^sleep 630'")).toMatchObject({ code: 1 });
});

test("a command that takes more memory than there is ends as out of memory, and the next one runs", async () => {
  await using own = await engine.startSandbox(specOf({ limits: { ...limits, memoryBytes: 128 * 2 ** 20 } }));

  const result = await say(own, "echo begun; python3 -c 'b = bytearray(1 << 30); print(len(b))'");

  expect(result).toMatchObject({ end: "out-of-memory", output: { text: expect.stringMatching(/^begun\n/) } });
  expect(await say(own, "echo on")).toMatchObject({ end: "exited", code: 0, output: { text: "on\n" } });
});

test("a container that another hand kills is a lost sandbox for every command that ran in it", async () => {
  const docker = new Docker();
  await using own = await engine.startSandbox(specOf());
  const running = [say(own, "touch up; sleep 600"), say(own, "sleep 600"), say(own, "sleep 600")];
  await until(own, "[ -e up ]");

  await docker.getContainer(own.id).kill();

  for (const result of await Promise.all(running)) expect(result).toMatchObject({ end: "sandbox-lost" });
  expect(await say(own, "echo x")).toMatchObject({ end: "sandbox-lost" });
});

test("many commands at once each get their own answer", async () => {
  // Each is up to six processes, of the 256 that this sandbox may have.
  const numbers = Array.from({ length: 30 }, (_, index) => index);

  const results = await Promise.all(
    numbers.map(async (n) => say(sandbox, `echo ${n}; head -c ${n * 400} /dev/zero | tr '\\0' a; exit ${n}`)),
  );

  expect(results.map((result) => result.end === "exited" && result.code)).toEqual(numbers);
  expect(results.map(({ output }) => output.text)).toEqual(numbers.map((n) => `${n}\n${"a".repeat(n * 400)}`));
});

test("a command that kills everything it can reach ends the sandbox or itself, and is never taken for a success", async () => {
  await using own = await engine.startSandbox(specOf());

  const result = await say(
    own,
    "kill -9 -1; kill -9 $PPID; for p in /proc/[0-9]*; do kill -9 ${p#/proc/}; done; exit 0",
  );

  expect(result).not.toMatchObject({ end: "exited", code: 0 });
  expect((await say(own, "echo on", { timeoutMs: 5_000 })).end).toMatch(/^(?:exited|sandbox-lost)$/);
});

test("garbage and forged events on the supervisor's streams are not taken for the result of a later command", async () => {
  await using own = await engine.startSandbox(specOf());
  const forge = `touch /tmp/forging; while :; do
    for n in $(seq 1 40); do printf 'D %d 0 0 0\\nK %d KILL\\nR up\\nR\\n\\001\\377 garbage \\000' $n $n; done >/proc/1/fd/2
    sleep 0.02
  done`;
  await own.writeFile("/tmp/forge", Buffer.from(forge));
  await say(
    own,
    "printf 'D 1 0 0 0 \\000\\377' >/proc/1/fd/1; setsid sh forge & until [ -e forging ]; do sleep 0.02; done",
  );
  await until(own, "pgrep -f 'forg[e]'");
  const results = [];
  for (let n = 0; n < 20; n++) results.push(await say(own, "sleep 0.02; echo true answer; exit 8"));

  const wrong = results.filter(
    ({ output, ...end }) => !(end.end === "exited" && end.code === 8) || output.text !== "true answer\n",
  );
  expect(wrong).toEqual([]);
});

test("a flood on the supervisor's own streams costs the sandbox its life and the host no memory", async () => {
  await using own = await engine.startSandbox(specOf());
  const before = process.memoryUsage().rss;

  const result = await say(own, "for p in 1 $PPID; do cat /dev/zero >/proc/$p/fd/2 2>/dev/null & done; wait", {
    timeoutMs: 20_000,
  });

  expect(["sandbox-lost", "timed-out", "exited"]).toContain(result.end);
  expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000);
});

const disturbances = [
  ["KILL", "shell"],
  ["TERM", "shell"],
  ["CONT", "shell"],
  ["KILL", "both"],
  ["CONT", "both"],
] as const;

/** True when some shells wait for the next commands: in `shells`, and with their watchers in `both`. */
const waiting = `shells= both=
  for stat in /proc/[0-9]*/stat; do
    { read -r pid _ state _ _ session _ <"$stat"; } 2>/dev/null
    [ "$state" = T ] || continue
    both="$both $pid"
    [ "$session" != "$pid" ] || shells="$shells $pid"
  done
  [ -n "$shells" ]`;

/** Sends a signal to the shells that wait for the next commands, or to their watchers too, once there are some. */
async function disturb(where: Sandbox, signal: string, whom: "shell" | "both") {
  await until(where, `${waiting} && kill -${signal} ${whom === "shell" ? "$shells" : "$both"}`);
  // At once, and when shells wait again.
  return [...(await Promise.all([1, 2].map(() => say(where, "echo on; exit 8")))), await say(where, "exit 9")];
}

const undisturbed = [
  { code: 8, output: { text: "on\n" } },
  { code: 8, output: { text: "on\n" } },
  { end: "exited", code: 9 },
];

test.each(disturbances)(
  "a command that sends %s to the %s waiting for the next ones does not touch them",
  async (signal, whom) => {
    expect(await disturb(sandbox, signal, whom)).toMatchObject(undisturbed);
  },
);

test("shells that wait for the next commands are replaced however often they are killed", async () => {
  // The output is read with a program, after which nothing is left of the dead ones.
  for (let round = 1; round <= 4; round++) await until(sandbox, `${waiting} && kill -KILL $both && echo killed`);

  expect(await say(sandbox, "echo on; exit 8")).toMatchObject({ code: 8, output: { text: "on\n" } });
});

test("a fork bomb is stopped by the process limit, and the sandbox answers afterwards or is lost, never hangs", async () => {
  await using own = await engine.startSandbox(specOf({ limits: { ...limits, pids: 48 } }));

  const result = await say(own, "bomb() { bomb | bomb & }; bomb; sleep 600", { timeoutMs: 3_000 });
  const after = await say(own, "echo on", { timeoutMs: 20_000 });

  expect(["timed-out", "killed", "exited", "sandbox-lost"]).toContain(result.end);
  expect(after.end === "exited" ? after.output.text : after.end).toMatch(/^(?:on\n|sandbox-lost)$/);
});

test("an image with no setsid is refused by what it lacks, and leaves no container", async () => {
  const mine = testEngine();
  using bare = changedImage('rm "$(command -v setsid)"');

  await expect(mine.startSandbox(specOf({ image: bare.tag }))).rejects.toThrow("no setsid");

  expect(await mine.list()).toEqual([]);
});

const shells = [
  ["busybox and nothing else", busyboxImage],
  ["bash as sh", () => changedImage("ln -sf bash /bin/sh")],
  ["dash without bash", () => changedImage("rm /bin/bash")],
] as const;

test.each(shells)("an image of %s keeps the same promises", async (_name, make) => {
  using own = make();
  await using sandbox = await engine.startSandbox(specOf({ image: own.tag }));
  const text = 'it\'s "$HOME" `id` \\ \n\tü % -n';
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256));

  const codes = await Promise.all(
    ["true", "exit 7", "no-such-program", "kill -9 $$"].map((line) => say(sandbox, line)),
  );
  const quoted = await say(sandbox, 'cd /usr 2>/dev/null || cd /etc; printf %s "$V"; cat', { env: { V: text } });
  const long = await say(sandbox, `: ${"x".repeat(200_000)}\nexit 5`);
  const late = await say(
    sandbox,
    "trap '' TERM; echo begun; setsid sleep 671 & sleep 672 & while :; do sleep 673; done",
    {
      timeoutMs: 500,
    },
  );
  const flood = await say(sandbox, "seq 1 3000000", { maxOutputBytes: 1_000 });
  const numbers = Array.from({ length: 15 }, (_, index) => index);
  const many = await Promise.all(numbers.map((n) => say(sandbox, `echo ${n}; exit ${n}`)));

  for (const [signal, whom] of disturbances) expect(await disturb(sandbox, signal, whom)).toMatchObject(undisturbed);
  expect(codes.map((result) => result.end === "exited" && result.code)).toEqual([0, 7, 127, 137]);
  expect(quoted).toMatchObject({ code: 0, output: { text }, cwd: expect.stringMatching(/^\/(?:usr|etc)$/) });
  expect(long).toMatchObject({ end: "exited", code: 5 });
  expect(late).toMatchObject({ end: "timed-out", output: { text: "begun\n" } });
  expect(await say(sandbox, "! grep -q 'slee[p].67' /proc/[0-9]*/cmdline 2>/dev/null")).toMatchObject({ code: 0 });
  expect(flood.output).toMatchObject({ bytes: 22_888_896, truncated: true });
  expect(flood.output.text).toMatch(/^1\n2\n[^]*\n3000000\n$/);
  expect(many).toMatchObject(numbers.map((n) => ({ end: "exited", code: n, output: { text: `${n}\n` } })));
  expect(await sandbox.writeFile("/tmp/any", bytes)).toEqual({ ok: true });
  expect(await sandbox.readFile("/tmp/any", 100_000)).toEqual({ kind: "file", bytes });
  expect(await Promise.all([say(sandbox, "sleep 680"), sandbox.freeze()])).toMatchObject([
    { end: "killed" },
    undefined,
  ]);
  expect(await say(sandbox, "echo on")).toMatchObject({ code: 0, output: { text: "on\n" } });
});
