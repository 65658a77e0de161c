import { randomBytes } from "node:crypto";
import { assert, asyncProperty, uint8Array } from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEngine, type Sandbox } from "../../sandbox/engine.ts";
import { image, say, shell, specOf, testEngine } from "./support.ts";

const engine = testEngine();
let sandbox: Sandbox;

beforeAll(async () => {
  const { name } = await engine.createVolume({ run: "run-1", role: "workspace" });
  sandbox = await engine.startSandbox(specOf({ mounts: [{ volume: name, at: "/workspace" }] }));
});

afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  for (const { kind, id } of await engine.list()) if (kind === "volume") await engine.removeVolume(id);
});

test("the sandbox names the image it runs, by its reference and by its content", async () => {
  expect(sandbox.image).toEqual({ ref: image, id: (await engine.ensureImage(image)).id });
});

test("bytes that are written are the bytes that are read, whatever they are", async () => {
  await assert(
    asyncProperty(uint8Array({ maxLength: 2_000 }), async (bytes) => {
      expect(await sandbox.writeFile("/tmp/any", bytes)).toEqual({ ok: true });
      expect(await sandbox.readFile("/tmp/any", 4_000)).toEqual({ kind: "file", bytes: Buffer.from(bytes) });
    }),
    { numRuns: 25 },
  );
});

test("a file of eight megabytes goes in and out whole, and one byte more is refused", async () => {
  const bytes = randomBytes(8_000_000);

  expect(await sandbox.writeFile("/tmp/large", bytes)).toEqual({ ok: true });
  expect(await sandbox.readFile("/tmp/large", 8_000_000)).toEqual({ kind: "file", bytes });
  expect(await sandbox.readFile("/tmp/large", 7_999_999)).toEqual({ kind: "too-large" });
  expect(await sandbox.writeFile("/tmp/large", randomBytes(8_000_001))).toEqual({
    ok: false,
    reason: "files over 8000000 bytes can't be written",
  });
  await expect(sandbox.readFile("/tmp/large", 8_000_001)).rejects.toThrow("8000000");
});

test("what can't be read is told apart: nothing there, a folder, a device, a pipe, a locked file, a file without end", async () => {
  await shell(sandbox, "mkdir -p d; mkfifo pipe; echo x >locked; chmod 0 locked; truncate -s 7G sparse", "/tmp");

  const kinds = await Promise.all(
    ["nothing", "d", "/dev/zero", "pipe", "locked", "sparse", "nothing/below", "a\0b"].map(
      async (path) => (await sandbox.readFile(path, 1_000)).kind,
    ),
  );

  const unreadable = Array(3).fill("unreadable");
  expect(kinds).toEqual(["missing", "directory", ...unreadable, "too-large", "missing", "missing"]);
});

test("a link is followed inside the sandbox alone: no link leads to a file of the host", async () => {
  const secret = `canary-${randomBytes(8).toString("hex")}`;
  process.env["AGENT_FIX_CANARY"] = secret;
  await shell(
    sandbox,
    "ln -s /proc/1/environ env; ln -s ../../../../../etc/hostname up; ln -s /proc/1/root/etc/hostname root; ln -s up chain",
    "/tmp",
  );
  const own = await shell(sandbox, "cat /etc/hostname", "/tmp");

  const read = async (path: string) => {
    const file = await sandbox.readFile(path, 10_000);
    return file.kind === "file" ? file.bytes.toString() : file.kind;
  };

  expect([await read("up"), await read("root"), await read("chain")]).toEqual([own, own, own]);
  expect(sandbox.id.startsWith(own.trim())).toBe(true);
  expect(await read("env")).not.toContain(secret);
  delete process.env["AGENT_FIX_CANARY"];
});

test("writing makes parent folders, keeps the mode of what is there, and follows names that look like options", async () => {
  await shell(sandbox, "echo old >tool; chmod 750 tool", "/tmp");

  const written = [
    await sandbox.writeFile("tool", Buffer.from("new\n")),
    await sandbox.writeFile("/workspace/a b/'q'/ü", Buffer.from("deep\n")),
    await sandbox.writeFile("-n", Buffer.from("dash\n")),
    await sandbox.writeFile("$(touch /tmp/ran)`touch /tmp/ran`", Buffer.from("plain\n")),
  ];

  expect(written.filter(({ ok }) => !ok)).toEqual([]);
  expect(
    await shell(sandbox, "stat -c %a tool; cat tool ./-n \"/workspace/a b/'q'/ü\"; ls ran 2>&1 || :", "/tmp"),
  ).toBe("750\nnew\ndash\ndeep\nls: cannot access 'ran': No such file or directory\n");
});

