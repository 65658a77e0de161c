import { isDeepStrictEqual } from "node:util";
import { pointsLeft, readConversation, readFeedback, readFurther } from "../src/feedback.ts";
import type { FeedbackEvent, Point, Reply, Text } from "../src/feedback.ts";
import type { Forge, Pull } from "../src/forge.ts";
import { lastEvent } from "../src/runlog.ts";
import type { Stamped } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { recallStatus } from "../src/status-comment.ts";
import { replyMark } from "../src/status.ts";
import type { Memory, Rounds } from "../src/status.ts";
import { boundedBody, cut, inlineText } from "../src/text.ts";
import type { Outcome, Run, WorkerDeps } from "./run.ts";
import type { Replies } from "./tools/reply.ts";

/**
 * What this round is about: as the log has it, without what another round has answered since; else all that has not been
 * answered, read now.
 */
export async function takeFeedback(
  run: Run,
  { host, redis }: Pick<WorkerDeps, "host" | "redis">,
  { forge, pull, settings }: { forge: Forge; pull: Pull; settings: Settings },
): Promise<FeedbackEvent> {
  const { how } = run.job.follows ?? {};
  const stands = (await recallStatus({ redis, forge, number: pull.number }))?.rounds;
  const before = stands && countedFor(run, stands);
  const logged = lastEvent(run.log.events, "feedback");
  if (logged !== undefined) return before === undefined ? logged : stillToAnswer(run, logged, before);
  const [{ conversation, trusts }, { slug }] = await Promise.all([readConversation(forge, pull.number), host.app()]);
  const from = (how === undefined ? before?.read : before?.from) ?? {};
  const { trigger } = settings.review;
  const { points, read } = readFeedback(conversation, { read: from, trigger, slug, trusts });
  const feedback = { points, from, read, head: pull.head.commit, ...(before !== undefined && { before }) };
  await run.log.append({ type: "feedback", ...feedback });
  await Promise.all(newTexts(points).map((text) => showRead(forge, text)));
  return feedback;
}

/** A person's word to try again lets the rounds count anew. */
function countedFor({ job }: Pick<Run, "job">, rounds: Rounds): Rounds {
  return job.follows?.how === "retry" ? { ...rounds, count: 0, failures: 0 } : rounds;
}

/** The run went back to the queue, and another round may have been first. */
async function stillToAnswer({ job, log }: Run, logged: FeedbackEvent, before: Rounds): Promise<FeedbackEvent> {
  const readBefore = logged.before?.read ?? {};
  if (isDeepStrictEqual(readBefore, before.read)) return logged;
  const points = pointsLeft(logged.points, { before: readBefore, now: before.read });
  const from = job.follows === undefined ? before.read : logged.from;
  const left = { points, from, read: readFurther(before.read, logged.read), head: logged.head, before };
  await log.append({ type: "feedback", ...left });
  return left;
}

function newTexts(points: readonly Point[]): { id: number; point: Point }[] {
  return points.flatMap((point) => point.texts.filter(({ isNew }) => isNew).map(({ comment: id }) => ({ id, point })));
}

/** A sign that it was read. The text of a review can have none, and no round fails for want of one. */
async function showRead(forge: Forge, { id, point }: { id: number; point: Point }): Promise<void> {
  if (point.id.startsWith("r")) return;
  const kind = point.thread === undefined ? "comment" : "review-comment";
  await forge.react({ kind, id }, "eyes").catch(() => {});
}

/** The answers that the agent gives, kept in the log. */
export function repliesTo(points: readonly { id: string }[], { log }: Pick<Run, "log">): Replies {
  return {
    points: points.map(({ id }) => id),
    given: () => repliesOf(log.events),
    record: (reply) => log.append({ type: "reply", ...reply }),
  };
}

/** The last answer to each point. */
export function repliesOf(events: readonly Stamped[]): Reply[] {
  const last = new Map<string, Reply>();
  for (const event of events) {
    if (event.type !== "reply") continue;
    const { point, disposition, text } = event;
    last.set(point, { point, disposition, text });
  }
  return [...last.values()];
}

/** What the pull request remembers while a round is at work: nothing of that counts as read before it ends. */
export function duringRound(run: Pick<Run, "job">): (memory: Memory) => Memory {
  return (memory) => (memory.rounds === undefined ? memory : { ...memory, rounds: countedFor(run, memory.rounds) });
}

