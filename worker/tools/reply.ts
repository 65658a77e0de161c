import { z } from "zod";
import { dispositions } from "../../src/feedback.ts";
import type { Reply } from "../../src/feedback.ts";
import { createTool } from "../agent/tool.ts";
import type { Tool } from "../agent/tool.ts";

/** The points that have to be replied to, and what was replied so far. */
export interface Replies {
  /** What each point is called. */
  points: readonly string[];
  /** The last reply to each. */
  given: () => readonly Reply[];
  record: (reply: Reply) => Promise<void>;
}

// Nobody learns anything from these.
const empty =
  /^(?:(?:acknowledged|noted|done|fixed|ok(?:ay)?|sure|thanks?(?: you)?|good (?:point|catch)|will do|agreed)[\s.,!]*)+$/i;

/** Answers one point of a review. It is kept for after the change has passed; the last answer to a point counts. */
export function createReply({ points, record }: Replies): Tool {
  return createTool({
    name: "reply",
    description:
      "Answers one point of the review. The answers are posted after your change has passed the checks; another answer to the same point replaces the one before. Every point needs one before `submit`.",
    parameters: z.object({
      thread: z.string().trim().describe("The point's name, such as t1."),
      disposition: z
        .enum(dispositions)
        .describe(
          "fixed: the change does it. declined: it stays as it is, and the text says why. question: the text is an answer, or asks back. out-of-scope: it is right, but does not belong to this pull request.",
        ),
      text: z
        .string()
        .trim()
        .min(1, "it is empty")
        .describe("What you did and how it is proven, or why not, with places in the code. Two or three sentences."),
    }),
    async call({ thread, disposition, text }) {
      const point = points.find((one) => one.toLowerCase() === thread.toLowerCase());
      if (point === undefined) return refusal(`There is no point ${thread}. The points are: ${points.join(", ")}.`);
      if (empty.test(text)) return refusal("This tells the reviewer nothing. Say what was done and where, or why not.");
      await record({ point, disposition, text });
      return { text: `Your answer to ${point} is kept.` };
    },
  });
}

function refusal(text: string) {
  return { text, failed: true as const };
}

/** What keeps a change from being handed in, as far as its answers go; undefined where nothing does. */
export function unanswered({ points, given }: Replies, change: string): string | undefined {
  const replies = given();
  const open = points.filter((point) => !replies.some((reply) => reply.point === point));
  if (open.length > 0) return `These points have no answer yet: ${open.join(", ")}. Call \`reply\` for each of them.`;
  const fixed = replies.filter(({ disposition }) => disposition === "fixed").map(({ point }) => point);
  if (change !== "" || fixed.length === 0) return undefined;
  return `You answered ${fixed.join(", ")} with \`fixed\`, but the working tree has no change. Make the change, or answer otherwise.`;
}
