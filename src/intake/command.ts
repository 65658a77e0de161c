import { commands, readCommand, taskCommands } from "../commands.ts";
import type { Command } from "../commands.ts";
import { mayWrite } from "../forge.ts";
import type { Forge } from "../forge.ts";
import { subjectKey } from "../job.ts";
import type { Follows, IntakeJob, Subject, TaskText } from "../job.ts";
import { answerMark, isTerminal, waitsForWord } from "../status.ts";
import type { StatusMarker } from "../status.ts";
import { inlineText } from "../text.ts";
import { triggerLabel } from "../triggers.ts";
import { mergeKey } from "../watch.ts";
import { runCi } from "./ci.ts";
import { tellEarlier } from "./earlier.ts";
import { feedbackWaits } from "./feedback.ts";
import { handBack, isOwnCommit } from "../hands-off.ts";
import { askAll, goingOn, isDone, keyOfPull, newRun, refuse, setDone, startRun } from "./start.ts";
import type { IntakeDeps } from "./start.ts";
import { stopAll } from "./stop.ts";

type Said = Extract<IntakeJob, { kind: "command" | "comment" }>;

/** How things stand where a person speaks to us. */
export interface Standing {
  isPull: boolean;
  /** Whether we work here at all: on issues, and on pull requests that we opened. */
  isOurs: boolean;
  isOpen: boolean;
  /** A run waits or works, here or on the branch that this is about. */
  isLive: boolean;
  /** It works. */
  isWorking: boolean;
  /** A question that was asked here waits for its answer. */
  hasQuestion: boolean;
  /** What the status comment says of the last run. */
  status: StatusMarker | undefined;
  /** Whether a review waits for an answer. */
  hasFeedback: boolean;
}

export type Decision =
  /** On a pull request, a branch that a person pushed to is ours to work on again. `merge`: it takes in its base. */
  { do: "start" | "merge"; how: Follows["how"] } | { do: "stop" } | { do: "run-ci" } | { do: "answer"; text: string };

/** What a command leads to. Pure. */
export function decideCommand(command: Command | undefined, at: Standing): Decision {
  if (command === "stop" && (at.isLive || at.hasQuestion)) return { do: "stop" };
  if (!at.isOurs) return answer("I only work on pull requests that I opened.");
  if (command === undefined) return answer(`I do not know that. I know ${known}.`);
  if (command === "status") return answer(standingText(at));
  if (command === "stop") return answer(nothingAtWork);
  if (command === "ci") return decideCi(at);
  const obstacle = obstacleTo(command, at);
  if (obstacle !== undefined) return answer(obstacle);
  return { do: at.isPull && !answersReview(command, at) ? "merge" : "start", how: command };
}

/** On a pull request: whether there is a round of review to begin, or to go on with. */
function answersReview(command: Follows["how"], { status, hasFeedback }: Standing): boolean {
  const { rounds } = status ?? {};
  return hasFeedback || (rounds !== undefined && (command === "retry" || rounds.failures > 0));
}

function decideCi({ isPull, isOpen, isLive }: Standing): Decision {
  if (!isPull) return answer("CI runs on a pull request: say it there.");
  if (isLive)
    return answer("I am at work here, and a commit now would be in the way of mine. Say it again when I am done.");
  return isOpen ? { do: "run-ci" } : answer("This is closed. Open it again, then say it again.");
}

function obstacleTo(command: Follows["how"], { isPull, isOpen, isLive, status }: Standing): string | undefined {
  if (isLive) return "I am at work here already. `/agent-fix stop` ends that; then say it again.";
  if (!isOpen) return "This is closed. Open it again, then say it again.";
  if (isPull && (command === "plan" || command === "approve"))
    return "A plan belongs to an issue: say it there. Here a submitted review brings a follow-up commit.";
  if (command === "approve" && !(status?.state === "needs-input" && status.cause === "plan"))
    return "There is no plan that waits for approval. `/agent-fix plan` asks for one.";
  if (!isPull && command === "continue" && status === undefined)
    return `There is no earlier run to go on from. Set the label \`${triggerLabel}\` to begin one.`;
  return undefined;
}

const about = taskCommands.map((name) => `${name} TASK`);
const known = [...commands, ...about].map((name) => `\`/agent-fix ${name}\``).join(", ");

function answer(text: string): Decision {
  return { do: "answer", text };
}

const stateTexts: Record<StatusMarker["state"], string> = {
  queued: "Queued",
  working: "Working",
  "waiting-model": "Waiting for the model",
  opened: "Done",
  "no-change": "Ended: there was nothing to change",
  "needs-input": "Waiting for you",
  "gave-up": "Stopped without a change",
  cancelled: "Stopped",
};

const nothingAtWork = "Nothing of mine is at work here.";

function standingText({ isPull, isLive, isWorking, status }: Standing): string {
  const live = isWorking ? "A run is at work." : "A run is queued.";
  if (status === undefined && isLive) return live;
  // That it is open is work of ours.
  if (status === undefined) return isPull ? nothingAtWork : "I have not worked here yet.";
  const cause = status.cause === undefined ? "" : ` (${inlineText(status.cause)})`;
  const lost =
    !isLive && !isTerminal(status.state) ? ", and its run is not in the queue: the next sweep looks at it" : "";
  const other = isLive && isTerminal(status.state) ? ` ${live}` : "";
  return `${stateTexts[status.state]}${cause}${lost}. The status comment has the rest; run \`${status.run}\`.${other}`;
}

