import type { RefusedError } from "../src/errors.ts";
import type { Outcome } from "./run.ts";

/** One kind of ending without a pull request, in the words that people read on the code host. */
interface CauseClass {
  outcome: "gave-up" | "needs-input";
  /** What happened. The run's own particulars follow it. */
  says: string;
  /** How the harness had tried again by itself; without it, it tries once. */
  tried?: string;
  /** What a person can do now. */
  next: string;
}

const goOn = "`/agent-fix continue` goes on from here, `/agent-fix retry` starts over.";
const startOver = "`/agent-fix retry` starts over.";
const orRetry = "Or say `/agent-fix retry`.";
const thenRetry = "Then say `/agent-fix retry`.";
const whenBack = "When it is back, `/agent-fix continue` goes on from here.";
const ofAdmin = "When an admin has put it right, `/agent-fix continue` goes on from here.";
const byHand = "Merge the base into the branch yourself, and push. Then `/agent-fix continue` lets me go on.";
const againByItself = "The task's next run reads the settings again.";
const away = {
  outcome: "gave-up",
  says: "The model endpoint did not answer, also when it was asked again, so I stopped waiting for it.",
  tried: "I wait for one that is away for up to a day, and go on at the same step when it is back.",
  next: whenBack,
} as const;
const askedAgain = "I asked again after 5, 10 and 15 minutes.";
const takenAgain = "I began again six times, after growing pauses.";
const repaired = "It went back to the model once, with what the checks said.";

/** Every way in which a run ends without an answer of its own, by the cause that its status comment names. */
export const causes = {
  "out of steps": limit("steps"),
  "out of tokens": limit("tokens"),
  "out of time": limit("minutes"),
  "no answer": { outcome: "gave-up", says: "The model came to no answer.", next: goOn },
  "format errors": {
    outcome: "gave-up",
    says: "The model's tool calls could not be parsed, time after time.",
    tried: "I read what can be read, and told the model what is wrong.",
    next: "When the server is put right, `/agent-fix continue` goes on from here.",
  },
  stuck: {
    outcome: "gave-up",
    says: "I went round in circles and stopped.",
    tried: "I had told the model so before.",
    next: goOn,
  },
  "context exhausted": {
    outcome: "gave-up",
    says: "The model's window is too small for this task.",
    tried: "Summing up did not make enough room.",
    next: startOver,
  },
  "context overflow": {
    outcome: "gave-up",
    says: "The conversation could not be made short enough for the model's window.",
    tried: "I had summed it up.",
    next: startOver,
  },
  "model away": away,
  "model stalled": away,
  "model server-error": away,
  "model refused": {
    outcome: "gave-up",
    says: "The model endpoint refused the key, which an admin must put right.",
    tried: askedAgain,
    next: ofAdmin,
  },
  "model unknown-model": {
    outcome: "gave-up",
    says: "The model endpoint does not serve the model, which an admin must put right.",
    tried: askedAgain,
    next: ofAdmin,
  },
  "model bad-request": {
    outcome: "gave-up",
    says: "The model endpoint did not accept the request, which an admin must look into.",
    next: ofAdmin,
  },
  "model overflow": {
    outcome: "gave-up",
    says: "The model endpoint found the request too long, which an admin must look into.",
    next: ofAdmin,
  },
  "model repetition": {
    outcome: "gave-up",
    says: "The model repeated the same text over and over, also when it was asked again.",
    next: goOn,
  },
  "gate rejected": { outcome: "gave-up", says: "My change did not pass the checks.", tried: repaired, next: goOn },
  "already red": {
    outcome: "gave-up",
    says: "A required check failed before my change, and with it as well.",
    tried: repaired,
    next: "Mend it on the base branch, or leave the check out, and say `/agent-fix retry`.",
  },
  conflict: {
    outcome: "gave-up",
    says: "This branch and its base contradict each other, and I could not tell how to keep both.",
    next: "Resolve it on the branch and push, or close this pull request and set the label on the issue again: I start over from the base as it is then.",
  },
  "the gate broke": {
    outcome: "gave-up",
    says: "The checks came to no verdict, which says nothing about my change.",
    next: goOn,
  },
  crashed: { outcome: "gave-up", says: "The worker died on this run, each time anew.", next: startOver },
  outage: {
    outcome: "gave-up",
    says: "Something that I depend on was away.",
    tried: takenAgain,
    next: "When it is back, `/agent-fix retry` starts over.",
  },
  "internal error": {
    outcome: "gave-up",
    says: "Something went wrong in me, and not in what you asked for.",
    tried: takenAgain,
    next: startOver,
  },
  "no rights": {
    outcome: "gave-up",
    says: "The code host refused what I wanted to do, for want of a permission.",
    next: "When somebody who runs the app or the repository has given it, `/agent-fix retry` starts over.",
  },
  refused: {
    outcome: "gave-up",
    says: "The code host refused what I wanted to do, and would refuse it again.",
    next: "When that is put right, `/agent-fix retry` starts over.",
  },
  "question lost": { outcome: "gave-up", says: "The question was lost.", next: "Ask it again, in a new comment." },

  settings: {
    outcome: "needs-input",
    says: "`.github/agent-fix.yml` cannot be used.",
    next: `Mend it on the default branch. ${thenRetry}`,
  },
  "no checks": {
    outcome: "needs-input",
    says: "I found no command that tests this repository, and I open no pull request without one.",
    next: thenRetry,
  },
  "image missing": {
    outcome: "needs-input",
    says: "The image that this repository is to run in is not there.",
    next: `Name another in \`image\`, or have it pulled or built. ${thenRetry}`,
  },
  "set-up failed": {
    outcome: "needs-input",
    says: "The set-up of this repository failed.",
    next: `Mend what failed, or the \`setup\` list in \`.github/agent-fix.yml\`. ${thenRetry}`,
  },
  "base broken": {
    outcome: "needs-input",
    says: "The checks cannot run before anything is changed.",
    next: `Mend that, or the commands in \`.github/agent-fix.yml\`: on an issue I begin anew when the base moves. ${orRetry}`,
  },
  "base branch": {
    outcome: "needs-input",
    says: "The branch to start from does not exist.",
    next: `Mend \`base\` in \`.github/agent-fix.yml\`. ${thenRetry}`,
  },
  "empty repository": {
    outcome: "needs-input",
    says: "The repository has no commit yet, so there is nothing to work on.",
    next: `Push one. ${thenRetry}`,
  },
  dependencies: {
    outcome: "needs-input",
    says: "What the pull request's dependencies ask for could not be had.",
    next: `Mend that on its branch. ${thenRetry}`,
  },
  "install script": {
    outcome: "needs-input",
    says: "The change brings a package with an install script. I run none for packages that a change brings.",
    next: `Add it on the default branch yourself, or name what it needs in \`setup\`. ${thenRetry}`,
  },
  "branch moved": {
    outcome: "needs-input",
    says: "Somebody else wrote to the branch, so I added nothing to it.",
    next: "`/agent-fix retry` starts from where it stands now.",
  },
  "workflow files": {
    outcome: "needs-input",
    says: "The commit changes workflow files of the repository's CI, which the code host lets no app do without a permission that I do not ask for. I pushed nothing.",
    next: byHand,
  },
  "merge refused": {
    outcome: "needs-input",
    says: "What comes of merging the base is no commit that git finds sound, so I pushed nothing.",
    next: byHand,
  },
  growth: {
    outcome: "needs-input",
    says: "This round of review grew too large.",
    next: "Ask for less at once, and say `/agent-fix retry`.",
  },
  task: { outcome: "needs-input", says: "A scheduled task has to say what is to be done.", next: againByItself },
  "update failed": {
    outcome: "needs-input",
    says: "What the task updates before anything else could not be updated.",
    next: `Mend that, or the task in \`.github/agent-fix.yml\`. ${againByItself}`,
  },
  "no updater": {
    outcome: "needs-input",
    says: "I can't update this repository's dependencies by myself.",
    next: `Say \`task:\` and \`update:\` instead of \`use:\`. ${againByItself}`,
  },
  measure: {
    outcome: "needs-input",
    says: "The task's measure could not be read.",
    next: `Its last line has to be a number: mend \`measure\` in \`.github/agent-fix.yml\`. ${againByItself}`,
  },
  question: {
    outcome: "needs-input",
    says: "",
    next: "Answer in a comment, and I go on with it. `/agent-fix continue` takes what I would do.",
  },
  plan: {
    outcome: "needs-input",
    says: "",
    next: "`/agent-fix approve` carries it out, `/agent-fix plan` plans anew.",
  },
} as const satisfies Record<string, CauseClass>;

