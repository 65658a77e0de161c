import { readTaskCommand } from "../commands.ts";
import { mayWrite } from "../forge.ts";
import type { IntakeJob } from "../job.ts";
import { upkeep } from "../maintenance/upkeep.ts";
import { answerMark } from "../status.ts";
import { isDone, refuse, setDone } from "./start.ts";
import type { IntakeDeps } from "./start.ts";

/** What a person with write access commands about a task; said anywhere, answered there in one comment. Safe to repeat. */
export async function onTaskCommand(job: Extract<IntakeJob, { kind: "command" }>, deps: IntakeDeps): Promise<void> {
  const { repo, number, actor, comment } = job;
  const { redis } = deps.queues;
  const command = readTaskCommand(job.text);
  if (command === undefined || (await isDone(redis, repo, comment))) return;
  const forge = deps.host.forge(repo, "report");
  if (!mayWrite(await forge.permission(actor.login))) return refuse(forge, number, actor);
  const mark = answerMark(comment);
  const answer = await upkeep(repo, deps, { ask: { ...command, actor, trigger: `comment-${comment}` } });
  await forge.ensureComment(number, mark, `${mark}\n${answer}`);
  await setDone(redis, repo, comment);
}
