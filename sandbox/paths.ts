/** One entry of a change, as git lists it: mode 000000 is a deletion. */
export interface Entry {
  path: Buffer;
  mode: string;
  content: Buffer | undefined;
}

const pathLimit = 4096;

/** Why this change may not leave the sandbox, each reason with its path and what to do; empty when it may. */
export function refusalsOf(entries: Entry[]): string[] {
  const reasons: string[] = [];
  for (const entry of entries) {
    const reason = entryRefusal(entry);
    if (reason !== undefined) reasons.push(`${escapePath(entry.path)}: ${reason}`);
  }
  const kept = entries.filter(({ mode }) => mode !== "000000").map(({ path }) => path.toString("utf8"));
  return [...reasons, ...collisions(kept)];
}

function entryRefusal({ path: bytes, mode, content }: Entry): string | undefined {
  const path = decode(bytes);
  if (path === undefined) return "its name is not UTF-8. Rename it.";
  const reason = pathRefusal(path);
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
function pathRefusal(path: string): string | undefined {
  if (path === "" || path.startsWith("/")) return "it is not a path inside the repository. Remove it.";
  if (Buffer.byteLength(path) > pathLimit) return `its path is longer than ${pathLimit} bytes. Shorten it.`;
  if (hasControl(path)) return "its name has control characters. Rename it.";
  if (/[\\:]/.test(path)) return 'its name has a "\\" or ":", which is no file name on Windows. Rename it.';
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === "..") return "its path has empty, . or .. components. Remove it.";
    if (isGitFolder(part)) return "a component of its path is .git, or is taken for it by a file system. Remove it.";
    if (isReserved(part)) return `"${part}" is a reserved name on Windows. Rename it.`;
  }
  return undefined;
}

function linkRefusal(path: string, content: Buffer | undefined): string | undefined {
  const name = fold(path.split("/").at(-1) ?? "");
  if ([".gitmodules", ".gitattributes", ".mailmap", ".gitignore"].includes(name)) {
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

function collisions(paths: string[]): string[] {
  const seen = new Map<string, string>();
  const reasons: string[] = [];
  for (const path of paths) {
    const parts = path.split("/");
    for (let length = 1; length <= parts.length; length++) {
      const prefix = parts.slice(0, length).join("/");
      const key = prefix.normalize("NFC").toLowerCase();
      const other = seen.get(key) ?? prefix;
      seen.set(key, other);
      if (other === prefix) continue;
      reasons.push(
        `${escapePath(Buffer.from(prefix))} and ${escapePath(Buffer.from(other))} are one name where case does not count. Rename one.`,
      );
      break;
    }
  }
  return reasons;
}

// HFS+ ignores these code points; NTFS drops dots and blanks at the end and offers git~1 as a second name.
const ignorable = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

function isGitFolder(part: string): boolean {
  const name = fold(part);
  return name === ".git" || /^git~\d+$/.test(name);
}

function fold(part: string): string {
  return part
    .replaceAll(ignorable, "")
    .normalize("NFKC")
    .toLowerCase()
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

/** A path for people: letters, digits and signs as they are, marks and control characters as \u{...}, at most 300 characters. */
function escapePath(path: Buffer): string {
  const shown = decode(path) ?? path.toString("latin1");
  const hidden = /[^\p{L}\p{N}\p{P}\p{S} ]/gu;
  return shown.replaceAll(hidden, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`).slice(0, 300);
}
