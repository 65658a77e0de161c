import {
  type Content,
  entriesIn,
  existsAt,
  type Folder,
  inFolder,
  inodeOf,
  isFolder,
  isObject,
  lstatAt,
  lstatPath,
  modeOf,
  type NamedEntry,
  namesIn,
  openFolder,
  readAt,
  readInput,
  Refusal,
  refusing,
  type Stat,
} from "./folders.ts";

/**
 * Lists what differs in a tree that nobody trusts, and reads files of it, without git. Every step goes from the
 * descriptor of a folder to a name in it, and follows no link. Where the worker can't see the engine's volumes, the text of
 * this file and of folders.ts runs in a helper container. Paths are latin1 strings, one character per byte.
 */
export interface Place {
  /** The tree as its container sees it. */
  tree: string;
  /** The overlay's own layer of that tree, if there is one: only what is in it can differ. */
  upper?: string;
  /** The layers below, topmost first. */
  lowers: string[];
  /** Without an upper layer: the tree that this one was copied from. */
  reference?: string;
}

/** What the commit holds: path to mode and object id. */
export type Tracked = ReadonlyMap<string, TrackedFile>;
export interface TrackedFile {
  mode: string;
  oid: string;
}

export interface Found {
  path: string;
  /** git's, "unreadable" for what its owner closed, or "unseen" for a file that shows its mode when it is read. */
  mode: string;
  /** Unknown to the commit: it may be a file that is ignored. */
  fresh: boolean;
}
export type Listing = { found: Found[]; deleted: string[] } | { refused: "too many" | "too deep" | "no tree" };
export type Contents = Map<string, Content> | { refused: "too large" };

export function listTree(place: Place, tracked: Tracked, most: number): Listing {
  return refusing<Listing>(() => new Walk(place, tracked, most).list());
}

/** Regular files and links as they are now, "unreadable" ones without bytes; what is neither is left out. */
export function readTree(tree: string, paths: readonly string[], mostBytes: number): Contents {
  return refusing<Contents>(() => {
    const contents = new Map<string, Content>();
    let left = mostBytes;
    using root = openFolder(tree);
    for (const path of paths) {
      const content = readAt(root.fd, path.split("/"), left);
      if (content === undefined) continue;
      left -= content.bytes.length;
      contents.set(path, content);
    }
    return contents;
  });
}

type Names = Map<string, TrackedFile | Names>;
/** A folder in the overlay's own layer, and as the tree shows it. */
interface Both {
  upper: Folder;
  tree: Folder;
  path: string;
}

class Walk {
  readonly #place: Place;
  readonly #tracked: Tracked;
  readonly #names: Names;
  readonly #most: number;
  readonly #found: Found[] = [];
  readonly #deleted = new Set<string>();

  constructor(place: Place, tracked: Tracked, most: number) {
    this.#place = place;
    this.#tracked = tracked;
    this.#names = namesOf(tracked);
    this.#most = most;
  }

