import type { Probot } from "probot";
import type { PrefetchHint } from "./prefetch.ts";
import type { Queues } from "./queue.ts";
import { hintFor, intakeFor } from "./triggers.ts";

export interface AppDeps {
  queues: Pick<Queues, "addIntake">;
  /** Tells the workers; never fails. */
  announce: (hint: PrefetchHint) => Promise<void>;
}

/**
 * The Probot app: each event becomes at most one intake job, durably stored before the handler resolves, or a hint to the
 * workers, which may get lost.
 */
export function createApp({ queues, announce }: AppDeps): (probot: Probot) => void {
  return (probot) => {
    probot.on(
      [
        "issues.labeled",
        "issues.unlabeled",
        "issues.closed",
        "issues.transferred",
        "issues.deleted",
        "issues.opened",
        "issues.edited",
        "issue_comment.created",
        "pull_request_review.submitted",
        "pull_request_review_comment.created",
        "check_suite.completed",
        "status",
        "pull_request.closed",
        "pull_request.reopened",
        "pull_request.edited",
        "pull_request.synchronize",
        "installation.created",
        "installation_repositories.added",
        "push",
      ],
      async ({ id, name, payload }) => {
        const job = intakeFor({ id, name, payload });
        if (job !== undefined) await queues.addIntake(job, id);
        const hint = hintFor({ id, name, payload });
        if (hint !== undefined) await announce(hint);
      },
    );
  };
}
