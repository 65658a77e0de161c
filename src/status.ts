import { z } from "zod";
import { boundedBody } from "./text.ts";

const states = ["queued", "working", "opened", "no-change", "needs-input", "gave-up", "cancelled"] as const;
const marker = z.object({
  run: z.string(),
  state: z.enum(states),
  trigger: z.string(),
  snapshot: z.string().optional(),
  head: z.string().optional(),
  /** Why it ended, where a person's next word depends on it. */
  cause: z.string().optional(),
});
/** What GitHub remembers of a run, hidden in its status comment. */
export type StatusMarker = z.infer<typeof marker>;

/** How every status comment begins; with our author id it identifies the comment. */
export const statusMark = "<!-- agent-fix:status ";

/** How our reply to a review begins. */
export function replyMark(review: number): string {
  return `<!-- agent-fix:reply ${review} -->`;
}

/** How our answer to a comment begins. */
export function answerMark(comment: number): string {
  return `<!-- agent-fix:answer ${comment} -->`;
}

/** One status comment: the marker, a bold header and what follows it. */
export function renderStatus(status: StatusMarker, header: string, lines: readonly string[] = []): string {
  const hidden = `${statusMark}${JSON.stringify(status).replaceAll("--", String.raw`-\u002d`)} -->`;
  return boundedBody([hidden, `**${header}**`, ...lines].join("\n\n"));
}

export function parseStatus(body: string): StatusMarker | undefined {
  const start = body.indexOf(statusMark);
  const end = body.indexOf(" -->", start);
  if (start === -1 || end === -1) return undefined;
  try {
    return marker.parse(JSON.parse(body.slice(start + statusMark.length, end)));
  } catch {
    return undefined;
  }
}

/** Nothing more will be done for this trigger. */
export function isTerminal(state: StatusMarker["state"]): boolean {
  return state !== "queued" && state !== "working";
}