/** What it remembers after the round. Where another one ended since, that one's count stands: this is told late. */
export function afterRound(
  { before, from, read }: FeedbackEvent,
  outcome: Outcome["outcome"],
): (memory: Memory) => Memory {
  const isFailure = outcome === "gave-up" || outcome === "needs-input" || outcome === "cancelled";
  const count = (before?.count ?? 0) + 1;
  const failures = isFailure ? (before?.failures ?? 0) + 1 : 0;
  return ({ rounds: stands, watch }) => {
    const isNext = isDeepStrictEqual(stands?.read ?? {}, before?.read ?? {});
    const counted = stands === undefined || isNext ? { count, failures, from } : stands;
    return { rounds: { ...counted, read: readFurther(stands?.read ?? {}, read) }, watch };
  };
}

const mostText = 1500;

/** One point's answer in a sentence or two; `commit` is the one that was pushed, if any. */
function answerText(
  { disposition, text }: Pick<Reply, "disposition" | "text">,
  { commit, applied }: { commit: string | undefined; applied: boolean },
): string {
  const said = inlineText(cut(text, mostText));
  switch (disposition) {
    case "fixed":
      if (commit === undefined) return said;
      return `${applied ? "Applied as suggested" : "Fixed"} in ${commit.slice(0, 12)}: ${said}`;
    case "declined":
      return `Not changed: ${said} Say "do it anyway" and I will.`;
    case "out-of-scope":
      return `Outside of this pull request: ${said}`;
    case "question":
      return said;
  }
}

/** An answer of several lines, each neutral. */
export function answerLines(text: string): string {
  return text
    .split("\n")
    .map((line) => inlineText(line))
    .join("\n");
}

export interface Answered {
  feedback: FeedbackEvent;
  replies: readonly Reply[];
  /** The commit that was pushed. */
  commit: string | undefined;
  /** The points whose suggestions stand in it as they were made. */
  applied: ReadonlySet<string>;
}

export function roundTitle({ feedback, replies, commit }: Answered, took: string): string {
  const { points, before } = feedback;
  const answered = points.filter(({ id }) => replies.some(({ point }) => point === id)).length;
  const of = answered === points.length ? "" : ` of ${points.length}`;
  const what = `Round ${(before?.count ?? 0) + 1}: ${answered}${of} ${points.length === 1 ? "point" : "points"} answered`;
  return `${what} in ${took}, ${commit === undefined ? "nothing changed" : `with ${commit}`}`;
}

/** A table of what became of each point. */
export function renderAnswers({ feedback, replies, commit, applied }: Answered): string {
  const rows = feedback.points.map((point) => {
    const reply = replies.find((one) => one.point === point.id);
    const answer = reply === undefined ? "No answer." : answerText(reply, { commit, applied: applied.has(point.id) });
    return `| [${cell(placeOf(point))}](${point.url}) | ${cell(answer)} |`;
  });
  return ["| Point | Answer |", "| --- | --- |", ...rows].join("\n");
}

/** Neutral text as a table's cell: a bar ends one also within code. */
function cell(text: string): string {
  return text.replaceAll("\n", " ").replaceAll(/(?<!\\)\|/g, String.raw`\|`);
}

function placeOf({ thread, id, texts }: Point): string {
  const by = texts.findLast(({ isNew }: Text) => isNew)?.by.login ?? "";
  if (thread === undefined) return inlineText(`${id.startsWith("r") ? "review" : "comment"} by ${by}`);
  const line = thread.line === undefined ? "" : `:${thread.line}`;
  return inlineText(`${thread.path}${line}`);
}

/** Posts each answer in its thread. Safe to repeat. */
export async function postReplies(run: Run, forge: Forge, pull: number, answered: Answered): Promise<void> {
  const { feedback, replies, commit, applied } = answered;
  for (const { id, thread } of feedback.points) {
    const reply = replies.find(({ point }) => point === id);
    if (reply === undefined || thread === undefined) continue;
    await run.guard();
    const mark = replyMark(run.job.runId, id);
    const text = answerText(reply, { commit, applied: applied.has(id) });
    await forge.ensureReply(pull, thread.first, mark, boundedBody(`${mark}\n${text}`));
  }
}

/** The threads that the commit mends, by id. */
export function fixedThreads({ feedback, replies, commit }: Answered): string[] {
  if (commit === undefined) return [];
  const fixed = replies.filter(({ disposition }) => disposition === "fixed").map(({ point }) => point);
  return feedback.points.flatMap(({ id, thread }) => (thread !== undefined && fixed.includes(id) ? [thread.id] : []));
}
