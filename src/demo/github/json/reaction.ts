import type { Reaction } from "../state.ts";
import { accountJson } from "./account.ts";
import { nodeId } from "./site.ts";
import type { Site } from "./site.ts";

/** How often something got each reaction; `at` is its address in the API. */
export function reactionsJson(at: string, reactions: readonly Reaction[]) {
  const counts = { "+1": 0, "-1": 0, laugh: 0, hooray: 0, confused: 0, heart: 0, rocket: 0, eyes: 0 };
  for (const { content } of reactions) counts[content]++;
  return { url: `${at}/reactions`, total_count: reactions.length, ...counts };
}

export function reactionJson(site: Site, { id, author, content, createdAt }: Reaction) {
  return {
    id,
    node_id: nodeId("Reaction", id),
    user: accountJson(site, author),
    content,
    created_at: createdAt,
  };
}
