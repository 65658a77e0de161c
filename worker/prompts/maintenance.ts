import type { Message } from "../agent/model.ts";
import { cutText, outputLimit } from "../tools/output.ts";
import { begin, contextOf, quoteAll, roomFor } from "./context.ts";
import type { RepositoryContext } from "./context.ts";
import { quoteUntrusted, renderPrompt } from "./render.ts";

/** Why a change did not pass, and what its checks said. */
export interface Failed {
  reason: string;
  output: string;
}

export interface MaintenanceTask extends RepositoryContext {
  /** From the repository's settings, or the harness's own. */
  task: string;
  paths: readonly string[];
  measure: string | undefined;
  /** What the harness has done already, where it has. */
  begun?: BegunWork | undefined;
}
export interface BegunWork {
  /** Half a sentence. */
  what: string;
  /** Why that alone does not pass, if it was tried. */
  failed: Failed | undefined;
  /** Texts from outside that tell more of it. */
  notes: readonly { name: string; text: string }[];
}

/** The first messages of a maintenance run. */
export function maintenanceMessages(task: MaintenanceTask): Message[] {
  const { repo, root, paths, measure } = task;
  const scope = [
    paths.length > 0 ? `Change only files that match: ${paths.map((path) => `\`${path}\``).join(", ")}.` : "",
    measure === undefined ? "" : `The maintainers measure success with \`${measure}\`: it prints less afterwards.`,
  ];
  return begin(
    renderPrompt("maintenance", {
      repo,
      root,
      task: task.task,
      begun: task.begun === undefined ? "" : begunText(task, task.begun),
      scope: scope.join("\n").trim(),
      context: contextOf(task),
    }),
  );
}

function begunText(task: RepositoryContext, { what, failed, notes }: BegunWork): string {
  const { nonce, contextTokens } = task;
  const limit = outputLimit(contextTokens);
  const advice = "Run the checks yourself to see all of it.";
  return renderPrompt("begun", {
    what,
    failed: failed === undefined ? "" : `It does not pass as it stands: ${failed.reason}.`,
    output: failed === undefined ? "" : quoteUntrusted("output", cutText(failed.output, { limit, advice }), nonce),
    notes: notes.length === 0 ? "" : quoteAll(notes, { nonce, most: roomFor(task) }),
  });
}
