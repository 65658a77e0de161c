import { randomUUID } from "node:crypto";
import type { RepoRef, RunJob } from "../job.ts";
import { within } from "../queue.ts";
import type { Queues } from "../queue.ts";
import { boardKey } from "./board.ts";
import type { LastOutcome } from "./memory.ts";
import { keepQuestion } from "./questions.ts";

type Asked = Pick<Queues, "redis" | "addIntake">;

/** Has a repository looked after soon, where it has a dashboard: what that shows has changed. */
export async function refresh({ redis, addIntake }: Asked, repo: RepoRef): Promise<void> {
  if ((await within(3000, redis.exists(boardKey(repo)))) === 0) return;
  const delivery = `changed-${randomUUID()}`;
  await addIntake({ kind: "upkeep", delivery, repo }, delivery);
}

/** The same when a worker begins a run, or has ended it so. */
export async function refreshFor(
  queues: Asked,
  { repo, subject }: RunJob,
  ended?: LastOutcome["outcome"],
): Promise<void> {
  if (ended !== undefined && subject.kind === "issue")
    await keepQuestion(queues.redis, repo, subject.number, ended === "needs-input");
  await refresh(queues, repo);
}
