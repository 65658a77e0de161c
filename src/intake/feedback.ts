import { begin } from "../begin.ts";
import { mostFailures, mostRounds, readConversation, readFeedback } from "../feedback.ts";
import type { Feedback } from "../feedback.ts";
import type { Author, Forge } from "../forge.ts";
import type { IntakeJob } from "../job.ts";
import { defaultSettings } from "../settings.ts";
import type { Rounds } from "../status.ts";
import { wasStopped } from "../queued-reply.ts";
import { askAll, newRun, refuse, startRun } from "./start.ts";
import type { IntakeDeps } from "./start.ts";

export type RoundDecision =
  | { do: "start"; trigger: string; by: Author }
  | { do: "say"; text: string }
  | { do: "nothing" };

/** Pure: whether what was said begins a round. */
export function decideRound(newest: Feedback["newest"], rounds: Rounds | undefined): RoundDecision {
  if (newest === undefined) return { do: "nothing" };
  if (rounds !== undefined && rounds.count >= mostRounds)
    return say(`I have answered ${rounds.count} rounds of review here, and leave the rest to you`);
  if (rounds !== undefined && rounds.failures >= mostFailures)
    return say(`The last ${rounds.failures} rounds brought no change, so I leave this to you`);
  return { do: "start", trigger: newest.name, by: newest.by };
}

function say(text: string): RoundDecision {
  return { do: "say", text: `${text}. \`/agent-fix retry\` lets me look at it again, and counts anew.` };
}

/**
 * Something was said on a pull request of ours: what nobody has answered yet begins a round, in the name of who said the
 * newest of it. Safe to repeat.
 */
export async function onFeedback(
  job: Pick<Extract<IntakeJob, { kind: "feedback" }>, "repo" | "pull" | "actor">,
  deps: IntakeDeps,
): Promise<void> {
  const { repo, pull: number } = job;
  const forge = deps.host.forge(repo, "report");
  const asked = askAll(deps, forge, number, undefined);
  const reading = begin(readConversation(forge, number));
  const [pull, { slug }, settings, status] = await Promise.all([
    forge.pull(number),
    deps.host.app(),
    asked.settings,
    asked.status,
  ]);
  if (!pull.ours || pull.state !== "open") return;
  const { trigger } = (settings.ok ? settings.settings : defaultSettings).review;
  const { conversation, trusts } = await reading;
  const read = status?.rounds?.read;
  const { newest } = readFeedback(conversation, { read, trigger, slug, trusts });
  const decision = decideRound(newest, status?.rounds);
  if (decision.do === "start") {
    const { id, login } = decision.by;
    const subject = { kind: "review" as const, pull: number, branch: pull.head.branch };
    const run = newRun(repo, subject, { id, login }, decision.trigger);
    if (!(await wasStopped(forge, number, run.runId))) await startRun({ forge, deps, number, run, ...asked });
  } else if (decision.do === "say") {
    const mark = `<!-- agent-fix:brake ${status?.run ?? ""} -->`;
    await forge.ensureComment(number, mark, `${mark}\n${decision.text}`);
  }
  const { actor } = job;
  if (actor === undefined || trusts({ ...actor, isBot: false })) return;
  const spoke = readFeedback(conversation, { read, trigger, slug, trusts: ({ login }) => login === actor.login });
  if (spoke.newest !== undefined) await refuse(forge, number, actor);
}

/** Whether something on our pull request has no answer yet. */
export async function feedbackWaits(
  { host }: IntakeDeps,
  forge: Forge,
  number: number,
  asked: Pick<ReturnType<typeof askAll>, "status" | "settings">,
): Promise<boolean> {
  const [{ conversation, trusts }, { slug }, settings, status] = await Promise.all([
    readConversation(forge, number),
    host.app(),
    asked.settings,
    asked.status,
  ]);
  const { trigger } = (settings.ok ? settings.settings : defaultSettings).review;
  return readFeedback(conversation, { read: status?.rounds?.read, trigger, slug, trusts }).newest !== undefined;
}