  list(): Listing {
    if (!isFolder(this.#place.tree)) return { refused: "no tree" };
    using tree = openFolder(this.#place.tree);
    if (this.#place.upper === undefined) this.#whole(tree, "", this.#names);
    // A run that wrote nothing has no such folder.
    else if (isFolder(this.#place.upper)) {
      using upper = openFolder(this.#place.upper);
      this.#overlay({ upper, tree, path: "" }, this.#names);
    }
    return { found: this.#found, deleted: [...this.#deleted] };
  }

  #overlay(both: Both, names: Names | undefined): void {
    const { upper, tree, path } = both;
    const entries = entriesIn(upper);
    for (const entry of entries) {
      if (path !== "" || entry.name !== ".git") this.#written(both, entry, names?.get(entry.name));
    }
    if (this.#isPlainMerge(tree, path)) return;
    // The folder came from elsewhere, or was made anew: what the layers below show at this path says nothing.
    const written = new Set(entries.map(({ name }) => name));
    const rest = namesIn(tree).filter((name) => !written.has(name));
    this.#entries(tree, path, rest, names);
    this.#missing(tree, path, names, written);
  }

  #written({ upper, tree, path }: Both, entry: NamedEntry, known: TrackedFile | Names | undefined): void {
    const { name } = entry;
    const at = join(path, name);
    // Most new files are ignored ones, such as what a build made: a look at each would be most of the time.
    if (known === undefined && entry.isFile() && name !== ".git") {
      return this.#add({ path: at, mode: "unseen", fresh: true });
    }
    const stat = lstatAt(upper.fd, name);
    if (stat === undefined) return;
    if (!stat.isDirectory() || name === ".git") return this.#file(tree, { name, at, known, stat });
    if (known !== undefined && !(known instanceof Map) && known.mode !== "160000") this.#deleted.add(at);
    if (this.#closed(at, stat)) return;
    const below = known instanceof Map ? known : undefined;
    inFolder(upper, name, at, (up) =>
      inFolder(tree, name, at, (inside) => this.#overlay({ upper: up, tree: inside, path: at }, below)),
    );
  }

  /** Whether the folder is just the one of the layer below, written to. A renamed folder keeps its former inode. */
  #isPlainMerge(tree: Folder, path: string): boolean {
    const ino = inodeOf(tree);
    for (const lower of this.#place.lowers) {
      const stat = lstatPath(path === "" ? lower : `${lower}/${path}`);
      if (stat !== undefined) return stat.isDirectory() && stat.ino === ino;
    }
    return false;
  }

  #whole(tree: Folder, path: string, names: Names | undefined): void {
    const there = namesIn(tree).filter((name) => path !== "" || name !== ".git");
    this.#entries(tree, path, there, names);
    this.#missing(tree, path, names, new Set());
  }

  #entries(tree: Folder, path: string, there: readonly string[], names: Names | undefined): void {
    for (const name of there) {
      const at = join(path, name);
      const stat = lstatAt(tree.fd, name);
      if (stat === undefined) continue;
      const known = names?.get(name);
      if (stat.isDirectory() && name !== ".git") {
        if (known !== undefined && !(known instanceof Map) && known.mode !== "160000") this.#deleted.add(at);
        if (this.#closed(at, stat)) continue;
        inFolder(tree, name, at, (inside) => this.#whole(inside, at, known instanceof Map ? known : undefined));
      } else if (known !== undefined || !this.#isCopy(at, stat)) this.#file(tree, { name, at, known, stat });
    }
  }

  #missing(tree: Folder, path: string, names: Names | undefined, written: ReadonlySet<string>): void {
    for (const [name, known] of names ?? []) {
      if (!written.has(name) && !existsAt(tree.fd, name)) this.#forget(join(path, name), known);
    }
  }

  #file(tree: Folder, entry: { name: string; at: string; known: TrackedFile | Names | undefined; stat: Stat }): void {
    const { name, at, known, stat } = entry;
    // A repository of its own, whatever its .git is.
    if (name === ".git") return this.#add({ path: at.slice(0, -"/.git".length), mode: "160000", fresh: true });
    const mode = modeOf(stat);
    if (known instanceof Map || (known !== undefined && mode === undefined)) this.#forget(at, known);
    if (mode === undefined) return;
    const former = known instanceof Map ? undefined : known;
    if (former !== undefined && former.mode === mode && isObject(tree.fd, name, former.oid)) return;
    this.#add({ path: at, mode, fresh: !this.#tracked.has(at) });
  }

  // The worker may read more than the owner did; what comes out must not depend on who reads.
  #closed(at: string, stat: Stat): boolean {
    const isClosed = (stat.mode & 0o500n) !== 0o500n;
    if (isClosed) this.#add({ path: `${at}/`, mode: "unreadable", fresh: true });
    return isClosed;
  }

  #add(found: Found): void {
    if (this.#found.length >= this.#most) throw new Refusal("too many");
    this.#found.push(found);
  }

  #isCopy(at: string, stat: Stat): boolean {
    if (this.#place.reference === undefined) return false;
    const former = lstatPath(`${this.#place.reference}/${at}`);
    return (
      former !== undefined && former.mode === stat.mode && former.size === stat.size && former.mtimeNs === stat.mtimeNs
    );
  }

  #forget(at: string, known: TrackedFile | Names | undefined): void {
    if (!(known instanceof Map)) {
      this.#deleted.add(at);
      return;
    }
    for (const [name, below] of known) this.#forget(join(at, name), below);
  }
}

const nested = new WeakMap<Tracked, Names>();

/** The same as folders in folders. It is asked for anew with every look at a tree of the same commit. */
function namesOf(tracked: Tracked): Names {
  const names = nested.get(tracked) ?? nest(tracked);
  nested.set(tracked, names);
  return names;
}

function nest(tracked: Tracked): Names {
  const root: Names = new Map();
  const folders = new Map<string, Names>([["", root]]);
  const folderAt = (path: string): Names => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const cut = path.lastIndexOf("/");
    const made: Names = new Map();
    folderAt(path.slice(0, Math.max(0, cut))).set(path.slice(cut + 1), made);
    folders.set(path, made);
    return made;
  };
  for (const [path, file] of tracked) {
    const cut = path.lastIndexOf("/");
    folderAt(path.slice(0, Math.max(0, cut))).set(path.slice(cut + 1), file);
  }
  return root;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

export type Request =
  | { ask: "list"; place: Place; tracked: [string, TrackedFile][]; most: number }
  | { ask: "read"; tree: string; paths: string[]; mostBytes: number };

/**
 * Serves one request in a helper: JSON on stdin; on stdout one line of JSON, for "read" followed by the bytes.
 * @public called by the text that `reader.ts` runs
 */
export function serve(): void {
  const request: Request = JSON.parse(readInput(0));
  if (request.ask === "list") {
    process.stdout.write(`${JSON.stringify(listTree(request.place, new Map(request.tracked), request.most))}\n`);
    return;
  }
  const contents = readTree(request.tree, request.paths, request.mostBytes);
  if (!(contents instanceof Map)) {
    process.stdout.write(`${JSON.stringify(contents)}\n`);
    return;
  }
  const entries = [...contents].map(([path, { mode, bytes }]) => [path, mode, bytes.length]);
  const all = [...contents.values()].map(({ bytes }) => bytes);
  process.stdout.write(Buffer.concat([Buffer.from(`${JSON.stringify({ entries })}\n`), ...all]));
}
