import type { Probot } from "probot";
import type { Queues } from "./queue.ts";
import { intakeFor } from "./triggers.ts";

/** The Probot app: each event becomes at most one intake job, durably stored before the handler resolves. */
export function createApp({ queues }: { queues: Pick<Queues, "addIntake"> }): (probot: Probot) => void {
  return (probot) => {
    probot.on(
      ["issues.labeled", "issues.unlabeled", "issues.closed", "pull_request_review.submitted"],
      async ({ id, name, payload }) => {
        const job = intakeFor({ id, name, payload });
        if (job !== undefined) await queues.addIntake(job, id);
      },
    );
  };
}
