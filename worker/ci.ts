import { git } from "../sandbox/git.ts";
import { submodule, trackedAt } from "../sandbox/tracked.ts";

/**
 * Whether the head commit asks the repository's CI to skip it: our branch is untrusted input to workflows that hold
 * secrets. Default: yes for public repositories and where a workflow uses pull_request_target or a self-hosted runner.
 */
export async function ciHeld(
  mirror: string,
  commit: string,
  { ci, isPrivate }: { ci: "hold" | "run" | undefined; isPrivate: boolean },
): Promise<boolean> {
  if (ci !== undefined) return ci === "hold";
  if (!isPrivate) return true;
  for (const [path, { mode, oid }] of await trackedAt({ mirror }, commit)) {
    if (!isWorkflow.test(path) || mode === submodule) continue;
    const text = (await git(["cat-file", "blob", oid], { gitDir: mirror })).toString("utf8");
    if (/pull_request_target|self-hosted/.test(text)) return true;
  }
  return false;
}

const isWorkflow = /^\.github\/workflows\/[^/]+$/;
