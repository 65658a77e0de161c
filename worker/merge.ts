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
  /** The paths that both sides change in ways that git can't join; none only where it joined everything. */
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
  // git keeps the base's side of some conflicts, so that nothing of the pull request is left in the tree.
  return changes.length === 0 && words.conflicts.length === 0
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
  const said = messagesIn(fields.slice(end + 1)).filter(({ text }) => /^CONFLICT \([^)]*\): /.test(text));
  const paths = fields.slice(0, Math.max(end, 0));
  return {
    tree,
    // Of a folder that one side splits in two, git lists no path: only what it says names one.
    conflicts: paths.length > 0 ? paths : said.flatMap((message) => message.paths),
    says: said.map(({ text }) => text.trim()),
  };
}

/** What follows the paths in git's answer: of each message how many paths it has, these, its kind and its text. */
function messagesIn(fields: readonly string[]): { paths: string[]; text: string }[] {
  const messages: { paths: string[]; text: string }[] = [];
  for (let at = 0; at + 3 <= fields.length; ) {
    const kind = at + 1 + Number(fields[at]);
    messages.push({ paths: fields.slice(at + 1, kind), text: fields[kind + 1] ?? "" });
    at = kind + 2;
  }
  return messages;
}

/** The files that still have one of git's markers of this merge. */
export function unresolvedIn(changes: readonly Change[], { head, base }: Merging): string[] {
  const marker = new RegExp(`^(?:<{7,} ${head}|>{7,} ${base})`, "m");
  return changes.flatMap((change) =>
    change.mode !== "deleted" && marker.test(change.bytes.toString("latin1")) ? [change.path] : [],
  );
}

/** The conflicting paths in which git marks no lines, as of a file that one side deletes: nobody could see whether they are decided. */
export function undecidableIn(changes: readonly Change[], merging: Merging): string[] {
  const marked = unresolvedIn(changes, merging);
  return merging.conflicts.filter((path) => !marked.includes(path));
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
