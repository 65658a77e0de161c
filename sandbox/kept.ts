import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Engine } from "./engine.ts";
import { createBase, type Layered } from "./workspace.ts";
import type { Sources } from "./objects.ts";

/** What outlives runs so that others need not wait: base trees of commits, and what set-up added to them. */
export interface KeptTrees {
  /** The tree at a commit, made once however many ask for it at a time. */
  base(repo: string, sources: Sources, commit: string): Promise<Layered>;
  /** The same if it is there already; else the last used one of another commit of this repository. */
  nearestBase(repo: string, commit: string): Promise<Layered | undefined>;
  /** What set-up added, if it was kept under this key and fits the commit. */
  setup(key: string, commit: string): Promise<KeptSetup | undefined>;
  /** Keeps what set-up added. False: it is too large. */
  keepSetup(key: string, setup: KeptSetup & { repo: string; bytes: number }): Promise<boolean>;
  /** Removes what was not used longest until the rest fits, and what nobody has noted. Never what a run stands on. */
  evict(): Promise<string[]>;
  /** Removes everything: for an installation that ends. */
  clear(): Promise<void>;
}

/** The tree after set-up, at the commit that it ran on. The topmost layer is what it added. */
export interface KeptSetup extends Layered {
  /** It fits its own commit alone. */
  bound: boolean;
}

export interface KeptLimits {
  /** Of everything together. */
  maxBytes: number;
  /** Of one set-up. */
  maxSetupBytes: number;
}

const volume = z.object({ name: z.string(), mountpoint: z.string() });
const record = z.object({
  kind: z.enum(["base", "setup"]),
  repo: z.string(),
  commit: z.string(),
  layers: z.array(volume).min(1),
  /** The layers that are this record's own, and go with it. */
  own: z.number(),
  bound: z.boolean(),
  bytes: z.number(),
});
type KeptRecord = z.infer<typeof record>;

const defaultLimits: KeptLimits = { maxBytes: 40 * 2 ** 30, maxSetupBytes: 8 * 2 ** 30 };
// Between finding a tree and standing on it, a run leaves no other trace than the time of its use.
const graceMs = 3600_000;

/** Notes are files in `dir`, whose times tell the last use. A note whose volume is gone counts for nothing. */
export function createKeptTrees(engine: Engine, dir: string, limits: KeptLimits = defaultLimits): KeptTrees {
  const notes = createNotes(dir);
  const making = new Map<string, Promise<Layered>>();

  async function find(key: string): Promise<KeptRecord | undefined> {
    const found = await notes.read(key);
    if (found === undefined) return undefined;
    const there = await Promise.all(found.layers.map(({ name }) => engine.findVolume(name)));
    if (there.every((one) => one !== undefined)) return found;
    await notes.remove(key);
    return undefined;
  }

  async function make(key: string, repo: string, { sources, commit }: { sources: Sources; commit: string }) {
    const known = await find(key);
    if (known !== undefined) return known;
    const { volume, bytes } = await createBase(engine, { sources, commit });
    await notes.write(key, { kind: "base", repo, commit, layers: [volume], own: 1, bound: true, bytes });
    return { layers: [volume], commit };
  }

  return {
    async base(repo, sources, commit) {
      const key = baseKey(repo, commit);
      const made = making.get(key) ?? make(key, repo, { sources, commit });
      making.set(key, made);
      try {
        return await made;
      } finally {
        making.delete(key);
      }
    },
    async nearestBase(repo, commit) {
      const others = async () => (await notes.list()).filter((one) => one.kind === "base" && one.repo === repo);
      return (await find(baseKey(repo, commit))) ?? firstFound(await others(), ({ key }) => find(key));
    },
    async setup(key, commit) {
      const found = await find(nameOf("setup", key));
      return found === undefined || (found.bound && found.commit !== commit) ? undefined : found;
    },
    async keepSetup(key, { layers, bound, repo, commit, bytes }) {
      if (bytes > limits.maxSetupBytes) return false;
      await notes.write(nameOf("setup", key), {
        kind: "setup",
        repo,
        commit,
        layers: [...layers],
        own: 1,
        bound,
        bytes,
      });
      return true;
    },
    evict: () => evict(engine, notes, limits),
    async clear() {
      for (const { volume } of await engine.listKept()) await engine.removeVolume(volume);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function firstFound<T, R>(all: readonly T[], look: (one: T) => Promise<R | undefined>): Promise<R | undefined> {
  for (const one of all) {
    const found = await look(one);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function evict(engine: Engine, notes: Notes, limits: KeptLimits): Promise<string[]> {
  const volumes = await engine.listKept();
  const inUse = new Set(volumes.filter((one) => one.inUse).map((one) => one.volume));
  const removed: string[] = [];
  let bytes = 0;
  const known = await notes.list();
  for (const one of known) {
    bytes += one.bytes;
    const own = one.layers.slice(0, one.own).map(({ name }) => name);
    const isFree = Date.now() - one.usedAt > graceMs && !own.some((name) => inUse.has(name));
    if (bytes <= limits.maxBytes || !isFree) continue;
    await notes.remove(one.key);
    bytes -= one.bytes;
    for (const name of own) removed.push(...(await removeFree(engine, name)));
  }
  const noted = new Set(known.flatMap(({ layers }) => layers.map(({ name }) => name)));
  for (const { volume, created, inUse } of volumes) {
    if (noted.has(volume) || inUse || Date.now() - created.getTime() < graceMs) continue;
    removed.push(...(await removeFree(engine, volume)));
  }
  return removed;
}

/** A container that mounts the volume keeps it: the engine says so, and it goes another time. */
async function removeFree(engine: Engine, name: string): Promise<string[]> {
  return engine.removeVolume(name).then(
    () => [name],
    () => [],
  );
}

type Noted = KeptRecord & { key: string; usedAt: number };
interface Notes {
  /** Counts as a use. */
  read(key: string): Promise<KeptRecord | undefined>;
  write(key: string, note: KeptRecord): Promise<void>;
  remove(key: string): Promise<void>;
  /** Last used first. */
  list(): Promise<Noted[]>;
}

function createNotes(dir: string): Notes {
  const fileOf = (key: string) => join(dir, `${key}.json`);

  async function parse(key: string): Promise<KeptRecord | undefined> {
    try {
      return record.parse(JSON.parse(await readFile(fileOf(key), "utf8")));
    } catch {
      // A note that can't be read is none: what it named is removed as noted by nobody.
      return undefined;
    }
  }

  return {
    async read(key) {
      const found = await parse(key);
      const now = new Date();
      if (found !== undefined) await utimes(fileOf(key), now, now).catch(() => {});
      return found;
    },
    async write(key, note) {
      await mkdir(dir, { recursive: true });
      const draft = `${fileOf(key)}.${process.pid}`;
      await writeFile(draft, JSON.stringify(note));
      await rename(draft, fileOf(key));
    },
    remove: (key) => rm(fileOf(key), { force: true }),
    async list() {
      const names = await readdir(dir).catch(() => []);
      const keys = names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -5));
      const found = await Promise.all(
        keys.map(async (key) => {
          const [note, times] = await Promise.all([parse(key), stat(fileOf(key)).catch(() => undefined)]);
          return note === undefined || times === undefined ? [] : [{ ...note, key, usedAt: times.mtimeMs }];
        }),
      );
      return found.flat().toSorted((one, other) => other.usedAt - one.usedAt);
    },
  };
}

function baseKey(repo: string, commit: string): string {
  return nameOf("base", `${repo}\0${commit}`);
}

function nameOf(kind: string, key: string): string {
  return `${kind}-${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;
}
