import { createHash } from "node:crypto";
import { asStored, attributeFiles, mayConvert } from "./attributes.ts";
import type { Engine } from "./engine.ts";
import { withoutIgnored } from "./ignore.ts";
import { type Entry, refusalsOf } from "./paths.ts";
import { openReader, type Reader } from "./reader.ts";
import { trackedAt } from "./tracked.ts";
import type { Content } from "./folders.ts";
import type { Found, Tracked } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

/** One path of the change, as data. For a link, `bytes` is its target. */
export type Change =
  | { path: string; mode: "100644" | "100755" | "120000"; bytes: Buffer }
  | { path: string; mode: "deleted" };

/** `refused`: each reason names a path and what to do about it. */
export type Changes = { kind: "changes"; changes: Change[] } | { kind: "refused"; reasons: string[] };

export interface ChangeLimits {
  maxFiles: number;
  /** Of all new contents together. */
  maxBytes: number;
}

/** Files that are listed before the ignored ones are left out. */
const mostFound = 100_000;
const rulesLimit = 4_000_000;

/**
 * What differs between the workspace and its commit, ignored files left out, as git would store it. It comes out as data:
 * no git runs in the tree, and nothing follows a link of it. Freeze or remove the sandbox before.
 */
export async function readChanges(
  engine: Engine,
  workspace: Workspace,
  limits: ChangeLimits,
  signal?: AbortSignal,
): Promise<Changes> {
  const { sources, commit } = workspace;
  const tracked = await trackedAt(sources, commit);
  const reader = await openReader(engine, workspace, signal);
  const listing = await reader.list(tracked, mostFound);
  if ("refused" in listing) return refused(listRefusals[listing.refused] ?? tooLarge(limits));
  const found = await withoutIgnored(listing.found, { sources, reader });
  if (found === undefined) return refused("its .gitignore files are larger than 4 MB. Shorten them.");
  const odd = found.flatMap((one) => oddity(one, tracked) ?? []);
  if (odd.length > 0) return { kind: "refused", reasons: odd };
  if (found.length + listing.deleted.length > limits.maxFiles) return refused(tooLarge(limits));
  const contents = await contentsOf(found, { reader, tracked, workspace, limits });
  if (contents === undefined) return refused(tooLarge(limits));
  const closed = [...contents].flatMap(([path, { mode }]) => oddity({ path, mode }, tracked) ?? []);
  if (closed.length > 0) return { kind: "refused", reasons: closed };
  return toChanges(contents, { tracked, found, deleted: listing.deleted });
}

const listRefusals: Partial<Record<string, string>> = {
  "too deep": "the tree has folders more than 200 levels deep. Remove them.",
  "no tree": "the repository's folder itself must stay where it is, and be a folder.",
};

/** What is there but can be no part of a change, in the words of a refusal. */
function oddity({ path, mode }: Pick<Found, "path" | "mode">, tracked: Tracked): string | undefined {
  const shown = refusalName(path);
  if (mode === "unreadable") return `${shown}: Permission denied. Let its owner read it, or remove it.`;
  for (let cut = path.indexOf("/"); cut >= 0; cut = path.indexOf("/", cut + 1)) {
    if (tracked.get(path.slice(0, cut))?.mode === "160000") {
      return `${shown}: it lies in a submodule, whose files belong to another repository. Remove it.`;
    }
  }
  return undefined;
}

/** The contents as git would store them; undefined when they are over the limit. */
async function contentsOf(
  found: readonly Found[],
  { reader, tracked, workspace, limits }: ContentParts,
): Promise<Map<string, Content> | undefined> {
  const paths = found.filter(({ mode }) => mode !== "160000").map(({ path }) => path);
  const contents = await reader.read(paths, limits.maxBytes);
  if (!(contents instanceof Map)) return undefined;
  const rules = await reader.read(attributeFiles(tracked, paths), rulesLimit);
  if (!(rules instanceof Map) || !mayConvert(rules, contents)) return contents;
  return asStored(contents, { rules, sources: workspace.sources, commit: workspace.commit });
}

interface ContentParts {
  reader: Reader;
  tracked: Tracked;
  workspace: Workspace;
  limits: ChangeLimits;
}

function toChanges(
  contents: ReadonlyMap<string, Content>,
  { tracked, found, deleted }: { tracked: Tracked; found: readonly Found[]; deleted: readonly string[] },
): Changes {
  const gone = new Set(deleted);
  for (const { path } of found) gone.delete(path);
  const kept = [...contents].filter(([path, content]) => !isSame(tracked.get(path), content));
  const named = (path: string, mode: string, content?: Buffer) => ({ path: latin1(path), mode, content });
  const entries: Entry[] = [
    ...[...gone].map((path) => named(path, "000000")),
    ...kept.map(([path, { mode, bytes }]) => named(path, mode, bytes)),
    ...found.filter(({ mode }) => mode === "160000").map(({ path, mode }) => named(path, mode)),
  ];
  entries.sort((one, other) => Buffer.compare(one.path, other.path));
  const reasons = refusalsOf(entries, tracked);
  return reasons.length > 0 ? { kind: "refused", reasons } : { kind: "changes", changes: entries.map(toChange) };
}

function isSame(former: { mode: string; oid: string } | undefined, { mode, bytes }: Content): boolean {
  if (former?.mode !== mode) return false;
  const hash = createHash(former.oid.length === 64 ? "sha256" : "sha1");
  return hash.update(`blob ${bytes.length}\0`).update(bytes).digest("hex") === former.oid;
}

function toChange({ path: raw, mode, content }: Entry): Change {
  const path = raw.toString("utf8");
  if (mode === "000000") return { path, mode: "deleted" };
  if (content === undefined || (mode !== "100644" && mode !== "100755" && mode !== "120000")) {
    throw new Error(`${JSON.stringify(path)} was found with mode ${mode} and without content`);
  }
  return { path, mode, bytes: content };
}

function refused(reason: string): Changes {
  return { kind: "refused", reasons: [reason] };
}

function tooLarge({ maxFiles, maxBytes }: ChangeLimits): string {
  return `a change has at most ${maxFiles} files and ${maxBytes} bytes. Delete what was generated, or let .gitignore name it.`;
}

function latin1(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

function refusalName(path: string): string {
  return latin1(path)
    .toString("utf8")
    .replaceAll(/[^\x20-\x7e]+/g, " ")
    .slice(0, 300);
}