/** Does what a person with write access commands, or says in one comment why not. Safe to repeat. */
export async function onCommand(job: Extract<IntakeJob, { kind: "command" }>, deps: IntakeDeps): Promise<void> {
  const { repo, number, actor, comment } = job;
  const { redis } = deps.queues;
  if (await isDone(redis, repo, comment)) return undefined;
  const forge = deps.host.forge(repo, "report");
  const asked = askAll(deps, forge, number, actor);
  const place = await placeOf(job, forge);
  if (!mayWrite(await asked.permission(actor))) return refuse(forge, number, actor);
  const { live, questions } = await liveAt(deps, job, place.key);
  const status = await asked.status;
  const { isPull } = job;
  const command = readCommand(job.text);
  const hasFeedback =
    (command === "continue" || command === "retry") && isPull && (await feedbackWaits(deps, forge, number, asked));
  const decision = decideCommand(command, {
    isPull,
    isOurs: place.key !== undefined,
    isOpen: place.isOpen,
    isLive: live.length > 0,
    isWorking: live.some(({ isWorking }) => isWorking),
    hasQuestion: questions.length > 0,
    status,
    hasFeedback,
  });
  if (decision.do === "answer") {
    const mark = answerMark(comment);
    await forge.ensureComment(number, mark, `${mark}\n${decision.text}`);
  } else if (decision.do === "start" || decision.do === "merge") {
    const about = isPull ? await takeBack(deps, forge, job, decision.do) : { place };
    await startFollowing({ forge, deps, job, how: decision.how, asked, ...about });
  } else if (decision.do === "run-ci") {
    const mark = answerMark(comment);
    await forge.ensureComment(number, mark, `${mark}\n${await runCi(deps.host.forge(repo, "publish"), job)}`);
  } else {
    await stopAll(deps, [...live, ...questions], { forge, by: actor, reason: "stopped by command", number, comment });
  }
  await setDone(redis, repo, comment);
}

/** The runs of the issue, and of its pull request's branch, and those that look into what was asked here. */
async function liveAt({ queues }: IntakeDeps, { repo, number }: Said, key: string | undefined) {
  const all = await queues.liveIn(repo.id);
  return {
    live: all.filter(({ run }) => subjectKey(run.subject) === key),
    questions: all.filter(({ run: { subject } }) => subject.kind === "question" && subject.number === number),
  };
}

/**
 * A word on an issue whose last run ended with a question is the answer to it, and has us look again where it found nothing
 * to do; whether it was. Of anybody else it is no concern of ours.
 */
export async function onAnswer(
  job: Extract<IntakeJob, { kind: "comment" }>,
  deps: IntakeDeps,
  forge: Forge,
): Promise<boolean> {
  const { redis } = deps.queues;
  const asked = askAll(deps, forge, job.number, job.actor);
  const status = await asked.status;
  if (status === undefined || !waitsForWord(status)) return false;
  const place = await placeOf(job, forge);
  // Whoever took the label off wants no more of it; a question stays one.
  if (status.cause !== "question" && place.isWanted !== true) return false;
  if (!place.isOpen || !mayWrite(await asked.permission(job.actor))) return false;
  const how = status.cause === "question" ? "answer" : "retry";
  await startFollowing({ forge, deps, job, how, place, asked });
  await setDone(redis, job.repo, job.comment);
  return true;
}

/** Where a person speaks. */
interface Place {
  /** What a run here is known by; undefined where we do not work. */
  key: string | undefined;
  isOpen: boolean;
  /** Of a pull request. */
  branch?: string;
  /** Of an issue, and whether it has the label. */
  text?: TaskText;
  isWanted?: boolean;
}

async function placeOf({ number, isPull }: Said, forge: Forge): Promise<Place> {
  if (isPull) {
    const pull = await forge.pull(number);
    return { key: keyOfPull(pull), isOpen: pull.state === "open", branch: pull.head.branch };
  }
  const { state, title, body, labels } = await forge.issue(number);
  const key = subjectKey({ kind: "issue", number });
  return { key, isOpen: state === "open", text: { title, body }, isWanted: labels.includes(triggerLabel) };
}

/** What a run on our pull request is about, whose branch is handed back to us where a person pushed to it. */
async function takeBack(
  { host }: IntakeDeps,
  forge: Forge,
  { number, actor: by }: Said,
  what: "start" | "merge",
): Promise<Pick<Following, "place" | "subject">> {
  const { base, head } = await forge.pull(number);
  const { branch, commit } = head;
  const [{ botLogin }, made] = await Promise.all([host.app(), forge.commit(commit)]);
  if (!isOwnCommit(made, botLogin)) await handBack(forge, number, { head: commit, by });
  if (what === "start") return { place: { branch } };
  const key = mergeKey(commit, (await forge.branchHead(base)) ?? "");
  return { place: {}, subject: { kind: "merge", pull: number, branch, key } };
}

interface Following {
  forge: Forge;
  deps: IntakeDeps;
  job: Said;
  how: Follows["how"];
  place: Pick<Place, "branch" | "text">;
  /** Default: the issue, or what was said on the pull request. */
  subject?: Subject;
  asked: ReturnType<typeof askAll>;
}

/** A new run that goes on from the last one. It is told what that one said, and what the person answered. */
async function startFollowing({ forge, deps, job, how, place, asked, ...about }: Following): Promise<void> {
  const { repo, number, actor, comment } = job;
  const status = await asked.status;
  const { branch } = place;
  const { subject = branch === undefined ? { kind: "issue", number } : { kind: "review", pull: number, branch } } =
    about;
  const follows = status === undefined ? { how } : goingOn(status, how);
  const run = { ...newRun(repo, subject, actor, `comment-${comment}`), follows };
  if (status?.run === run.runId) return;
  const answer = job.kind === "comment" ? job.text : "";
  await tellEarlier(deps, forge, number, { runId: run.runId, by: actor.login, answer });
  const { text } = place;
  await startRun({ forge, deps, number, run, ...(text !== undefined && { text }), ...asked });
}
