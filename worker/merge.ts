import type { Submission } from "../src/runlog.ts";
import type { Change } from "../sandbox/changes.ts";
import { git, GitFailed, gitStream } from "../sandbox/git.ts";
import { forkOf } from "./checkout.ts";
import { changesBetween } from "./rebuild.ts";

/** Two commits that are to become one: the head of our pull request, and the base that it takes in. */
export interface Merging {
  head: string;
  base: string;
  /** What git alone makes of both; where there are conflicts, with its markers in the files. */
  tree: string;
  /** The paths that both sides change in ways that git can't join. */
  conflicts: readonly string[];
  /** What git says of them, a sentence each. */
  says: readonly string[];
}
export type Merged =
  /** The head has all of the base. */
  | { kind: "contained" }
  /** The base has all that the head changes. */
  | { kind: "spent" }
  /** They have no commit in common. */
  | { kind: "unrelated" }
  /** `changes`: the merge as a change on the base. */
  | { kind: "merged"; merging: Merging; changes: Change[] };

/** What git alone makes of both, in a run's own repository. Nothing is checked out. */
export async function mergeCommits(
  repository: string,
  { head, base }: Pick<Merging, "head" | "base">,
  signal: AbortSignal,
): Promise<Merged> {
  const fork = await forkOf(repository, head, base);
  if (fork === undefined) return { kind: "unrelated" };
  if (fork === base) return { kind: "contained" };
  const { tree, ...words } = await mergeTree(repository, { head, base }, signal);
  const changes = await changesBetween(repository, base, tree);
  return changes.length === 0
    ? { kind: "spent" }
    : { kind: "merged", merging: { head, base, tree, ...words }, changes };
}

async function mergeTree(
  gitDir: string,
  { head, base }: Pick<Merging, "head" | "base">,
  signal: AbortSignal,
): Promise<{ tree: string; conflicts: string[]; says: string[] }> {
  const out: Buffer[] = [];
  try {
    const args = ["merge-tree", "--write-tree", "-z", "--name-only", head, base];
    for await (const chunk of gitStream(args, { gitDir, signal })) out.push(chunk);
  } catch (error) {
    // It ends so where both contradict each other, and has made the tree.
    if (!(error instanceof GitFailed && error.code === 1)) throw error;
  }
  const [tree = "", ...fields] = Buffer.concat(out).toString("utf8").split("\0");
  const end = fields.indexOf("");
  return {
    tree,
    conflicts: end === -1 ? [] : fields.slice(0, end),
    says: fields.slice(end + 1).flatMap((text) => (/^CONFLICT \([^)]*\): /.test(text) ? [text.trim()] : [])),
  };
}

/** The files that still have one of git's markers of this merge. */
export function unresolvedIn(changes: readonly Change[], { head, base }: Merging): string[] {
  const marker = new RegExp(`^(?:<{7,} ${head}|>{7,} ${base})`, "m");
  return changes.flatMap((change) =>
    change.mode !== "deleted" && marker.test(change.bytes.toString("latin1")) ? [change.path] : [],
  );
}

/** What is handed to the checks as it is, where git joined both sides by itself. */
export function cleanSubmission({ base, conflicts }: Merging): Submission | undefined {
  if (conflicts.length > 0) return undefined;
  return {
    title: "Merge the base",
    cause: `The base has moved to ${base.slice(0, 12)}, and does not conflict with this branch.`,
    change: "Nothing beside the merge.",
  };
}

const mostPaths = 100;

/** What the base did to the conflicting files since both parted, as a patch. */
export async function baseSide(repository: string, { head, base, conflicts }: Merging): Promise<string> {
  const fork = await forkOf(repository, head, base);
  if (fork === undefined || conflicts.length === 0) return "";
  const paths = conflicts.slice(0, mostPaths);
  const args = ["--literal-pathspecs", "diff-tree", "-p", "--no-ext-diff", "--no-textconv", "--no-color", fork, base];
  return (await git([...args, "--", ...paths], { gitDir: repository })).toString("utf8");
}
