import type { Caller } from "./auth.ts";
import { Failure } from "./failure.ts";
import { listRefs, listTree } from "./git.ts";
import type { Repository } from "./state.ts";

const folder = ".github/workflows/";

/**
 * An app without the permission `workflows` may move no branch to a commit with a workflow file that is on no branch yet,
 * with this path and this content. Throws what GitHub answers.
 */
export async function refuseNewWorkflows(caller: Caller, { gitDir }: Repository, commit: string): Promise<void> {
  if (caller.kind !== "installation" || caller.token.permissions["workflows"] === "write") return;
  const wanted = await workflowsAt(gitDir, commit);
  if (wanted.length === 0) return;
  const heads = [...(await listRefs(gitDir))].flatMap(([ref, head]) => (ref.startsWith("refs/heads/") ? [head] : []));
  const known = new Set((await Promise.all(heads.map((head) => workflowsAt(gitDir, head)))).flat().map(keyOf));
  const fresh = wanted.find((one) => !known.has(keyOf(one)));
  if (fresh === undefined) return;
  throw new Failure(
    403,
    `refusing to allow a GitHub App to create or update workflow \`${fresh.path}\` without \`workflows\` permission`,
  );
}

async function workflowsAt(gitDir: string, commit: string): Promise<{ path: string; sha: string }[]> {
  const files = await listTree(gitDir, commit, true);
  return files.filter(({ path, type }) => type === "blob" && path.startsWith(folder));
}

function keyOf({ path, sha }: { path: string; sha: string }): string {
  return `${sha} ${path}`;
}
