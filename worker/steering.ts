import type { InboxMessage } from "../src/inbox.ts";
import { commentText } from "./prompts/messages.ts";

/** The comments that reached a run since it was last asked, each as the model reads it. */
export function createSteering(
  inbox: (() => Promise<InboxMessage[]>) | undefined,
  { nonce, onComment }: { nonce: () => string; onComment: (comment: { id: number; by: string }) => Promise<void> },
): () => Promise<string[]> {
  const read = new Set<number>();
  return async () => {
    // An outage of Redis stops no run: the next look catches up.
    const messages = (await inbox?.().catch(() => [])) ?? [];
    const comments = messages.filter((message) => message.kind === "comment").filter(({ id }) => !read.has(id));
    for (const { id, by } of comments) {
      read.add(id);
      await onComment({ id, by });
    }
    return comments.map(({ by, text }) => commentText({ by, text, nonce: nonce() }));
  };
}
