import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sandbox } from "../../sandbox/engine.ts";
import { seccompHash, seccompProfile } from "../../sandbox/seccomp.ts";
import { say, shell, specOf, testEngine } from "./support.ts";

const engine = testEngine();
const probe = readFileSync(new URL("seccomp-probe.c", import.meta.url));
let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await engine.startSandbox(specOf());
});

afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

test("the profile allows what it lists on the native architecture alone, and its hash names it", () => {
  const profile: {
    defaultAction: string;
    archMap: unknown;
    syscalls: { names: string[]; action: string; errnoRet?: number; args?: unknown[] }[];
  } = JSON.parse(seccompProfile);
  const unconditional = profile.syscalls.filter(({ action, args }) => action === "SCMP_ACT_ALLOW" && !args);

  expect(profile.defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(profile.archMap).toEqual([
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: [] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: [] },
  ]);
  expect(unconditional).toHaveLength(1);
  for (const name of ["ptrace", "bpf", "keyctl", "mount", "socket", "clone", "clone3", "mknod", "personality"])
    expect(unconditional[0]?.names).not.toContain(name);
  expect(createHash("sha256").update(seccompProfile).digest("hex").startsWith(seccompHash)).toBe(true);
  expect(seccompHash).toHaveLength(32);
});

test("every call that could reach the kernel's depths or another process is refused in a live container", async () => {
  await sandbox.writeFile("/tmp/probe.c", probe);

  const said = (await shell(sandbox, "gcc -Wall -o probe probe.c && ./probe", "/tmp")).trim().split("\n");
  const all = Object.fromEntries(
    said.map((line): [string, string] => [line.slice(0, line.lastIndexOf(" ")), line.split(" ").at(-1) ?? ""]),
  );

  const allowed = ["unix", "unix-pair", "tcp", "udp-ipv6", "route", "fifo", "file", "socket-file"];
  expect(Object.keys(all).filter((name) => all[name] === "allowed")).toEqual([
    ...allowed,
    "personality-query",
    "personality-no-randomisation",
  ]);
  const absent = ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret"];
  expect(Object.keys(all).filter((name) => all[name] === "ENOSYS")).toEqual([
    ...absent,
    "a-call-newer-than-the-profile",
  ]);
  const killed = process.arch === "x64" ? ["int-0x80", "x32"] : [];
  expect(Object.keys(all).filter((name) => all[name] === "SIGSYS")).toEqual(killed);
  const judged = new Set(["allowed", "ENOSYS", "SIGSYS"]);
  const rest = Object.entries(all).filter(([, result]) => !judged.has(result));
  expect(rest.filter(([, result]) => result !== "EPERM")).toEqual([]);
  expect(rest.map(([name]) => name)).toEqual(
    expect.arrayContaining(["ptrace-of-pid-1", "bpf", "unshare-user", "sctp"]),
  );
});

const nodeTests = `
import { test } from "node:test";
import assert from "node:assert";
import { createServer } from "node:http";
import { execFile, fork } from "node:child_process";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { watch, writeFileSync } from "node:fs";
test("a worker thread answers", async () => {
  const worker = new Worker("require('worker_threads').parentPort.postMessage(42)", { eval: true });
  assert.equal(await new Promise((done) => worker.once("message", done)), 42);
});
test("a child process answers", async () => {
  assert.equal((await promisify(execFile)("sh", ["-c", "echo hello"])).stdout, "hello\\n");
});
test("a server answers on loopback", async () => {
  const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const answer = await fetch("http://127.0.0.1:" + server.address().port);
  assert.equal(await answer.text(), "hello");
  server.closeAllConnections(); server.close();
});
test("a folder is watched", async () => {
  const watcher = watch(".");
  const changed = new Promise((done) => watcher.once("change", done));
  writeFileSync("watched", "x");
  await changed;
  watcher.close();
});`;

const python = `
import asyncio, multiprocessing, socket, sqlite3, subprocess, tempfile, threading
if __name__ == "__main__":
    said = []
    threads = [threading.Thread(target=said.append, args=(i,)) for i in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    assert sorted(said) == list(range(8))
    for way in ["fork", "spawn", "forkserver"]:
        with multiprocessing.get_context(way).Pool(3) as pool:
            assert pool.map(abs, range(-9, 0)) == list(range(9, 0, -1))
    with tempfile.TemporaryDirectory() as folder:
        base = sqlite3.connect(folder + "/x.db"); base.execute("pragma journal_mode=wal")
        base.execute("create table t (a)"); base.execute("insert into t values (1)"); base.commit()
        assert base.execute("select a from t").fetchall() == [(1,)]
    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert (await child.communicate(b"hello"))[0] == b"hello"
        server = await asyncio.start_server(lambda r, w: (w.write(b"x"), w.close()), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b"x"
    asyncio.run(main())
    left, right = socket.socketpair(); left.send(b"x"); assert right.recv(1) == b"x"
    print("python works")
`;

