import { git } from "./git.ts";
import type { Tracked, TrackedFile } from "./walk.ts";
import type { Sources } from "./objects.ts";

/** The mode of what is another repository, and no file of this one. */
export const submodule = "160000";

const kept = new Map<string, Promise<Tracked>>();
const mostKept = 8;

/** What a commit holds, by path (latin1). The last few are kept: a run asks about one commit many times. */
export function trackedAt(sources: Sources, commit: string): Promise<Tracked> {
  const key = `${sources.mirror}\0${commit}`;
  const known = kept.get(key) ?? readTracked(sources, commit);
  kept.delete(key);
  kept.set(key, known);
  known.catch(() => kept.delete(key));
  const [oldest] = kept.keys();
  if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
  return known;
}

async function readTracked(sources: Sources, commit: string): Promise<Tracked> {
  const out = await git(["ls-tree", "-r", "-z", "--full-tree", commit], atSources(sources));
  const tracked = new Map<string, TrackedFile>();
  for (const row of out.toString("latin1").split("\0")) {
    const tab = row.indexOf("\t");
    const [mode = "", , oid = ""] = row.slice(0, tab).split(" ");
    if (tab > 0) tracked.set(row.slice(tab + 1), { mode, oid });
  }
  return tracked;
}

/** For git on the host: the mirror, with the further objects of a run. */
export function atSources({ mirror, extraObjects = [] }: Sources): { gitDir: string; env: Record<string, string> } {
  return { gitDir: mirror, env: { GIT_ALTERNATE_OBJECT_DIRECTORIES: extraObjects.join(":") } };
}
