import type { PullRequest, Review, ReviewComment } from "./state.ts";

/** A comment on lines, and the review it came with. */
export interface Entry {
  of: Review;
  one: ReviewComment;
}

/** All comments on a pull request's lines, oldest first. */
export function entriesOf({ reviews }: PullRequest): Entry[] {
  return reviews.flatMap((of) => of.comments.map((one) => ({ of, one }))).toSorted((a, b) => a.one.id - b.one.id);
}

/** The comments by thread, under the first one's id, oldest first. What a deleted first comment leaves is no thread. */
export function threadsOf(pull: PullRequest): Map<number, Entry[]> {
  const threads = new Map<number, Entry[]>();
  for (const entry of entriesOf(pull)) {
    if (entry.one.inReplyTo === null) threads.set(entry.one.id, [entry]);
    else threads.get(entry.one.inReplyTo)?.push(entry);
  }
  return threads;
}
