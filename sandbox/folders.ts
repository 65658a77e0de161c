import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
} from "node:fs";

// Files and folders by descriptors, without following a link. Names are latin1 strings, one character per byte. Like
// walk.ts, it imports nothing of ours.

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const deepest = 200;

export interface Content {
  mode: string;
  bytes: Buffer;
}
export interface Folder extends Disposable {
  fd: number;
}
export class Refusal extends Error {
  readonly refused: "too many" | "too deep" | "too large";
  constructor(refused: Refusal["refused"]) {
    super("refused");
    this.refused = refused;
  }
}

export function refusing<T>(work: () => T): T | { refused: never } {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) return { refused: error.refused as never };
    throw error;
  }
}

export type Stat = NonNullable<ReturnType<typeof lstatAt>>;
export type NamedEntry = ReturnType<typeof entriesIn>[number];

/** git's mode; undefined for what git does not know: a pipe, a socket, the overlay's mark of a deletion. */
export function modeOf(stat: Stat): string | undefined {
  if (stat.isSymbolicLink()) return "120000";
  if (!stat.isFile()) return undefined;
  if ((stat.mode & 0o400n) === 0n) return "unreadable";
  return (stat.mode & 0o100n) === 0n ? "100644" : "100755";
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

function within(fd: number, name: string): Buffer {
  return bytesOf(`/proc/self/fd/${fd}/${name}`);
}

export function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

export function openFolder(path: string | Buffer): Folder {
  const fd = openSync(path, folderFlags);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

export function inFolder(parent: Folder, name: string, at: string, work: (folder: Folder) => void): void {
  if (at.split("/").length > deepest) throw new Refusal("too deep");
  using folder = unlessGone(() => openFolder(within(parent.fd, name)));
  if (folder !== undefined) work(folder);
}

/** Somebody may still write to a tree that is only looked at: what went away meanwhile is not there. */
function unlessGone<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof Error && "code" in error && ["ENOENT", "ENOTDIR", "ELOOP"].includes(String(error.code))) {
      return undefined;
    }
    throw error;
  }
}

export function namesIn(folder: Folder): string[] {
  return readdirSync(`/proc/self/fd/${folder.fd}`, { encoding: "latin1" });
}

/** The same with what each is, for a file system that tells it along with the names, as an overlay's layer has to. */
export function entriesIn(folder: Folder) {
  return readdirSync(`/proc/self/fd/${folder.fd}`, { encoding: "latin1", withFileTypes: true });
}

export function lstatAt(fd: number, name: string) {
  return lstatSync(within(fd, name), { bigint: true, throwIfNoEntry: false });
}

export function existsAt(fd: number, name: string): boolean {
  return lstatAt(fd, name) !== undefined;
}

/** A file or link; without bytes when its owner closed it; undefined for what is neither. */
export function readAt(fd: number, [name = "", ...below]: string[], most: number): Content | undefined {
  if (below.length > 0) {
    using folder = unlessGone(() => openFolder(within(fd, name)));
    return folder && readAt(folder.fd, below, most);
  }
  const stat = lstatAt(fd, name);
  const mode = stat && modeOf(stat);
  if (mode === "unreadable") return { mode, bytes: Buffer.alloc(0) };
  if (mode === "120000") return { mode, bytes: readlinkSync(within(fd, name), { encoding: "buffer" }) };
  if (mode !== "100644" && mode !== "100755") return undefined;
  const file = unlessGone(() => openSync(within(fd, name), fileFlags));
  if (file === undefined) return undefined;
  try {
    const { size } = fstatSync(file);
    if (size > most) throw new Refusal("too large");
    return { mode, bytes: readFileSync(file) };
  } finally {
    closeSync(file);
  }
}

const chunkBytes = 2 ** 20;

/** Whether the file or link is the object that git knows by this id. Read in pieces: it may be of any size. */
export function isObject(fd: number, name: string, oid: string): boolean {
  const hash = createHash(oid.length === 64 ? "sha256" : "sha1");
  const stat = lstatAt(fd, name);
  if (stat?.isSymbolicLink() === true) {
    const target = readlinkSync(within(fd, name), { encoding: "buffer" });
    return hash.update(`blob ${target.length}\0`).update(target).digest("hex") === oid;
  }
  const file = unlessGone(() => openSync(within(fd, name), fileFlags));
  if (file === undefined) return false;
  try {
    const { size } = fstatSync(file);
    hash.update(`blob ${size}\0`);
    const chunk = Buffer.allocUnsafe(Math.min(size, chunkBytes) || 1);
    for (let left = size; left > 0; ) {
      const length = readSync(file, chunk, 0, chunk.length, null);
      if (length === 0) return false;
      hash.update(chunk.subarray(0, length));
      left -= length;
    }
    return hash.digest("hex") === oid;
  } finally {
    closeSync(file);
  }
}

/** The same by a path of ours, such as a layer's folder; undefined where nothing is. */
export function lstatPath(path: string) {
  return lstatSync(bytesOf(path), { bigint: true, throwIfNoEntry: false });
}

export function inodeOf({ fd }: Folder): bigint {
  return fstatSync(fd, { bigint: true }).ino;
}

/** All of a descriptor, such as stdin. */
export function readInput(fd: number): string {
  return readFileSync(fd, "utf8");
}
