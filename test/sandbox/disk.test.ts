import { expect, test } from "vitest";
import { type DiskLimit, measure } from "../../sandbox/disk.ts";
import type { Sandbox } from "../../sandbox/engine.ts";
import { copyWorkspace, createWorkspace, repoDir, type Workspace } from "../../sandbox/workspace.ts";
import { say, shell, specOf, testEngine, testRepository } from "./support.ts";

const engine = testEngine();
const megabyte = 2 ** 20;
// The disk is looked at when it lost so much that a flood of less would not be seen at once.
const fill = "dd if=/dev/zero of=hog bs=1M count=400 status=none && sync hog && echo written && sleep 600";
const flood = `mkdir hog && cd hog && python3 -c 'for n in range(30000): open(str(n), "w").close()' && echo written && sleep 600`;
const overBytes = "[agent-fix: the tree grew over 100 MB, its limit, and everything was ended]";
const overFiles = "[agent-fix: the tree grew over 10000 files, its limit, and everything was ended]";

async function trees(count: number) {
  await using stack = new AsyncDisposableStack();
  const repository = stack.use(testRepository({ "a.txt": "one\n" }));
  const [commit = ""] = repository.commits;
  const base = stack.use(await createWorkspace(engine, { run: "r", sources: repository, commit }));
  const made: Workspace[] = [];
  for (let n = 0; n < count; n++) {
    made.push(stack.use(await copyWorkspace(engine, base, { run: "r", sources: repository })));
  }
  const owned = stack.move();
  return { made, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function limitOf({ upper, volume }: Workspace, more: Partial<DiskLimit> = {}): DiskLimit {
  return { volume: upper ?? volume, maxBytes: 100 * megabyte, maxFiles: 10_000, ...more };
}

async function guarded(workspace: Workspace, more: Partial<DiskLimit> = {}): Promise<Sandbox> {
  return engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir, disk: limitOf(workspace, more) }));
}

test.each([
  ["bytes", fill, overBytes],
  ["files", flood, overFiles],
])(
  "a command that fills its tree with %s is killed by that name; the next one works and can delete",
  async (_of, hog, note) => {
    await using places = await trees(1);
    const [workspace] = places.made;
    if (workspace === undefined) throw new Error("no tree");
    await using sandbox = await guarded(workspace);

    const result = await say(sandbox, hog, { cwd: repoDir, timeoutMs: 120_000 });

    expect(result).toMatchObject({ end: "killed" });
    expect(result.output.text).toContain(note);
    expect(await shell(sandbox, "rm -r hog && ls && cat a.txt")).toBe("a.txt\none\n");
    const left = await measure(engine, limitOf(workspace).volume);
    expect(left.bytes).toBeLessThan(megabyte);
    expect(left.files).toBeLessThan(100);
  },
);

test("a neighbour on the same disk goes on, however large its sparse files look", async () => {
  await using places = await trees(2);
  const [one, other] = places.made;
  if (one === undefined || other === undefined) throw new Error("no trees");
  await using hog = await guarded(one);
  await using neighbour = await guarded(other);
  await shell(neighbour, "truncate -s 7G sparse && ls -s sparse | grep -q '^0 '");
  // Its own watchdog has looked, too, by the time that this ends.
  const waiting = say(neighbour, "until [ -e go ]; do sleep 0.05; done; sleep 1; echo on; exit 7", { cwd: repoDir });

  const result = await say(hog, fill, { cwd: repoDir, timeoutMs: 120_000 });
  await shell(neighbour, "touch go");

  expect(result).toMatchObject({ end: "killed" });
  expect(await waiting).toMatchObject({ end: "exited", code: 7, output: { text: "on\n" } });
  expect((await measure(engine, limitOf(other).volume)).bytes).toBeLessThan(megabyte);
});

test.each([
  ["bytes", fill, overBytes],
  ["files", flood, overFiles],
])(
  "a container with one command that fills its tree with %s ends as killed, by that name, and is gone",
  async (_of, hog, note) => {
    await using places = await trees(1);
    const [workspace] = places.made;
    if (workspace === undefined) throw new Error("no tree");
    const spec = { ...specOf({ mounts: workspace.mounts, cwd: repoDir }), disk: limitOf(workspace) };

    const result = await engine.runOnce({
      ...spec,
      command: ["/bin/sh", "-c", hog],
      timeoutMs: 120_000,
      maxStdoutBytes: 1_000,
    });

    expect(result).toMatchObject({ end: "killed", reason: note.slice("[agent-fix: ".length, -1) });
    expect(result.output.text).toContain(`\n${note}\n`);
    expect((await engine.list()).filter(({ kind }) => kind === "container")).toEqual([]);
  },
);

test("one that ends within its limit, by itself or by its caller's signal, ends as it does without a watchdog", async () => {
  await using places = await trees(1);
  const [workspace] = places.made;
  if (workspace === undefined) throw new Error("no tree");
  const spec = { ...specOf({ mounts: workspace.mounts, cwd: repoDir }), disk: limitOf(workspace) };
  const once = { ...spec, timeoutMs: 60_000, maxStdoutBytes: 1_000 };
  const stop = new AbortController();

  const result = await engine.runOnce({ ...once, command: ["sh", "-c", "echo >b; ls; exit 3"] });
  const stopping = engine.runOnce({ ...once, command: ["sleep", "600"] }, stop.signal);
  await expect.poll(async () => (await engine.list()).some(({ kind }) => kind === "container")).toBe(true);
  stop.abort();

  expect(result).toMatchObject({ end: "exited", code: 3, output: { text: "a.txt\nb\n" } });
  expect(await stopping.catch((error: unknown) => error)).toSatisfy(
    (ended) => ended instanceof Error || (ended as { end: string }).end === "aborted",
  );
});

test("a volume measures the same from the host and in a helper: blocks, and each file once whatever its names", async () => {
  await using places = await trees(1);
  const [workspace] = places.made;
  if (workspace === undefined) throw new Error("no tree");
  const { volume } = limitOf(workspace);
  {
    await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
    await shell(
      sandbox,
      "head -c 3000000 /dev/urandom >big && ln big same && truncate -s 1G sparse && mkdir -p 'a\nb/c' && ln -s / 'a\nb/root' && sync big",
    );
  }

  const here = await measure(engine, volume);
  const inHelper = await measure(engine, { ...volume, mountpoint: "/nowhere" });

  expect(inHelper).toEqual(here);
  expect(here.bytes).toBeGreaterThan(3_000_000);
  expect(here.bytes).toBeLessThan(3_500_000);
});

test("a volume that is gone is an error, not an empty one", async () => {
  await expect(measure(engine, { name: "../nowhere", mountpoint: "/nowhere" })).rejects.toThrow("nowhere");
});
