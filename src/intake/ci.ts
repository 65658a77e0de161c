import type { Forge } from "../forge.ts";

/** What keeps the repository's CI from running on a commit of ours. */
const held = "[skip ci]";

/**
 * Adds one empty commit to our pull request, on which the repository's CI runs; returns what to say of it. The same
 * comment adds one only, however often it is delivered.
 */
export async function runCi(forge: Forge, { number, comment }: { number: number; comment: number }): Promise<string> {
  const trailer = `Agent-Fix-CI: ${comment}`;
  const [{ head }, commits] = await Promise.all([forge.pull(number), forge.pullCommits(number)]);
  const before = commits.find((one) => one.message.split("\n").includes(trailer));
  if (before !== undefined) return told(before.id);
  const { message } = await forge.commit(head.commit);
  if (!message.includes(held)) return `The head commit \`${head.commit.slice(0, 12)}\` does not hold CI back.`;
  const made = await forge.createCommit({
    base: head.commit,
    message: `Let CI run\n\nNothing is changed: the commit before asks CI to skip it.\n\n${trailer}\n`,
    files: [],
    deleted: [],
  });
  const moved = await forge.ensureBranch(head.branch, made.commit, head.commit);
  return moved === "done" ? told(made.commit) : "The branch moved meanwhile, so I added nothing. Say it again.";
}

function told(commit: string): string {
  return `CI can run on \`${commit.slice(0, 12)}\`, an empty commit that does not hold it back.`;
}
