import type { Message } from "../agent/model.ts";
import { cutText, outputLimit } from "../tools/output.ts";
import { begin, contextOf, roomFor } from "./context.ts";
import type { RepositoryContext } from "./context.ts";
import type { Failed } from "./maintenance.ts";
import { quoteUntrusted, renderPrompt } from "./render.ts";

export interface MergeTask extends RepositoryContext {
  title: string;
  /** The pull request's change before the merge, as a patch. */
  diff: string;
  merging: { head: string; base: string; says: readonly string[] };
  /** What the base did to the conflicting files, as a patch. */
  theirs: string;
  /** Why a merge without conflicts does not pass as it stands. */
  failed: Failed | undefined;
}

/** The first messages of a run in which our pull request takes in its base. */
export function mergeMessages(task: MergeTask): Message[] {
  const { repo, root, nonce, title, diff, theirs } = task;
  const most = roomFor(task);
  return begin(
    renderPrompt("merge", {
      repo,
      root,
      state: stateOf(task),
      title: quoteUntrusted("pull request title", title, nonce),
      diff: quoteUntrusted("change so far", diff, nonce, most),
      theirs: theirs === "" ? "" : quoteUntrusted("what the base did to those files", theirs, nonce, most),
      context: contextOf(task),
    }),
  );
}

function stateOf({ merging, failed, nonce, contextTokens }: MergeTask): string {
  const { head, base, says } = merging;
  if (says.length > 0)
    return `git could not join both sides. It says, where ${head} is the pull request and ${base} the base:\n\n${quoteUntrusted("conflicts", says.join("\n"), nonce)}`;
  if (failed === undefined) return "git joined both sides without a conflict.";
  const limit = outputLimit(contextTokens);
  const output = cutText(failed.output, { limit, advice: "Run the checks yourself to see all of it." });
  return `git joined both sides without a conflict, but the result does not pass: ${failed.reason}.\n\n${quoteUntrusted("output", output, nonce)}`;
}
