/** One entry of a change, as git lists it: mode 000000 is a deletion. */
export interface Entry {
  path: Buffer;
  mode: string;
  content: Buffer | undefined;
}

/** What the commit holds: path to mode. A path is a latin1 string, one character per byte. */
export type TrackedModes = ReadonlyMap<string, { mode: string }>;

const pathLimit = 4096;

/**
 * Why this change may not leave the sandbox, each reason with its path and what to do; empty when it may. `tracked` is
 * the commit that it changes: what was there before is not held against the change.
 */
export function refusalsOf(entries: readonly Entry[], tracked: TrackedModes = new Map()): string[] {
  const base = beforeOf(tracked);
  const gone = entries.filter(({ mode }) => mode === "000000").map(({ path }) => fromLatin1(path.toString("latin1")));
  const before = createAfter(base, new Set());
  const left = createAfter(base, new Set(gone));
  return entries.flatMap((entry) => {
    const reason = entryRefusal(entry, before);
    if (reason !== undefined) return `${escapePath(entry.path)}: ${reason}`;
    if (entry.mode === "000000") return [];
    const path = entry.path.toString("utf8");
    const clash = clashOf(path, left);
    left.add(path);
    return clash ?? [];
  });
}

function entryRefusal({ path: bytes, mode, content }: Entry, before: Tree): string | undefined {
  const path = decode(bytes);
  if (path === undefined) return "its name is not UTF-8. Rename it.";
  const reason = pathRefusal(path, before);
  if (reason !== undefined) return reason;
  switch (mode) {
    case "000000":
    case "100644":
    case "100755":
      return undefined;
    case "120000":
      return linkRefusal(path, content);
    case "160000":
      return "it is a repository of its own inside the tree. Remove its .git, or the whole folder.";
    default:
      return `it has the mode ${mode}, which is neither a file nor a link. Remove it.`;
  }
}

/** Why a path may not be part of a change. Paths use "/" and start at the repository's root. */
function pathRefusal(path: string, before: Tree): string | undefined {
  if (path === "" || path.startsWith("/")) return "it is not a path inside the repository. Remove it.";
  if (Buffer.byteLength(path) > pathLimit) return `its path is longer than ${pathLimit} bytes. Shorten it.`;
  for (const prefix of prefixesOf(path)) {
    const part = lastOf(prefix);
    if (part === "" || part === "." || part === "..") return "its path has empty, . or .. components. Remove it.";
    if (part.split("\\").some(isGitFolder)) {
      return "a component of its path is .git, or is taken for it by a file system. Remove it.";
    }
    const reason = before.has(prefix) ? undefined : nameRefusal(part);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** What a new name may not be, though git itself would take it in. */
function nameRefusal(part: string): string | undefined {
  if (hasControl(part)) return "its name has control characters. Rename it.";
  if (/[\\:]/.test(part)) return 'its name has a "\\" or ":", which is no file name on Windows. Rename it.';
  if (isReserved(part)) return `"${part}" is a reserved name on Windows. Rename it.`;
  const meant = gitFileOf(part);
  if (meant !== undefined && meant !== part) return `file systems take its name for ${meant}. Use that name.`;
  return undefined;
}

function linkRefusal(path: string, content: Buffer | undefined): string | undefined {
  if (gitFileOf(lastOf(path)) !== undefined) {
    return "git reads this file, and it may not be a link. Write the file itself.";
  }
  const target = content && decode(content);
  if (target === undefined || target === "" || hasControl(target)) return "its target is no path. Remove the link.";
  if (target.startsWith("/") || /[\\:]/.test(target)) return "it points out of the repository. Use a relative target.";
  const parts = target.split("/");
  if (parts.some(isGitFolder)) return "it points into .git. Remove the link.";
  const up = parts.findIndex((part) => part !== "..");
  const climbs = up < 0 ? parts.length : up;
  // A ".." behind a name may leave a folder that is itself a link, so where it leads can't be known.
  if (climbs > path.split("/").length - 1 || parts.slice(climbs).includes("..")) {
    return "it points out of the repository. Use a target inside, with .. only at its start.";
  }
  return undefined;
}

/** Paths with the folders above them, also by what they are called where case and Unicode form do not count. */
interface Tree {
  has(path: string): boolean;
  kindOf(path: string): "file" | "folder" | undefined;
  /** Another path that is the same one where case does not count. */
  twinOf(path: string): string | undefined;
}

/** The commit's own paths: files, and folders with the number of files below them. */
interface Before {
  kinds: ReadonlyMap<string, "file" | number>;
  /** All paths by what they are where case does not count; made when it is asked for, since it costs most. */
  names(): ReadonlyMap<string, readonly string[]>;
}

const known = new WeakMap<TrackedModes, Before>();

/** Kept for as long as the commit's list is: a run looks at its change many times. */
function beforeOf(tracked: TrackedModes): Before {
  const found = known.get(tracked) ?? createBefore(tracked);
  known.set(tracked, found);
  return found;
}

function createBefore(tracked: TrackedModes): Before {
  const kinds = new Map<string, "file" | number>();
  for (const key of tracked.keys()) {
    const path = fromLatin1(key);
    kinds.set(path, "file");
    for (const folder of foldersOf(path)) kinds.set(folder, numberAt(kinds, folder) + 1);
  }
  let names: Map<string, string[]> | undefined;
  return {
    kinds,
    names() {
      names ??= namesOf(kinds.keys());
      return names;
    },
  };
}

function namesOf(paths: Iterable<string>): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const path of paths) {
    const key = pathKey(path);
    const same = names.get(key);
    if (same === undefined) names.set(key, [path]);
    else same.push(path);
  }
  return names;
}

