import type { Message } from "../agent/model.ts";
import type { Point } from "../../src/feedback.ts";
import { visibleText } from "../../src/visible.ts";
import type { Attachment } from "../../src/visible.ts";
import type { Earlier } from "../earlier.ts";
import type { Said } from "../remarks.ts";
import { cutText, outputLimit } from "../tools/output.ts";
import { namesOf } from "../unread.ts";
import { begin, contextOf, quoteAll, roomFor } from "./context.ts";
import type { RepositoryContext } from "./context.ts";
import { quoteUntrusted, renderPrompt } from "./render.ts";

/** In characters: it stays in the conversation also where the rest of it is summed up. */
const mostComment = 8000;

/** The first messages of a run on an issue, whose title and body are as they were when the run was asked for. */
export function issueMessages(
  task: RepositoryContext & {
    title: string;
    body: string;
    remarks?: Said;
    earlier?: Earlier | undefined;
    hasWork?: boolean;
    planOnly?: boolean;
  },
): Message[] {
  const { repo, root, nonce, title, body, remarks = [], earlier, hasWork = false, planOnly = false } = task;
  const { text, attachments } = visibleText(body);
  return begin(
    renderPrompt("issue", {
      repo,
      root,
      title: quoteUntrusted("issue title", title, nonce),
      body: quoteUntrusted("issue", text, nonce, roomFor(task)),
      remarks: remarksText(remarks, { nonce, most: roomFor(task) }),
      attachments: attachmentsOf(attachments, nonce),
      earlier: earlier === undefined ? "" : earlierText(earlier, { nonce, most: roomFor(task), hasWork }),
      plan: planOnly ? renderPrompt("plan-only", {}) : "",
      context: contextOf(task),
    }),
  );
}

/** From this round on, only what has to change does. */
const lateRound = 6;

export interface ReviewTask extends RepositoryContext {
  title: string;
  /** The pull request's change, as a patch. */
  diff: string;
  points: readonly Point[];
  /** The points whose suggestions are in the working tree already. */
  applied: readonly string[];
  /** Which round of review this is, from 1. */
  round: number;
}

/** The first messages of a run on what reviewers said about our own pull request. */
export function reviewMessages(task: ReviewTask): Message[] {
  const { repo, root, nonce, title, diff, points, applied, round } = task;
  const most = roomFor(task);
  return begin(
    renderPrompt("review", {
      repo,
      root,
      title: quoteUntrusted("pull request title", title, nonce),
      diff: quoteUntrusted("change so far", diff, nonce, most),
      points: quoteAll(points.map(pointText), { nonce, most }),
      applied: applied.length === 0 ? "" : renderPrompt("review-applied", { points: applied.join(", ") }),
      late: round < lateRound ? "" : renderPrompt("review-late", { round: String(round) }),
      context: contextOf(task),
    }),
  );
}

/** A check of the repository's own CI that fails. */
export interface FailingCheck {
  name: string;
  url: string | undefined;
  /** What it says of lines, each as one text. */
  says: readonly string[];
}

/** The first messages of a run on what the repository's own checks hold against our pull request. */
export function checksMessages(
  task: RepositoryContext & { title: string; diff: string; failing: readonly FailingCheck[] },
): Message[] {
  const { repo, root, nonce, title, diff, failing } = task;
  const most = roomFor(task);
  const texts = failing.map(({ name, url, says }) => ({
    name: `check ${name}`,
    text: [url ?? "", ...says].join("\n"),
  }));
  return begin(
    renderPrompt("checks", {
      repo,
      root,
      checks: quoteAll(texts, { nonce, most }),
      title: quoteUntrusted("pull request title", title, nonce),
      diff: quoteUntrusted("change so far", diff, nonce, most),
      context: contextOf(task),
    }),
  );
}

/** The first messages of a run that answers a question and changes nothing. */
export function questionMessages(task: RepositoryContext & { by: string; text: string; about: string }): Message[] {
  const { repo, root, nonce, by, text, about } = task;
  const most = roomFor(task);
  return begin(
    renderPrompt("question", {
      repo,
      root,
      question: quoteUntrusted(commentLabel(by), seen(text), nonce, most),
      about: quoteUntrusted("where it was asked", seen(about), nonce, most),
      context: contextOf(task),
    }),
  );
}

