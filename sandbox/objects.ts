import { createHash, randomUUID } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { EngineAway } from "./docker.ts";
import type { Engine, Mount } from "./engine.ts";
import { git, gitStream } from "./git.ts";
import { helperFailure, runHelper } from "./helper.ts";

/** Where a run's objects come from. Both must be readable by other users, since helpers run as user 1000. */
export interface Sources {
  /** Absolute path of a bare repository on the host. Only its `objects` are mounted, read-only. */
  mirror: string;
  /** Further `objects` folders on the host, of which the packs are seen. */
  extraObjects?: string[];
}

/** "shared": the engine mounts this machine's folders. "sent": it does not see them, so it is sent what is in them. */
export type Folders = "shared" | "sent";

/** The objects of `sources`, as containers have them. Disposing removes what was sent for the run alone. */
export interface Objects extends AsyncDisposable {
  readonly mounts: Mount[];
  /** Volumes that have to stay as long as these are used. */
  readonly volumes: string[];
  /** To be awaited before a container looks at a commit. */
  send(commit: string, signal?: AbortSignal): Promise<void>;
}

const script = readFileSync(new URL("objects.sh", import.meta.url), "utf8");
const limitMs = 900_000;
const labels = { run: "~probe", role: "probe" };
/** Of the commits that were sent, so many say what need not be sent again. */
const mostKnown = 100;

/** Tries whether a container sees a file of the host's folder `dir`. */
export async function probeFolders(engine: Engine, dir: string): Promise<Folders> {
  const folder = await mkdtemp(join(dir, "agent-fix-probe-"));
  try {
    const token = randomUUID();
    await chmod(folder, 0o755);
    await writeFile(join(folder, "token"), token);
    const mounts: Mount[] = [{ hostDir: folder, at: "/probe", readOnly: true }];
    const seen = await runHelper(engine, {
      ...labels,
      script: "cat /probe/token",
      args: [],
      mounts,
      timeoutMs: 60_000,
      maxStdoutBytes: 1_000,
    });
    return seen.stdout.toString("latin1") === token ? "shared" : "sent";
  } catch (error) {
    // An engine that has no such folder refuses the container.
    if (error instanceof EngineAway) throw error;
    return "sent";
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What containers of a run need to read commits of `sources`, before the commits themselves are sent. */
export async function openObjects(
  engine: Engine,
  { run, sources, commit: sample }: { run: string; sources: Sources; commit: string },
  signal?: AbortSignal,
): Promise<Objects> {
  const { mirror, extraObjects = [] } = sources;
  if ((await engine.folders()) === "shared") return mounted(sources);
  await using stack = new AsyncDisposableStack();
  const format = sample.length === 64 ? "sha256" : "sha1";
  const openStore = () => engine.createVolume({ kept: `objects-${hashOf(mirror)}`, isOne: true });
  const store = await openStore();
  const extras: string[] = [];
  for (const folder of extraObjects) {
    const { name } = await engine.createVolume({ run, role: "objects" });
    stack.defer(() => engine.removeVolume(name));
    extras.push(name);
    await sendPacks(engine, { run, volume: name, format, folder }, signal);
  }
  const owned = stack.move();
  const volumes = [store.name, ...extras];
  return {
    volumes,
    mounts: volumes.map((volume, index) => ({ volume, at: mirrorAt(index), readOnly: true })),
    async send(commit, until) {
      // Until something stood on it, an eviction could have taken it.
      await openStore();
      await sendHistory(engine, { run, volume: store.name, format, sources, commit }, until);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Where containers have the objects of the mirror (0), and further ones. */
export function mirrorAt(index: number): string {
  return `/mirror/${index}`;
}

function mounted({ mirror, extraObjects = [] }: Sources): Objects {
  // What else lies there names folders of the host.
  const packs = extraObjects.map(
    (folder, index) => ({ hostDir: `${folder}/pack`, at: `${mirrorAt(index + 1)}/pack`, readOnly: true }) as const,
  );
  return {
    volumes: [],
    mounts: [{ hostDir: `${mirror}/objects`, at: mirrorAt(0), readOnly: true }, ...packs],
    send: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

interface Store {
  run: string;
  volume: string;
  /** Of its objects' names. */
  format: "sha1" | "sha256";
}

/** Sends a commit with its history, without what is there already. Several at once send some of it twice. */
async function sendHistory(
  engine: Engine,
  { sources, commit, ...store }: Store & { sources: Sources; commit: string },
  signal?: AbortSignal,
): Promise<void> {
  const [wanted] = await found(sources, [commit, `${commit}^1`]);
  if (wanted === undefined) return;
  const told = await work(engine, store, { args: ["tell"] }, signal);
  const there = told.split("\n").filter(Boolean);
  if (there.includes(wanted)) return;
  const known = await found(sources, there.slice(0, mostKnown));
  const revs = [wanted, ...known.map((one) => `^${one}`)].map((line) => `${line}\n`).join("");
  const packed = gitStream(["pack-objects", "--revs", "--stdout", "-q"], {
    gitDir: sources.mirror,
    stdin: revs,
    timeoutMs: limitMs,
    ...(signal !== undefined && { signal }),
  });
  await work(engine, store, { args: ["add", store.format, wanted], stdin: packed }, signal);
}

/** The commits of these that the mirror has itself; what a run made on top of them is sent apart. */
async function found({ mirror, extraObjects = [] }: Sources, names: readonly string[]): Promise<string[]> {
  const own = { gitDir: mirror, stdin: names.map((name) => `${name}\n`).join("") };
  const all = { ...own, env: { GIT_ALTERNATE_OBJECT_DIRECTORIES: extraObjects.join(":") } };
  const ids = commitsIn(await git(["cat-file", "--batch-check"], all));
  return commitsIn(await git(["cat-file", "--batch-check"], { ...own, stdin: ids.map((id) => `${id}\n`).join("") }));
}

function commitsIn(answer: Buffer): string[] {
  return [...answer.toString("latin1").matchAll(/^(\w+) commit \d+$/gm)].map((match) => match[1] ?? "");
}

async function sendPacks(
  engine: Engine,
  { folder, ...store }: Store & { folder: string },
  signal?: AbortSignal,
): Promise<void> {
  const names = await readdir(join(folder, "pack")).catch(() => []);
  for (const name of names.filter((one) => one.endsWith(".pack"))) {
    const stdin = createReadStream(join(folder, "pack", basename(name)));
    await work(engine, store, { args: ["add", store.format], stdin }, signal);
  }
}

async function work(
  engine: Engine,
  { run, volume }: Store,
  { args, stdin }: { args: string[]; stdin?: AsyncIterable<Uint8Array> },
  signal?: AbortSignal,
): Promise<string> {
  const result = await runHelper(
    engine,
    {
      run,
      role: "objects",
      script,
      args,
      mounts: [{ volume, at: "/workspace" }],
      timeoutMs: limitMs,
      maxStdoutBytes: 2 ** 20,
      ...(stdin !== undefined && { stdin }),
    },
    signal,
  );
  if (result.end !== "exited" || result.code !== 0) throw helperFailure("send the repository to the engine", result);
  return result.stdout.toString("latin1");
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
