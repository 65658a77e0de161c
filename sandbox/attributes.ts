import { mkdir } from "node:fs/promises";
import { git } from "./git.ts";
import { openScratch } from "./scratch.ts";
import { atSources } from "./tracked.ts";
import type { Content } from "./folders.ts";
import type { Tracked } from "./walk.ts";
import type { Sources } from "./objects.ts";

/** Whether these .gitattributes can make git store other bytes than the tree has, for some file of the change. */
export function mayConvert(rules: ReadonlyMap<string, Content>, contents: ReadonlyMap<string, Content>): boolean {
  if (rules.size === 0) return false;
  const rare = [...rules.values()].some(({ bytes }) =>
    /working-tree-encoding|\bident\b/.test(bytes.toString("latin1")),
  );
  return rare || [...contents.values()].some(({ bytes }) => bytes.includes("\r\n"));
}

/** The bytes that git stores for a file under these attributes: line ends, encodings. No filter has a command here. */
export async function asStored(
  contents: ReadonlyMap<string, Content>,
  { rules, sources, commit }: { rules: ReadonlyMap<string, Content>; sources: Sources; commit: string },
): Promise<Map<string, Content>> {
  using scratch = openScratch(rules);
  const base = atSources(sources);
  const objects = [`${sources.mirror}/objects`, base.env["GIT_ALTERNATE_OBJECT_DIRECTORIES"]].filter(Boolean).join(":");
  const env = {
    GIT_INDEX_FILE: `${scratch.folder}/.git-index`,
    GIT_OBJECT_DIRECTORY: `${scratch.folder}/.git-objects`,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: objects,
  };
  await mkdir(env.GIT_OBJECT_DIRECTORY);
  const at = { gitDir: base.gitDir, env };
  const place = ["-C", scratch.folder, `--work-tree=${scratch.folder}`, "-c", "core.bare=false"];
  // `text=auto` leaves a file alone that the commit itself holds with CRLF.
  await git([...place, "read-tree", commit], at);
  const stored = new Map<string, Content>();
  for (const [path, content] of contents) {
    if (content.mode === "120000") {
      stored.set(path, content);
      continue;
    }
    const name = Buffer.from(path, "latin1").toString("utf8");
    const hash = [...place, "hash-object", "-w", "--stdin", "--path", name];
    const oid = (await git(hash, { ...at, stdin: content.bytes })).toString().trim();
    stored.set(path, { mode: content.mode, bytes: await git(["cat-file", "blob", oid], at) });
  }
  return stored;
}

/** The paths of rules that may bear on a change. */
export function attributeFiles(tracked: Tracked, changed: Iterable<string>): string[] {
  const isRules = (path: string) => path === ".gitattributes" || path.endsWith("/.gitattributes");
  return [...new Set([...tracked.keys(), ...changed].filter(isRules))];
}