/** A point as the model reads it: where it is, and what was said there, oldest first. */
function pointText({ id, thread, texts }: Point): { name: string; text: string } {
  const line = thread?.line === undefined ? "" : ` line ${thread.line}`;
  const where = thread === undefined ? "" : ` on ${thread.path}${line}${thread.isOutdated ? ", outdated" : ""}`;
  const said = texts.map(({ by, body, isNew }) => `${nameOf(by.login)}${isNew ? "" : ", earlier"}:\n${seen(body)}`);
  return { name: `point ${id}${where}`, text: [...(thread === undefined ? [] : [thread.hunk]), ...said].join("\n\n") };
}

function seen(body: string): string {
  const { text, attachments } = visibleText(body);
  if (attachments.length === 0) return text;
  return `${text}\n\n(Attached, and not to be read here: ${namesOf(attachments).join(", ")})`;
}

/** What the agent reads when the harness rejected its change; the output comes from the change's own tests. */
export function gateFailedMessage(verdict: {
  reason: string;
  output: string;
  /** The agent goes on in a new container, with the dependencies of its change. */
  moved: boolean;
  nonce: string;
  contextTokens: number;
}): Message {
  const limit = outputLimit(verdict.contextTokens);
  const advice = "Run the checks yourself to see all of it.";
  const output = quoteUntrusted("output", cutText(verdict.output, { limit, advice }), verdict.nonce);
  return {
    role: "user",
    text: renderPrompt("gate-failed", { reason: verdict.reason, output, moved: movedText(verdict) }),
  };
}

/** What the agent reads when its change passes, and no test of it fails without it. */
export function testMissingMessage({ reason, moved }: { reason: string; moved: boolean }): Message {
  return { role: "user", text: renderPrompt("test-missing", { reason, moved: movedText({ moved }) }) };
}

function movedText({ moved }: { moved: boolean }): string {
  return moved ? renderPrompt("moved", {}) : "";
}

/** What the agent reads when somebody with write access comments while it works. */
export function commentText({ by, text, nonce }: { by: string; text: string; nonce: string }): string {
  const shown = cutText(seen(text), {
    limit: mostComment,
    advice: "The comment is longer than can be shown.",
  });
  return renderPrompt("comment", { comment: quoteUntrusted(commentLabel(by), shown, nonce) });
}

const nextSteps: Record<Earlier["how"], string> = {
  retry: "The task is to be done anew: look for yourself, and rely on nothing of that.",
  continue: "Go on from there, and finish it. Its change is not in the working tree: make what is good of it again.",
  plan: "A plan is wanted anew.",
  approve: "Its plan is approved: carry it out as it stands.",
  answer: "Go on with that answer.",
  default: "Nobody has answered: do what it said it would do without an answer, and ask nothing more.",
};

const nextWithWork = "Go on from there, and finish it. Its change is in the working tree, as `git diff` shows.";

function earlierText(
  { how, said, by, answer }: Earlier,
  { nonce, most, hasWork }: { nonce: string; most: number; hasWork: boolean },
): string {
  const shown = seen(answer);
  return renderPrompt("earlier", {
    said: quoteUntrusted("what it told", said, nonce, most),
    answer: shown === "" ? "" : quoteUntrusted(commentLabel(by), shown, nonce, most),
    next: hasWork ? nextWithWork : nextSteps[how],
  });
}

function remarksText(said: Said, room: { nonce: string; most: number }): string {
  if (said.length === 0) return "";
  const texts = said.map(({ by, body }) => ({ name: commentLabel(by), text: seen(body) }));
  return `Maintainers said below it, oldest first:\n\n${quoteAll(texts, room)}`;
}

function attachmentsOf(attachments: readonly Attachment[], nonce: string): string {
  if (attachments.length === 0) return "";
  const names = namesOf(attachments).join("\n");
  return `The issue has attachments, which can't be read here:\n\n${quoteUntrusted("attachments", names, nonce)}`;
}

/** What the agent reads when the checks of the unchanged code have ended, which ran beside it. */
export function baselineText(baseline: string, nonce: string): string {
  return renderPrompt("baseline", { baseline: quoteUntrusted("result", baseline, nonce) });
}

function commentLabel(author: string): string {
  return `comment by ${nameOf(author)}`;
}

function nameOf(login: string): string {
  return login.replaceAll(/[^\w.[\]-]/g, "");
}
