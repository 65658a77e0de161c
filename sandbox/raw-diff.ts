/** What a helper listed. Modes and ids are git's; nothing is checked yet but the form. */
export interface Listing {
  changes: { path: Buffer; mode: string; object: string }[];
  contents: Map<string, Buffer>;
}

const entryForm = /^:[0-7]{6} ([0-7]{6}) [0-9a-f]{40,64} ([0-9a-f]{40,64}) [AMDT]$/;
const contentForm = /^([0-9a-f]{40,64}) blob (\d{1,12})$/;

/** Parses "SIZE\n", SIZE bytes of `diff-index --raw -z`, `cat-file --batch`; undefined when it is cut or malformed. */
export function readListing(bytes: Buffer): Listing | undefined {
  const lineEnd = bytes.indexOf("\n");
  const size = Number(bytes.subarray(0, Math.max(0, lineEnd)).toString("latin1"));
  if (lineEnd < 0 || !Number.isSafeInteger(size) || lineEnd + 1 + size > bytes.length) return undefined;
  const changes = readEntries(bytes.subarray(lineEnd + 1, lineEnd + 1 + size));
  const contents = readContents(bytes.subarray(lineEnd + 1 + size));
  return changes && contents && { changes, contents };
}

function readEntries(bytes: Buffer): Listing["changes"] | undefined {
  const changes: Listing["changes"] = [];
  let start = 0;
  while (start < bytes.length) {
    const middle = bytes.indexOf(0, start);
    const end = bytes.indexOf(0, middle + 1);
    if (middle < 0 || end < 0) return undefined;
    const [, mode, object] = entryForm.exec(bytes.subarray(start, middle).toString("latin1")) ?? [];
    if (mode === undefined || object === undefined) return undefined;
    changes.push({ path: bytes.subarray(middle + 1, end), mode, object });
    start = end + 1;
  }
  return changes;
}

function readContents(bytes: Buffer): Map<string, Buffer> | undefined {
  const contents = new Map<string, Buffer>();
  let start = 0;
  while (start < bytes.length) {
    const lineEnd = bytes.indexOf("\n", start);
    if (lineEnd < 0) return undefined;
    const line = bytes.subarray(start, lineEnd).toString("latin1");
    const [, object, size] = contentForm.exec(line) ?? [];
    if (object === undefined) {
      // A path that looks like an entry made the helper ask for an object that is none.
      if (!line.endsWith(" missing")) return undefined;
      start = lineEnd + 1;
      continue;
    }
    const end = lineEnd + 1 + Number(size);
    if (end >= bytes.length) return undefined;
    contents.set(object, bytes.subarray(lineEnd + 1, end));
    start = end + 1;
  }
  return contents;
}