export type Cause = keyof typeof causes;
export type GaveUpCause = CauseOf<"gave-up">;
type CauseOf<T extends CauseClass["outcome"]> = {
  [C in Cause]: (typeof causes)[C]["outcome"] extends T ? C : never;
}[Cause];

/** The repository or its settings lack something that only a person can add. */
export function needsInput(cause: CauseOf<"needs-input">, detail = ""): Outcome {
  return ended(cause, detail);
}

/** The run ended without a change that passes. */
export function gaveUp(cause: GaveUpCause, detail = ""): Outcome {
  return ended(cause, detail);
}

/** The code host's own no, of which it is sure. */
export function refusedBy({ why, message }: RefusedError): Outcome {
  if (why === "workflows") return needsInput("workflow files", message);
  return gaveUp(why === "permission" ? "no rights" : "refused", message);
}

/** Nobody wants the run any more. */
export function cancelled(cause: string | undefined): Outcome {
  return { outcome: "cancelled", cause, detail: "", pull: undefined };
}

/** A run with nothing to do tells nobody but its log. */
export function nothingToDo(cause: string, detail = ""): Outcome {
  return { outcome: "no-change", cause, detail, pull: undefined };
}

/** What a person can do about a cause; of the log of another version it may be one that is not known here. */
export function nextMove(cause: string | undefined): string {
  return Object.entries(causes).find(([name]) => name === cause)?.[1].next ?? startOver;
}

function ended(cause: Cause, detail: string): Outcome {
  const { outcome, says, tried = "" }: CauseClass = causes[cause];
  const parts = [[says, tried].filter(Boolean).join(" "), detail];
  return { outcome, cause, detail: parts.filter(Boolean).join("\n\n"), pull: undefined };
}

function limit(what: "steps" | "tokens" | "minutes") {
  const says = `I reached the limit of ${what} before a change was ready.`;
  return { outcome: "gave-up", says, next: goOn } as const;
}