/** The commit's paths without those that are gone, and with those that are added. */
function createAfter(before: Before, gone: ReadonlySet<string>): Tree & { add(path: string): void } {
  const goneBelow = new Map<string, number>();
  for (const path of gone) {
    for (const folder of foldersOf(path)) goneBelow.set(folder, numberAt(goneBelow, folder) + 1);
  }
  const added = new Map<string, "file" | "folder">();
  const addedNames = new Map<string, string[]>();
  const put = (path: string, kind: "file" | "folder") => {
    if (added.has(path)) return;
    added.set(path, kind);
    const key = pathKey(path);
    addedNames.set(key, [...(addedNames.get(key) ?? []), path]);
  };
  const kindOf = (path: string): "file" | "folder" | undefined => {
    const kind = added.get(path);
    if (kind !== undefined) return kind;
    const former = before.kinds.get(path);
    if (former === "file") return gone.has(path) ? undefined : "file";
    return (former ?? 0) > numberAt(goneBelow, path) ? "folder" : undefined;
  };
  return {
    add(path) {
      put(path, "file");
      for (const folder of foldersOf(path)) put(folder, "folder");
    },
    has: (path) => kindOf(path) !== undefined,
    kindOf,
    twinOf(path) {
      const key = pathKey(path);
      const same = [...(addedNames.get(key) ?? []), ...(before.names().get(key) ?? [])];
      return same.find((other) => other !== path && kindOf(other) !== undefined);
    },
  };
}

function* foldersOf(path: string): Generator<string> {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) yield path.slice(0, end);
}

function numberAt(counts: ReadonlyMap<string, "file" | number>, path: string): number {
  const count = counts.get(path);
  return typeof count === "number" ? count : 0;
}

/** Why a new path can't be beside what is there. */
function clashOf(path: string, tree: Tree): string | undefined {
  const shown = (name: string) => escapePath(Buffer.from(name));
  if (tree.kindOf(path) === "folder") return `${shown(path)}: it is a folder as well. Remove the one or the other.`;
  for (const prefix of prefixesOf(path)) {
    if (prefix !== path && tree.kindOf(prefix) === "file") {
      return `${shown(path)}: ${shown(prefix)} is no folder. Remove the one or the other.`;
    }
    const twin = tree.has(prefix) ? undefined : tree.twinOf(prefix);
    if (twin !== undefined) {
      return `${shown(prefix)} and ${shown(twin)} are one name where case does not count. Rename one.`;
    }
  }
  return undefined;
}

function prefixesOf(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_part, index) => parts.slice(0, index + 1).join("/"));
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The same for all paths that some file system takes for one. */
export function pathKey(path: string): string {
  // Most paths by far are plain; the whole commit passes here.
  if (/^[\w/.-]*$/.test(path) && !path.endsWith(".") && !path.includes("./")) return path.toLowerCase();
  return path.split("/").map(fold).join("/");
}

// HFS+ ignores these code points; NTFS drops dots and blanks at the end and offers git~1 as a second name.
const ignorable = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

function isGitFolder(part: string): boolean {
  // Behind a colon NTFS has the name of a stream.
  const name = fold(part.split(":")[0] ?? "");
  return name === ".git" || /^git~\d+$/.test(name);
}

// What git reads for its own ends, with the checksum that is in its short name on NTFS.
const gitFiles = [
  [".gitmodules", "gi7eba"],
  [".gitattributes", "gi7d29"],
  [".gitignore", "gi250a"],
  [".mailmap", "maba30"],
] as const;

/** Which of those files this name is, on some file system. */
function gitFileOf(part: string): string | undefined {
  const name = fold(part.split(":")[0] ?? "");
  const [stem = "", number = ""] = name.split("~");
  const numbered = /^[1-9]\d*$/.test(number);
  const found = gitFiles.find(([file, sum]) => {
    const short = stem === file.slice(1, 7) || (name.length === 8 && sum.startsWith(stem));
    return name === file || (numbered && short);
  });
  return found?.[0];
}

/** Letters that are one in capitals or in small ones are one: Windows compares capitals, macOS folds. */
function fold(part: string): string {
  return part
    .replaceAll(ignorable, "")
    .normalize("NFKC")
    .toUpperCase()
    .toLowerCase()
    .normalize("NFKC")
    .replace(/[. ]+$/, "");
}

function isReserved(part: string): boolean {
  return /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|$)/i.test(part);
}

function hasControl(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text);
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function fromLatin1(path: string): string {
  return /[\u0080-\u00ff]/.test(path) ? Buffer.from(path, "latin1").toString("utf8") : path;
}

/** A path for people: letters, digits and signs as they are, marks and control characters as \u{...}, at most 300 characters. */
function escapePath(path: Buffer): string {
  const shown = decode(path) ?? path.toString("latin1");
  const hidden = /[^\p{L}\p{N}\p{P}\p{S} ]/gu;
  return shown.replaceAll(hidden, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`).slice(0, 300);
}
