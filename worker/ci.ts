import { listTree } from "./checkout.ts";
import { git } from "../sandbox/git.ts";

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
  const workflows = await listTree(mirror, commit, ["--", ".github/workflows/"]);
  for (const { oid } of workflows.filter(({ kind }) => kind === "blob")) {
    const text = (await git(["cat-file", "blob", oid], { gitDir: mirror })).toString("utf8");
    if (/pull_request_target|self-hosted/.test(text)) return true;
  }
  return false;
}
