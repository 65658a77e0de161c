import { changeOf, diffOf } from "./git.ts";
import type { PullRequest, Repository, ReviewComment, Side } from "./state.ts";

interface Place {
  path: string;
  line: number;
  side: Side;
}

/** The part of the pull request's diff at a commit that ends at the line; undefined where it does not show that line. */
export async function hunkOf(
  { gitDir }: Repository,
  { base }: PullRequest,
  { path, line, side }: Place,
  commit: string,
): Promise<string | undefined> {
  const diff = await diffOf(gitDir, `refs/heads/${base}`, commit, [path]);
  let [left, right] = [0, 0];
  let hunk: string[] = [];
  for (const row of diff.replace(/\n$/, "").split("\n")) {
    const start = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(row);
    if (start !== null) {
      [left, right, hunk] = [Number(start[1]), Number(start[2]), [row]];
      continue;
    }
    if (hunk.length === 0) continue;
    hunk.push(row);
    // "\ No newline at end of file" is no line of either side.
    if (row.startsWith("\\")) continue;
    const found = side === "RIGHT" ? right === line && !row.startsWith("-") : left === line && !row.startsWith("+");
    if (found) return hunk.join("\n");
    if (!row.startsWith("+")) left++;
    if (!row.startsWith("-")) right++;
  }
  return undefined;
}

/** Where a comment's lines are in the newest commit; null for both when one of them is not there any more. */
export async function placeNow(
  { gitDir }: Repository,
  { headCommit }: PullRequest,
  { path, line, startLine, side, commit }: ReviewComment,
): Promise<{ line: number | null; startLine: number | null }> {
  // The old side is the base's, which a push leaves alone.
  if (commit === headCommit || side === "LEFT") return { line, startLine };
  const change = await changeOf(gitDir, commit, headCommit, path);
  const now = follow(change, line);
  const startNow = startLine === null ? null : follow(change, startLine);
  if (now === undefined || startNow === undefined) return { line: null, startLine: null };
  return { line: now, startLine: startNow };
}

/** A line's number after a change; undefined when it changed itself. */
function follow(change: string, line: number): number | undefined {
  let shift = 0;
  for (const [, start, removed = "1", added = "1"] of change.matchAll(/^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/gm)) {
    const count = Number(removed);
    // Where nothing is removed, git names the line before.
    const first = Number(start) + (count === 0 ? 1 : 0);
    if (line < first) break;
    if (line < first + count) return undefined;
    shift += Number(added) - count;
  }
  return line + shift;
}
