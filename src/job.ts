import { createHash } from "node:crypto";
import { z } from "zod";

/** A repository as an installation sees it; what every job names first. */
export const repoRef = z.object({ id: z.number(), owner: z.string(), name: z.string(), installationId: z.number() });
export type RepoRef = z.infer<typeof repoRef>;

const actor = z.object({ id: z.number(), login: z.string() });
export type Actor = z.infer<typeof actor>;

const text = z.object({ title: z.string(), body: z.string() });
/** The task as it stood when it was asked for. */
export type TaskText = z.infer<typeof text>;

/** What a person says somewhere. */
export const said = z.object({
  delivery: z.string(),
  repo: repoRef,
  /** The issue or pull request that it stands on. */
  number: z.number(),
  isPull: z.boolean(),
  actor,
  comment: z.number(),
  text: z.string(),
  /** It stands on lines of a pull request, and not below it. */
  inThread: z.boolean().optional(),
  /** It is a review's own text, and `comment` the review's id. */
  inReview: z.boolean().optional(),
});

/** What waits in the intake queue: one accepted event, with the signed text, removed when done. */
export const intakeJob = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("label"),
    delivery: z.string(),
    repo: repoRef,
    issue: z.number(),
    actor: actor.optional(),
    text: text.optional(),
    /** The base commit that the label is to be answered on, after a run that ended since the one before was broken. */
    base: z.string().optional(),
    /** The run whose questions have waited long enough for an answer. */
    unanswered: z.string().optional(),
  }),
  /** Something was said on a pull request of ours. What, is asked from the code host. */
  z.object({
    kind: z.literal("feedback"),
    delivery: z.string(),
    repo: repoRef,
    pull: z.number(),
    branch: z.string(),
    /** Unknown where a sweep found it. */
    actor: actor.optional(),
    /** A comment that stands alone: its author may be writing the next one. */
    isSingle: z.boolean().optional(),
  }),
  /** Something changed about a commit, or a branch, that pull requests of ours may stand on. */
  z.object({
    kind: z.literal("watch"),
    delivery: z.string(),
    repo: repoRef,
    /** Unknown where a commit status tells of it. */
    pull: z.number().optional(),
    branch: z.string(),
  }),
  /** `isLate`: it was for a run that ended before it read it. */
  z.object({ kind: z.literal("comment"), isLate: z.boolean().optional(), ...said.shape }),
  z.object({ kind: z.literal("command"), ...said.shape }),
  z.object({
    kind: z.literal("stop"),
    delivery: z.string(),
    repo: repoRef,
    issue: z.number(),
    actor,
    reason: z.enum(["label removed", "issue closed", "issue transferred", "issue deleted"]),
  }),
  /** Something happened that tasks, first settings or the dashboard depend on. */
  z.object({
    kind: z.literal("upkeep"),
    delivery: z.string(),
    repo: repoRef,
    /** Who edited the dashboard. */
    ticked: actor.optional(),
  }),
  z.object({ kind: z.literal("sweep") }),
]);
export type IntakeJob = z.infer<typeof intakeJob>;

/** What a run is about; its lock, and where its answer stands. */
const subject = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("issue"), number: z.number() }),
  z.object({ kind: z.literal("review"), pull: z.number(), branch: z.string() }),
  /** Checks that fail on our pull request. `key` names the commit and the checks. */
  z.object({
    kind: z.literal("checks"),
    pull: z.number(),
    branch: z.string(),
    key: z.string(),
  }),
  /** Our pull request is to take in its base. `key` names the two commits. */
  z.object({
    kind: z.literal("merge"),
    pull: z.number(),
    branch: z.string(),
    key: z.string(),
  }),
  /** What a comment asks; in a thread on lines of a pull request, that thread's answer. */
  z.object({
    kind: z.literal("question"),
    number: z.number(),
    isPull: z.boolean(),
    comment: z.number(),
    inThread: z.boolean(),
  }),
  z.object({ kind: z.literal("task"), key: z.string() }),
  /** A repository's first settings. */
  z.object({ kind: z.literal("onboarding") }),
]);
export type Subject = z.infer<typeof subject>;

/** What waits in the runs queue: ids and the actor, never text. */
export const runJob = z.object({
  runId: z.string(),
  repo: repoRef,
  subject,
  actor,
  trigger: z.string(),
  /**
   * What a person asks for, and of which run, if any: `covers` is the trigger that its status comment stood for, and that
   * this run's stands for from now on.
   */
  follows: z
    .object({
      run: z.string().optional(),
      covers: z.string().optional(),
      how: z.enum(["retry", "continue", "plan", "approve", "answer", "default"]),
      /** Whether a plan had been approved before: no other one is wanted. */
      isApproved: z.boolean().optional(),
    })
    .optional(),
  /** When the event that asks for it arrived, in milliseconds since the epoch; unknown where a sweep found it. */
  askedAt: z.number().optional(),
});
export type RunJob = z.infer<typeof runJob>;

export type Follows = NonNullable<RunJob["follows"]>;

/** The same trigger gives the same run, however often and from whichever process it is asked for. */
export function runIdOf(repo: RepoRef, subject: Subject, trigger: string): string {
  const hash = createHash("sha256")
    .update([repo.id, subjectKey(subject), trigger].join("\n"))
    .digest();
  return hash.subarray(0, 10).toString("hex");
}

/** The trigger that a run's status comment stands for: a label that was answered stays so, whoever speaks after it. */
export function coveredBy({ trigger, follows }: Pick<RunJob, "trigger" | "follows">): string {
  return follows?.covers ?? trigger;
}

/** One name per subject and all branches of it, whatever number they end in: two runs with the same key never work at once. */
export function subjectKey(subject: Subject): string {
  switch (subject.kind) {
    case "issue":
      return `issue-${subject.number}`;
    case "review":
    case "checks":
    case "merge":
      return subject.branch
        .replace(/^agent-fix\//, "")
        .replaceAll("/", "-")
        .replace(/^(issue-\d+|task-.+|configure)-\d+$/, "$1");
    case "question":
      return `question-${subject.number}-${subject.comment}`;
    case "task":
      return `task-${subject.key}`;
    case "onboarding":
      return "configure";
  }
}

/** The hash of the text that a run works on; stands in the status comment's marker. */
export function snapshotHash(task: TaskText): string {
  return createHash("sha256").update(`${task.title}\n\n${task.body}`).digest("hex").slice(0, 16);
}