const threads = `
#include <pthread.h>
#include <stdio.h>
static void *run(void *n) { *(int *)n += 1; return 0; }
int main(void) { pthread_t t; int n = 1; pthread_create(&t, 0, run, &n); pthread_join(t, 0); printf("%d threads\\n", n); return 0; }
`;

test.each([
  [
    "node's test runner with threads, children, servers and watchers",
    "node --test --test-reporter=tap t.mjs | grep -E '^# (pass|fail)'",
    "# pass 4\n# fail 0\n",
  ],
  [
    "npm with a dependency, scripts and npx",
    `mkdir dep && (cd dep && npm init -y >/dev/null && echo 'module.exports = 7' >index.js)
     npm init -y >/dev/null && npm install --offline --no-audit --no-fund ./dep >/dev/null && npm pkg set scripts.test='node -p "require(\\"dep\\")"'
     npm test --silent && npx --offline -c 'echo npx'`,
    "7\nnpx\n",
  ],
  ["python's threads, processes, sqlite and asyncio", "python3 t.py", "python works\n"],
  [
    "pytest",
    "echo 'def test_one(): assert True' >test_one.py && python3 -m pytest -q test_one.py | grep -o '1 passed'",
    "1 passed\n",
  ],
  ["a virtual environment", "python3 -m venv --without-pip v && v/bin/python -c 'print(7)'", "7\n"],
  [
    "gcc with threads, and make with jobs",
    `printf 'all: a b c d\\na b c d: t.c\\n\\tgcc -pthread -o $@ t.c\\n' >Makefile && make -j4 >/dev/null && ./a && ./d`,
    "2 threads\n2 threads\n",
  ],
  [
    "git with commits, clones, worktrees and gc",
    `git init -q r && cd r && git config user.email a@b.c && git config user.name a && echo x >x && git add x && git commit -qm x &&
     git gc -q --aggressive && git worktree add -q ../w && git clone -q . ../c && git -C ../c fsck --strict 2>/dev/null && git -C ../c log --format=%s`,
    "x\n",
  ],
  [
    "perl, tar, compressors, links and pipes",
    `perl -e 'if (!fork) { exit 3 } wait; print $? >> 8, "\\n"' && mkdir d && echo x >d/x && ln -s x d/l && mkfifo d/f &&
     tar cJf d.tar.xz d && tar czf d.tar.gz d && mkdir e && tar xf d.tar.xz -C e && ls e/d && cp -a d g && diff -q d/x g/x`,
    "3\nf\nl\nx\n",
  ],
  [
    "job control, priorities, limits and a layout that is not randomised",
    `set -m; sleep 60 & kill -STOP %1; kill -CONT %1; kill %1; wait %1 2>/dev/null; echo $?; nice -n 5 nice; taskset -c 0 nproc; timeout 5 echo in time; setarch -R echo fixed; flock l echo locked`,
    "143\n5\n1\nin time\nfixed\nlocked\n",
  ],
])("%s work under the profile", async (_what, command, said) => {
  await say(sandbox, "rm -rf /tmp/work");
  await sandbox.writeFile("/tmp/work/t.mjs", Buffer.from(nodeTests));
  await sandbox.writeFile("/tmp/work/t.py", Buffer.from(python));
  await sandbox.writeFile("/tmp/work/t.c", Buffer.from(threads));

  const result = await say(sandbox, command, { cwd: "/tmp/work", env: { HOME: "/tmp/work" } });

  expect(result).toMatchObject({ end: "exited", code: 0, output: { text: said } });
});

test("a one-shot and a helper container have the profile too", async () => {
  const command = ["python3", "-c", "import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)"];

  const result = await engine.runOnce({ ...specOf(), command, timeoutMs: 60_000, maxStdoutBytes: 1_000 });

  expect(result).toMatchObject({ end: "exited", code: 1 });
  expect(result.output.text).toContain("Operation not permitted");
});