test("a file that can't be written says why, and leaves nothing staged", async () => {
  await shell(sandbox, "mkdir -p folder; echo x >file", "/tmp");

  const reasons = [
    await sandbox.writeFile("/etc/passwd", Buffer.from("x")),
    await sandbox.writeFile("folder", Buffer.from("x")),
    await sandbox.writeFile("file/below", Buffer.from("x")),
    await sandbox.writeFile("a\0b", Buffer.from("x")),
  ].map((written) => (written.ok ? "written" : written.reason));

  expect(reasons[0]).toMatch(/Read-only file system|Permission denied/);
  expect(reasons[1]).toBe("it is a folder");
  expect(reasons[2]).toMatch(/File exists|Not a directory/);
  expect(reasons[3]).toContain("NUL");
  expect(await shell(sandbox, "ls /run/af | grep -c ^in || :", "/tmp")).toBe("0\n");
});

test("freezing ends every process, those that left their session too, and the files stay", async () => {
  await using own = await engine.startSandbox(specOf());
  const running = say(own, "(setsid sh -c 'sleep 600' &) ; echo begun; echo kept >kept; sleep 600");
  await expect.poll(async () => (await say(own, "pgrep -c sleep")).output.text, { timeout: 20_000 }).toBe("2\n");

  await own.freeze();

  expect(await running).toMatchObject({ end: "killed", output: { text: "begun\n" } });
  expect((await say(own, "pgrep -c sleep; cat kept")).output.text).toBe("0\nkept\n");
});

test("disposing removes the container with whatever runs in it, and can be done twice", async () => {
  const mine = testEngine();
  const own = await mine.startSandbox(specOf());
  const running = say(own, "trap '' TERM; sleep 600");

  await own[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();

  expect(await running).toMatchObject({ end: "sandbox-lost" });
  expect(await say(own, "echo x")).toMatchObject({ end: "sandbox-lost" });
  expect(await own.readFile("/tmp/x", 10)).toEqual({ kind: "unreadable", detail: "the sandbox is gone" });
  expect(await own.writeFile("/tmp/x", Buffer.from("x"))).toEqual({ ok: false, reason: "the sandbox is gone" });
  expect(await mine.list()).toEqual([]);
});

test("a start that is aborted, or whose image has no shell, leaves no container", async () => {
  const mine = testEngine();
  const stop = new AbortController();
  stop.abort(new Error("not needed any more"));

  await expect(mine.startSandbox(specOf(), stop.signal)).rejects.toThrow("not needed any more");
  await expect(mine.startSandbox(specOf({ cwd: "/proc/1/nowhere" }))).rejects.toThrow("/proc/1/nowhere");

  expect(await mine.list()).toEqual([]);
});

test("an engine that is away is told by its address and by what to do, whatever is asked of it", async () => {
  const away = createEngine({ instance: "x", image, host: "unix:///nonexistent/docker.sock" });

  const asked = await Promise.allSettled([
    away.facts(),
    away.ensureImage(image),
    away.startSandbox(specOf()),
    away.runOnce({ ...specOf(), command: ["true"], timeoutMs: 1_000, maxStdoutBytes: 0 }),
    away.createVolume({ run: "r", role: "workspace" }),
    away.list(),
    away.remove("0"),
    away.removeVolume("v"),
  ]);

  for (const result of asked) {
    expect(result).toMatchObject({ status: "rejected", reason: { name: "EngineAway" } });
    expect(String(result.status === "rejected" && result.reason)).toMatch(
      /\/nonexistent\/docker.sock.*npm run setup.*DOCKER_HOST/,
    );
  }
});

test("a host that is no engine, and an address that is none, are named", async () => {
  const closed = createEngine({ instance: "x", image, host: "tcp://127.0.0.1:1" });

  await expect(closed.facts()).rejects.toThrow("No Docker engine answers at tcp://127.0.0.1:1");
  expect(() => createEngine({ instance: "x", image, host: "ssh://me@there" })).toThrow("expected unix://");
});

test("an image that is not to be had is named with what to do, and leaves nothing", async () => {
  const mine = testEngine();
  const missing = "localhost:1/agent-fix/none:1";

  const asked = await Promise.allSettled([
    mine.ensureImage(missing),
    mine.startSandbox(specOf({ image: missing })),
    mine.runOnce({ ...specOf({ image: missing }), command: ["true"], timeoutMs: 1_000, maxStdoutBytes: 0 }),
    mine.ensureImage("NO IMAGE"),
    mine.ensureImage("NONE"),
    mine.ensureImage("x/../../containers"),
    mine.ensureImage(""),
  ]);

  for (const result of asked) expect(result).toMatchObject({ status: "rejected", reason: { name: "ImageMissing" } });
  const [first] = asked;
  expect(String(first?.status === "rejected" && first.reason)).toMatch(/localhost:1\/agent-fix\/none:1.*docker load/s);
  expect(await mine.list()).toEqual([]);
});
